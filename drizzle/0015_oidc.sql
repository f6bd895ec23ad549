CREATE TABLE "oidc_sign_ins" (
	"state_hash" varchar(64) PRIMARY KEY NOT NULL,
	"browser_hash" varchar(64) NOT NULL,
	"nonce" varchar(64) NOT NULL,
	"verifier" varchar(128) NOT NULL,
	"return_to" text NOT NULL,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "person_name" varchar(128);--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "person_role" varchar(20);--> statement-breakpoint
CREATE INDEX "oidc_sign_ins_expiry" ON "oidc_sign_ins" USING btree ("expires_at");