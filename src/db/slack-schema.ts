import { sql } from "drizzle-orm";
import { index, jsonb, pgTable, timestamp, varchar } from "drizzle-orm/pg-core";

const at = (name: string) => timestamp(name, { withTimezone: true });
const fields = (name: string) => jsonb(name).$type<Record<string, unknown>>();

/**
 * Slack's callbacks that were taken, by a hash of their signature or envelope: one that comes again is a replay. A press is kept
 * until something came of it, so that one which Slack was told is taken survives its server: who finds it due handles it.
 */
export const slackCallbacks = pgTable(
  "slack_callbacks",
  {
    hash: varchar("hash", { length: 64 }).primaryKey(),
    seenAt: at("seen_at").notNull().defaultNow(),
    payload: fields("payload"),
    /** When somebody takes it up again; null once it is handled. */
    dueAt: at("due_at"),
  },
  (table) => [index("slack_callbacks_due").on(table.dueAt).where(sql`due_at is not null`)],
);
