CREATE TABLE "figure_windows" (
	"incident_id" integer PRIMARY KEY NOT NULL,
	"agent_id" uuid NOT NULL,
	"minute" integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE "figures_1h" (
	"agent_id" uuid NOT NULL,
	"minute" integer NOT NULL,
	"samples" integer NOT NULL,
	"names" text[] NOT NULL,
	"stats" real[][] NOT NULL,
	CONSTRAINT "figures_1h_minute_agent_id_pk" PRIMARY KEY("minute","agent_id")
);
--> statement-breakpoint
CREATE TABLE "figures_1m" (
	"agent_id" uuid NOT NULL,
	"minute" integer NOT NULL,
	"samples" integer NOT NULL,
	"names" text[] NOT NULL,
	"stats" real[][] NOT NULL,
	CONSTRAINT "figures_1m_minute_agent_id_pk" PRIMARY KEY("minute","agent_id")
);
--> statement-breakpoint
CREATE TABLE "figures_5m" (
	"agent_id" uuid NOT NULL,
	"minute" integer NOT NULL,
	"samples" integer NOT NULL,
	"names" text[] NOT NULL,
	"stats" real[][] NOT NULL,
	CONSTRAINT "figures_5m_minute_agent_id_pk" PRIMARY KEY("minute","agent_id")
);
--> statement-breakpoint
CREATE TABLE "figures_kept" (
	"agent_id" uuid NOT NULL,
	"minute" integer NOT NULL,
	"samples" integer NOT NULL,
	"names" text[] NOT NULL,
	"stats" real[][] NOT NULL,
	CONSTRAINT "figures_kept_agent_id_minute_pk" PRIMARY KEY("agent_id","minute")
);
--> statement-breakpoint
CREATE TABLE "figures_rolled" (
	"id" integer PRIMARY KEY NOT NULL,
	"until_minute" integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX "figure_windows_agent" ON "figure_windows" USING btree ("agent_id","minute");--> statement-breakpoint
CREATE INDEX "figure_windows_minute" ON "figure_windows" USING brin ("minute");--> statement-breakpoint
CREATE INDEX "incidents_created" ON "incidents" USING brin ("created_at");