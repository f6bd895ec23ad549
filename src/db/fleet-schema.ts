import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uuid,
  varchar,
} from "drizzle-orm/pg-core";
import { agents } from "./schema.ts";

const at = (name: string) => timestamp(name, { withTimezone: true });

/**
 * Who has used an agent's token: one row for each agent process, or, where it does not say which one it is, for each host's
 * name. Written when another one comes, not by heartbeats; forgotten once another has stayed.
 */
export const tokenHosts = pgTable(
  "token_hosts",
  {
    agentId: uuid("agent_id").notNull(),
    /** `run:` and the process's own id, else `name:` and the host's name. */
    instance: varchar("instance", { length: 300 }).notNull(),
    /** The kernel's id of this boot, where it is known. */
    boot: varchar("boot", { length: 64 }),
    hostname: varchar("hostname", { length: 255 }),
    firstAt: at("first_at").notNull().defaultNow(),
    /** When it last came in place of another. */
    heardAt: at("heard_at").notNull().defaultNow(),
    /** When another came in its place; null for the one that was heard of last. */
    leftAt: at("left_at"),
    /** How often it came back after another. */
    returns: integer("returns").notNull().default(0),
    /** Since then it is missed, and an incident says so. */
    darkSince: at("dark_since"),
  },
  (table) => [primaryKey({ columns: [table.agentId, table.instance] })],
);

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
    since: at("since").notNull(),
    why: text("why"),
    /** What it leaves out since there is too much of it, in words. */
    gaveUp: jsonb("gave_up").$type<string[]>().notNull().default([]),
    /** An alert of the agent's tells people already that it cannot. */
    isTold: boolean("is_told").notNull().default(false),
    /** The moment from which an incident says so: names that incident's alert, which is paired with one recovery. */
    blindSince: at("blind_since"),
  },
  (table) => [
    primaryKey({ columns: [table.agentId, table.name] }),
    index("collectors_blind").on(table.since).where(sql`state = 'cannot' or blind_since is not null`),
  ],
);

/** The servers that share this database; one whose lease ran out is gone, and its agents are offline. */
export const nodes = pgTable("nodes", {
  id: uuid("id").primaryKey(),
  version: varchar("version", { length: 50 }).notNull(),
  startedAt: at("started_at").notNull().defaultNow(),
  leaseUntil: at("lease_until").notNull(),
});

/** Hashes of tokens that were rotated or whose agent was deleted: they never enrol again. */
export const revokedTokens = pgTable("revoked_tokens", {
  tokenHash: varchar("token_hash", { length: 64 }).primaryKey(),
  agentId: uuid("agent_id").notNull(),
  revokedAt: at("revoked_at").notNull().defaultNow(),
});

/** Times in which nobody could hear agents: no server ran, or the database was away. */
export const outages = pgTable("outages", {
  id: bigint("id", { mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
  kind: varchar("kind", { length: 20 }).notNull(),
  endedAt: at("ended_at").notNull().defaultNow(),
});
