CREATE TABLE "integrations" (
	"id" uuid PRIMARY KEY NOT NULL,
	"kind" varchar(20) NOT NULL,
	"name" varchar(64) NOT NULL,
	"token_hash" varchar(64) NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"created_by" varchar(255) NOT NULL,
	"revoked_at" timestamp with time zone,
	"last_used_at" timestamp with time zone,
	CONSTRAINT "integrations_token_hash_unique" UNIQUE("token_hash")
);
--> statement-breakpoint
CREATE UNIQUE INDEX "integrations_name" ON "integrations" USING btree (lower(name)) WHERE revoked_at is null;--> statement-breakpoint
CREATE INDEX "incidents_named" ON "incidents" USING btree ("fingerprint") WHERE origin = 'integration' and status <> 'resolved';