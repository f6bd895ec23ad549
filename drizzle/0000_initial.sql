CREATE TABLE "agents" (
	"id" uuid PRIMARY KEY NOT NULL,
	"token_hash" varchar(64) NOT NULL,
	"hostname" varchar(255),
	"status" varchar(20) DEFAULT 'offline' NOT NULL,
	"last_seen_at" timestamp with time zone,
	"meta" jsonb,
	"node_id" uuid,
	"connection_id" uuid,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"connected_at" timestamp with time zone,
	"deleted_at" timestamp with time zone,
	CONSTRAINT "agents_token_hash_unique" UNIQUE("token_hash")
);
--> statement-breakpoint
CREATE TABLE "alerts" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "alerts_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"uuid" uuid NOT NULL,
	"agent_id" uuid NOT NULL,
	"message_id" varchar(64),
	"incident_id" integer,
	"state" varchar(10) NOT NULL,
	"severity" varchar(20),
	"exit_code" integer,
	"occurred_at" timestamp with time zone NOT NULL,
	"received_at" timestamp with time zone NOT NULL,
	"type" varchar(50),
	"source" varchar(255),
	"raw_error" text
);
--> statement-breakpoint
CREATE TABLE "commands" (
	"id" uuid PRIMARY KEY NOT NULL,
	"agent_id" uuid NOT NULL,
	"incident_id" integer,
	"command" varchar(50) NOT NULL,
	"params" jsonb NOT NULL,
	"target" varchar(255) NOT NULL,
	"actor" varchar(255) NOT NULL,
	"status" varchar(20) DEFAULT 'pending' NOT NULL,
	"ttl_s" integer NOT NULL,
	"exit_code" integer,
	"output" text,
	"error" text,
	"duration_ms" bigint,
	"late" boolean DEFAULT false NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"sent_at" timestamp with time zone,
	"finished_at" timestamp with time zone,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "events" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "events_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"kind" varchar(50) NOT NULL,
	"actor" varchar(255) NOT NULL,
	"agent_id" uuid,
	"incident_id" integer,
	"command_id" uuid,
	"data" jsonb
);
--> statement-breakpoint
CREATE TABLE "incidents" (
	"id" serial PRIMARY KEY NOT NULL,
	"agent_id" uuid NOT NULL,
	"type" varchar(50) NOT NULL,
	"source" varchar(255) NOT NULL,
	"raw_error" text NOT NULL,
	"message_chars" integer NOT NULL,
	"ai_analysis" text,
	"ai_solution" text,
	"analysis" jsonb,
	"status" varchar(20) DEFAULT 'new' NOT NULL,
	"fingerprint" uuid NOT NULL,
	"severity" varchar(20),
	"exit_code" integer,
	"occurrences" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_seen_at" timestamp with time zone NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	"resolved_at" timestamp with time zone,
	"parent_id" integer,
	"previous_id" integer,
	"next_id" integer,
	"reason" text
);
--> statement-breakpoint
CREATE TABLE "nodes" (
	"id" uuid PRIMARY KEY NOT NULL,
	"version" varchar(50) NOT NULL,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"lease_until" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "revoked_tokens" (
	"token_hash" varchar(64) PRIMARY KEY NOT NULL,
	"agent_id" uuid NOT NULL,
	"revoked_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "commands" ADD CONSTRAINT "commands_agent_id_agents_id_fk" FOREIGN KEY ("agent_id") REFERENCES "public"."agents"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "incidents" ADD CONSTRAINT "incidents_agent_id_agents_id_fk" FOREIGN KEY ("agent_id") REFERENCES "public"."agents"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "alerts_uuid" ON "alerts" USING btree ("uuid");--> statement-breakpoint
CREATE INDEX "alerts_incident" ON "alerts" USING btree ("incident_id");--> statement-breakpoint
CREATE INDEX "alerts_resolution" ON "alerts" USING btree ("agent_id","type","source","occurred_at") WHERE state = 'resolved';--> statement-breakpoint
CREATE INDEX "alerts_received" ON "alerts" USING brin ("received_at");--> statement-breakpoint
CREATE INDEX "commands_agent" ON "commands" USING btree ("agent_id","created_at");--> statement-breakpoint
CREATE UNIQUE INDEX "commands_open" ON "commands" USING btree ("agent_id","command","target") WHERE status in ('pending', 'sent');--> statement-breakpoint
CREATE INDEX "commands_expiry" ON "commands" USING btree ("expires_at") WHERE status in ('pending', 'sent');--> statement-breakpoint
CREATE INDEX "events_incident" ON "events" USING btree ("incident_id") WHERE incident_id is not null;--> statement-breakpoint
CREATE INDEX "events_at" ON "events" USING brin ("at");--> statement-breakpoint
CREATE INDEX "incidents_agent" ON "incidents" USING btree ("agent_id","id");--> statement-breakpoint
CREATE UNIQUE INDEX "incidents_open" ON "incidents" USING btree ("agent_id","type","source","fingerprint") WHERE status <> 'resolved';