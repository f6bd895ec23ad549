import { index, pgTable, text, timestamp, uuid, varchar } from "drizzle-orm/pg-core";

const at = (name: string) => timestamp(name, { withTimezone: true });

/** Browsers that are signed in. Neither the cookie nor ADMIN_TOKEN follows from a row. */
export const sessions = pgTable(
  "sessions",
  {
    /** The cookie's HMAC-SHA256 by ADMIN_TOKEN: with another ADMIN_TOKEN it is not found. */
    secretHash: varchar("secret_hash", { length: 64 }).primaryKey(),
    /**
     * Of the access token that one signed in with: without it, or once it is no longer good, the session is over. Null: ADMIN_TOKEN.
     * With `person_name` it is of no token, so that a node of an older release, which knows of tokens alone, refuses the session.
     */
    tokenId: uuid("token_id"),
    /** Whom a provider of OpenID Connect signed in, and with which role; null where a token did. */
    personName: varchar("person_name", { length: 128 }),
    personRole: varchar("person_role", { length: 20 }),
    createdAt: at("created_at").notNull().defaultNow(),
    expiresAt: at("expires_at").notNull(),
  },
  (table) => [index("sessions_expiry").on(table.expiresAt)],
);

/**
 * Sign-ins by OpenID Connect that are under way, each for the one answer that its browser may bring from the provider: whoever takes
 * the answer, on whichever node, deletes the row. Without the provider's code, which goes through the browser alone, a row is of no use.
 */
export const oidcSignIns = pgTable(
  "oidc_sign_ins",
  {
    /** SHA-256 of the state that comes back with the answer. */
    stateHash: varchar("state_hash", { length: 64 }).primaryKey(),
    /** SHA-256 of the cookie of the browser that began it. */
    browserHash: varchar("browser_hash", { length: 64 }).notNull(),
    /** What the provider's ID token must repeat. */
    nonce: varchar("nonce", { length: 64 }).notNull(),
    /** Of PKCE: proves that the code is redeemed by who asked for it. */
    verifier: varchar("verifier", { length: 128 }).notNull(),
    /** Where in the page one wanted to go. */
    returnTo: text("return_to").notNull(),
    expiresAt: at("expires_at").notNull(),
  },
  (table) => [index("oidc_sign_ins_expiry").on(table.expiresAt)],
);
