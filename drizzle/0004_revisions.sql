ALTER TABLE "agents" RENAME COLUMN "silent_since" TO "lost_since";--> statement-breakpoint
ALTER TABLE "incidents" ADD COLUMN "origin" varchar(20) DEFAULT 'agent' NOT NULL;--> statement-breakpoint
ALTER TABLE "incidents" ADD COLUMN "revision" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
CREATE INDEX "incidents_status" ON "incidents" USING btree ("status","id") WHERE status <> 'resolved';--> statement-breakpoint
ALTER TABLE "alerts" ADD COLUMN "origin" varchar(20);--> statement-breakpoint
UPDATE "alerts" SET "origin" = CASE WHEN "message_id" LIKE 'opspilot:back:%' THEN 'server' ELSE 'agent' END
  WHERE "state" = 'resolved';--> statement-breakpoint
UPDATE "incidents" SET "origin" = 'server' WHERE type = 'host' AND source = 'agent' AND EXISTS (
  SELECT FROM alerts a WHERE a.incident_id = incidents.id AND a.message_id LIKE 'opspilot:silent:%');--> statement-breakpoint
CREATE INDEX "incidents_lost" ON "incidents" USING btree ("agent_id") WHERE origin = 'server';--> statement-breakpoint
CREATE INDEX "incidents_full" ON "incidents" USING btree ("agent_id") WHERE analysis->>'category' = 'disk_full' and status <> 'resolved';--> statement-breakpoint
ALTER TABLE "announcements" RENAME COLUMN "digest_id" TO "storm_id";--> statement-breakpoint
ALTER INDEX "announcements_digest" RENAME TO "announcements_storm";--> statement-breakpoint
ALTER TABLE "announcements" RENAME COLUMN "shown_digest" TO "shown_hash";--> statement-breakpoint
ALTER TABLE "announcements" ADD COLUMN "decided_revision" integer;--> statement-breakpoint
ALTER TABLE "announcements" ADD COLUMN "decided_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "announcements" ADD COLUMN "failures" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "announcements" ADD COLUMN "shown_revision" integer;--> statement-breakpoint
UPDATE "announcements" a SET "decided_revision" = i.revision, "decided_at" = a.created_at,
  "shown_revision" = CASE WHEN a.shown_at = i.updated_at THEN i.revision END
  FROM "incidents" i WHERE i.id = a.incident_id AND a.kind = 'incident';--> statement-breakpoint
UPDATE "announcements" SET "kind" = 'storm' WHERE "kind" = 'digest';--> statement-breakpoint
ALTER TABLE "announcements" DROP COLUMN "shown_at";--> statement-breakpoint
CREATE INDEX "announcements_decided" ON "announcements" USING btree ("outlet","decided_at");--> statement-breakpoint
CREATE TABLE "outlets" (
	"outlet" varchar(20) PRIMARY KEY NOT NULL,
	"lead" bigint NOT NULL,
	"taken_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "sends" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "failures" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX "decisions_unanswered" ON "decisions" USING btree ("command_id") WHERE state = 'no_answer';--> statement-breakpoint
UPDATE "decisions" SET "sends" = "checks", "checks" = 0 WHERE "state" = 'requested';--> statement-breakpoint
ALTER TABLE "slack_callbacks" RENAME COLUMN "digest" TO "hash";--> statement-breakpoint
ALTER TABLE "slack_callbacks" ADD COLUMN "payload" jsonb;--> statement-breakpoint
ALTER TABLE "slack_callbacks" ADD COLUMN "due_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "slack_callbacks_due" ON "slack_callbacks" USING btree ("due_at") WHERE due_at is not null;--> statement-breakpoint
ALTER TABLE "model_calls" RENAME COLUMN "digest" TO "question_hash";--> statement-breakpoint
ALTER INDEX "model_calls_digest" RENAME TO "model_calls_question";--> statement-breakpoint
CREATE TABLE "quarantine" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "quarantine_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"uuid" uuid NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"agent_id" uuid NOT NULL,
	"message_id" varchar(64),
	"kind" varchar(20) NOT NULL,
	"payload" jsonb NOT NULL,
	"error" text NOT NULL,
	CONSTRAINT "quarantine_uuid_unique" UNIQUE("uuid")
);
