CREATE TABLE "cron_jobs" (
	"integration_id" uuid PRIMARY KEY NOT NULL,
	"schedule" jsonb NOT NULL,
	"grace_ms" bigint NOT NULL,
	"limit_ms" bigint,
	"is_paused" boolean DEFAULT false NOT NULL,
	"turn" bigint DEFAULT 0 NOT NULL,
	"due_at" timestamp with time zone NOT NULL,
	"started_at" timestamp with time zone,
	"trouble" varchar(10),
	"is_alarmed" boolean DEFAULT false NOT NULL,
	"alarm_at" timestamp with time zone,
	"last_ping_at" timestamp with time zone,
	"last_duration_ms" bigint,
	"ended_run" varchar(64)
);
--> statement-breakpoint
ALTER TABLE "cron_jobs" ADD CONSTRAINT "cron_jobs_integration_id_integrations_id_fk" FOREIGN KEY ("integration_id") REFERENCES "public"."integrations"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "cron_jobs_alarm" ON "cron_jobs" USING btree ("alarm_at") WHERE alarm_at is not null;