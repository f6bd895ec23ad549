import { index, pgTable, timestamp, uuid, varchar } from "drizzle-orm/pg-core";

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
 * Sign-ins by OpenID Connect whose answer was brought from the provider: each counts once, on whichever node, so whoever takes an
 * answer makes its row first. Of one that was begun there is none: its state, which goes through the browser, has all that is needed.
 */
export const oidcSignIns = pgTable(
  "oidc_sign_ins",
  {
    /** SHA-256 of the state that comes back with the answer. */
    stateHash: varchar("state_hash", { length: 64 }).primaryKey(),
    /** The state's own end: later than that the row is needed no more. */
    expiresAt: at("expires_at").notNull(),
  },
  (table) => [index("oidc_sign_ins_expiry").on(table.expiresAt)],
);
