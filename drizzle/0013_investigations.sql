CREATE TABLE "investigation_steps" (
	"investigation_id" uuid NOT NULL,
	"no" integer NOT NULL,
	"tool" varchar(50) NOT NULL,
	"arguments" jsonb NOT NULL,
	"said" text,
	"command_id" uuid,
	"state" varchar(20) DEFAULT 'asked' NOT NULL,
	"output" text,
	"asked_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp with time zone,
	CONSTRAINT "investigation_steps_investigation_id_no_pk" PRIMARY KEY("investigation_id","no")
);
--> statement-breakpoint
CREATE TABLE "investigations" (
	"id" uuid PRIMARY KEY NOT NULL,
	"incident_id" integer NOT NULL,
	"actor" varchar(255),
	"state" varchar(20) DEFAULT 'queued' NOT NULL,
	"outcome" varchar(50),
	"why" text,
	"model" varchar(255) NOT NULL,
	"protocol" varchar(10),
	"attempts" integer DEFAULT 0 NOT NULL,
	"prompt_tokens" integer DEFAULT 0 NOT NULL,
	"completion_tokens" integer DEFAULT 0 NOT NULL,
	"cost_usd" double precision,
	"requested_at" timestamp with time zone DEFAULT now() NOT NULL,
	"started_at" timestamp with time zone,
	"ended_at" timestamp with time zone
);
--> statement-breakpoint
ALTER TABLE "model_calls" ADD COLUMN "investigation_id" uuid;--> statement-breakpoint
CREATE INDEX "investigations_incident" ON "investigations" USING btree ("incident_id");--> statement-breakpoint
CREATE UNIQUE INDEX "investigations_open" ON "investigations" USING btree ("incident_id") WHERE ended_at is null;--> statement-breakpoint
CREATE INDEX "investigations_requested" ON "investigations" USING brin ("requested_at");