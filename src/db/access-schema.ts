import { sql } from "drizzle-orm";
import { index, integer, pgTable, timestamp, uniqueIndex, uuid, varchar } from "drizzle-orm/pg-core";

const at = (name: string) => timestamp(name, { withTimezone: true });

/**
 * What people and programs use the API with, beside ADMIN_TOKEN. Good until it is revoked or expires; a row stays for RETENTION
 * after that, so that people can see whose it was. Tokens are 256 random bits: their plain hash tells nobody which they are.
 */
export const accessTokens = pgTable(
  "access_tokens",
  {
    id: uuid("id").primaryKey(),
    /** As the audit trail names who did something: at most one good token has it. */
    name: varchar("name", { length: 64 }).notNull(),
    role: varchar("role", { length: 20 }).notNull(),
    tokenHash: varchar("token_hash", { length: 64 }).notNull().unique(),
    createdAt: at("created_at").notNull().defaultNow(),
    createdBy: varchar("created_by", { length: 255 }).notNull(),
    /** When it expires; null: never. */
    until: at("until"),
    revokedAt: at("revoked_at"),
    /** Written from time to time, not by each request. */
    lastUsedAt: at("last_used_at"),
    lastUsedFrom: varchar("last_used_from", { length: 64 }),
  },
  () => [uniqueIndex("access_tokens_name").on(sql`lower(name)`).where(sql`revoked_at is null`)],
);

/** What hosts of an image or a playbook enrol with: so many times, until then. */
export const enrolments = pgTable(
  "enrolments",
  {
    id: uuid("id").primaryKey(),
    tokenHash: varchar("token_hash", { length: 64 }).notNull().unique(),
    usesMax: integer("uses_max").notNull(),
    uses: integer("uses").notNull().default(0),
    createdAt: at("created_at").notNull().defaultNow(),
    createdBy: varchar("created_by", { length: 255 }).notNull(),
    until: at("until").notNull(),
    revokedAt: at("revoked_at"),
  },
  (table) => [index("enrolments_until").on(table.until)],
);

/**
 * What alerts beside agents, each with a token that is good for its intake alone. Its id is that of an agent, too, deleted from the
 * beginning, which holds the incidents that are of no host.
 */
export const integrations = pgTable(
  "integrations",
  {
    id: uuid("id").primaryKey(),
    kind: varchar("kind", { length: 20 }).notNull(),
    name: varchar("name", { length: 64 }).notNull(),
    tokenHash: varchar("token_hash", { length: 64 }).notNull().unique(),
    createdAt: at("created_at").notNull().defaultNow(),
    createdBy: varchar("created_by", { length: 255 }).notNull(),
    revokedAt: at("revoked_at"),
    /** To the minute. */
    lastUsedAt: at("last_used_at"),
  },
  () => [uniqueIndex("integrations_name").on(sql`lower(name)`).where(sql`revoked_at is null`)],
);
