import { index, pgTable, timestamp, uuid, varchar } from "drizzle-orm/pg-core";

const at = (name: string) => timestamp(name, { withTimezone: true });

/** Browsers that are signed in. Neither the cookie nor ADMIN_TOKEN follows from a row. */
export const sessions = pgTable(
  "sessions",
  {
    /** The cookie's HMAC-SHA256 by ADMIN_TOKEN: with another ADMIN_TOKEN it is not found. */
    secretHash: varchar("secret_hash", { length: 64 }).primaryKey(),
    /** Of the access token that one signed in with: without it, or once it is no longer good, the session is over. Null: ADMIN_TOKEN. */
    tokenId: uuid("token_id"),
    createdAt: at("created_at").notNull().defaultNow(),
    expiresAt: at("expires_at").notNull(),
  },
  (table) => [index("sessions_expiry").on(table.expiresAt)],
);
