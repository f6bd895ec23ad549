CREATE TABLE "collectors" (
	"agent_id" uuid NOT NULL,
	"name" varchar(30) NOT NULL,
	"state" varchar(10) NOT NULL,
	"since" timestamp with time zone NOT NULL,
	"why" text,
	"gave_up" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"is_told" boolean DEFAULT false NOT NULL,
	"blind_since" timestamp with time zone,
	CONSTRAINT "collectors_agent_id_name_pk" PRIMARY KEY("agent_id","name")
);
--> statement-breakpoint
ALTER TABLE "collectors" ADD CONSTRAINT "collectors_agent_id_agents_id_fk" FOREIGN KEY ("agent_id") REFERENCES "public"."agents"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "collectors_blind" ON "collectors" USING btree ("since") WHERE state = 'cannot' or blind_since is not null;