import { sql } from "drizzle-orm";
import { boolean, index, jsonb, pgTable, primaryKey, text, timestamp, uuid, varchar } from "drizzle-orm/pg-core";
import { agents } from "./schema.ts";

/**
 * What each collector of an agent said of itself last; written when that changes, not at each heartbeat. While it cannot see for
 * long the server tells so by an incident of its own:
 *
 *   cannot ── for five minutes, and nobody is told ──▶ blind since then: told
 *   blind ── sees, is absent or off, or an alert of the agent's tells it ──▶ its recovery is told, and stored: blind no more
 */
export const collectors = pgTable(
  "collectors",
  {
    agentId: uuid("agent_id")
      .notNull()
      .references(() => agents.id),
    name: varchar("name", { length: 30 }).notNull(),
    /** sees, cannot or absent, as the agent says; off: it no longer speaks of this one. */
    state: varchar("state", { length: 10 }).notNull(),
    since: timestamp("since", { withTimezone: true }).notNull(),
    why: text("why"),
    /** What it leaves out since there is too much of it, in words. */
    gaveUp: jsonb("gave_up").$type<string[]>().notNull().default([]),
    /** An alert of the agent's tells people already that it cannot. */
    isTold: boolean("is_told").notNull().default(false),
    /** The moment from which an incident says so: names that incident's alert, which is paired with one recovery. */
    blindSince: timestamp("blind_since", { withTimezone: true }),
  },
  (table) => [
    primaryKey({ columns: [table.agentId, table.name] }),
    index("collectors_blind").on(table.since).where(sql`state = 'cannot' or blind_since is not null`),
  ],
);
