ALTER TABLE "oidc_sign_ins" DROP COLUMN "browser_hash";--> statement-breakpoint
ALTER TABLE "oidc_sign_ins" DROP COLUMN "nonce";--> statement-breakpoint
ALTER TABLE "oidc_sign_ins" DROP COLUMN "verifier";--> statement-breakpoint
ALTER TABLE "oidc_sign_ins" DROP COLUMN "return_to";