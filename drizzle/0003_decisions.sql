CREATE TABLE "announcements" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "announcements_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"kind" varchar(10) NOT NULL,
	"incident_id" integer,
	"outlet" varchar(20) NOT NULL,
	"subject" varchar(100) DEFAULT '' NOT NULL,
	"state" varchar(10) NOT NULL,
	"why" text NOT NULL,
	"digest_id" bigint,
	"content" jsonb,
	"external_id" varchar(255),
	"attempts" integer DEFAULT 0 NOT NULL,
	"unknowns" integer DEFAULT 0 NOT NULL,
	"attempted_at" timestamp with time zone,
	"next_attempt_at" timestamp with time zone DEFAULT now() NOT NULL,
	"sent_at" timestamp with time zone,
	"shown_at" timestamp with time zone,
	"shown_digest" varchar(64),
	"last_error" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"closed_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "decisions" (
	"id" uuid PRIMARY KEY NOT NULL,
	"incident_id" integer NOT NULL,
	"action" varchar(20) NOT NULL,
	"variant" varchar(20),
	"actor" varchar(255) NOT NULL,
	"actor_name" varchar(255) NOT NULL,
	"outlet" varchar(20) NOT NULL,
	"state" varchar(20) DEFAULT 'requested' NOT NULL,
	"command_id" uuid,
	"outcome" text,
	"checks" integer DEFAULT 0 NOT NULL,
	"requested_at" timestamp with time zone DEFAULT now() NOT NULL,
	"carried_out_at" timestamp with time zone,
	"due_at" timestamp with time zone,
	"ended_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "outages" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "outages_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"kind" varchar(20) NOT NULL,
	"ended_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "silences" (
	"id" serial PRIMARY KEY NOT NULL,
	"agent" varchar(255),
	"type" varchar(255),
	"source" varchar(255),
	"fingerprint" uuid,
	"incident_id" integer,
	"ends" varchar(20) NOT NULL,
	"until" timestamp with time zone,
	"baseline" jsonb,
	"comment" text,
	"actor" varchar(255) NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "slack_callbacks" (
	"digest" varchar(64) PRIMARY KEY NOT NULL,
	"seen_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "agents" ADD COLUMN "heartbeats" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "agents" ADD COLUMN "goodbye_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "agents" ADD COLUMN "silent_since" timestamp with time zone;--> statement-breakpoint
CREATE UNIQUE INDEX "announcements_subject" ON "announcements" USING btree ("incident_id","outlet","kind","subject");--> statement-breakpoint
CREATE INDEX "announcements_due" ON "announcements" USING btree ("outlet","next_attempt_at") WHERE closed_at is null;--> statement-breakpoint
CREATE INDEX "announcements_external" ON "announcements" USING btree ("outlet","external_id") WHERE external_id is not null;--> statement-breakpoint
CREATE INDEX "announcements_digest" ON "announcements" USING btree ("digest_id") WHERE digest_id is not null;--> statement-breakpoint
CREATE INDEX "announcements_created" ON "announcements" USING brin ("created_at");--> statement-breakpoint
CREATE INDEX "decisions_incident" ON "decisions" USING btree ("incident_id");--> statement-breakpoint
CREATE UNIQUE INDEX "decisions_restart" ON "decisions" USING btree ("incident_id") WHERE action = 'restart' and ended_at is null;--> statement-breakpoint
CREATE INDEX "decisions_due" ON "decisions" USING btree ("due_at") WHERE ended_at is null;--> statement-breakpoint
CREATE INDEX "silences_open" ON "silences" USING btree ("created_at") WHERE ended_at is null;--> statement-breakpoint
CREATE INDEX "silences_fingerprint" ON "silences" USING btree ("fingerprint") WHERE fingerprint is not null and ended_at is null;--> statement-breakpoint
CREATE INDEX "incidents_fingerprint" ON "incidents" USING btree ("fingerprint","id") WHERE status = 'resolved';--> statement-breakpoint
CREATE INDEX "incidents_parent" ON "incidents" USING btree ("parent_id") WHERE parent_id is not null;