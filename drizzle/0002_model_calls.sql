CREATE TABLE "model_calls" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "model_calls_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"incident_id" integer NOT NULL,
	"asked_at" timestamp with time zone DEFAULT now() NOT NULL,
	"model" varchar(255) NOT NULL,
	"endpoint" varchar(255) NOT NULL,
	"digest" varchar(64) NOT NULL,
	"system" text NOT NULL,
	"prompt" text NOT NULL,
	"outcome" varchar(50),
	"answer" text,
	"prompt_tokens" integer,
	"completion_tokens" integer,
	"cost_usd" double precision,
	"took_ms" integer
);
--> statement-breakpoint
CREATE INDEX "model_calls_incident" ON "model_calls" USING btree ("incident_id");--> statement-breakpoint
CREATE INDEX "model_calls_asked" ON "model_calls" USING btree ("asked_at");--> statement-breakpoint
CREATE INDEX "model_calls_digest" ON "model_calls" USING btree ("digest","asked_at") WHERE outcome = 'ok';