CREATE TABLE "feedback" (
	"incident_id" integer PRIMARY KEY NOT NULL,
	"agent_id" uuid NOT NULL,
	"fingerprint" uuid NOT NULL,
	"type" varchar(50) NOT NULL,
	"source" varchar(255) NOT NULL,
	"verdict" varchar(10) NOT NULL,
	"category" varchar(50),
	"cause" text,
	"fix" text,
	"shown_category" varchar(50),
	"shown_cause" text,
	"raw_error" text NOT NULL,
	"message_chars" integer NOT NULL,
	"exit_code" integer,
	"actor" varchar(255) NOT NULL,
	"actor_name" varchar(255) NOT NULL,
	"outlet" varchar(20) NOT NULL,
	"given_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE INDEX "feedback_fingerprint" ON "feedback" USING btree ("fingerprint","given_at");