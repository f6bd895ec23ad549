CREATE TABLE "token_hosts" (
	"agent_id" uuid NOT NULL,
	"instance" varchar(300) NOT NULL,
	"boot" varchar(64),
	"hostname" varchar(255),
	"first_at" timestamp with time zone DEFAULT now() NOT NULL,
	"heard_at" timestamp with time zone DEFAULT now() NOT NULL,
	"left_at" timestamp with time zone,
	"returns" integer DEFAULT 0 NOT NULL,
	"dark_since" timestamp with time zone,
	CONSTRAINT "token_hosts_agent_id_instance_pk" PRIMARY KEY("agent_id","instance")
);
--> statement-breakpoint
ALTER TABLE "agents" ADD COLUMN "shared_since" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "agents" ADD COLUMN "shared_until" timestamp with time zone;