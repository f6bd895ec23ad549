import { index, integer, pgTable, primaryKey, real, text, uuid } from "drizzle-orm/pg-core";

/**
 * All figures of one host in one step of time. `minute` is where the step begins, in Unix minutes: aligned, so that a host's
 * figures are found by probing for each step, without an index of its own. No moment: a clock that is put back moves none of
 * them, and what lies ahead is forgotten.
 */
const columns = () => ({
  agentId: uuid("agent_id").notNull(),
  minute: integer("minute").notNull(),
  /** Heartbeats that they are made of. */
  samples: integer("samples").notNull(),
  /** What was measured: cpu_pct, load1, mem_used_pct, swap_used_pct, `disk:` and where it is mounted. */
  names: text("names").array().notNull(),
  /** For each name {least, mean, most}. */
  stats: real("stats").array().array().notNull(),
});

/** By minutes, for three hours. What is written together lies together in the index, and what is forgotten, too. */
export const figures1m = pgTable("figures_1m", columns(), (table) => [
  primaryKey({ columns: [table.minute, table.agentId] }),
]);

/** By five minutes, for a day. */
export const figures5m = pgTable("figures_5m", columns(), (table) => [
  primaryKey({ columns: [table.minute, table.agentId] }),
]);

/** By hours, for RETENTION. */
export const figures1h = pgTable("figures_1h", columns(), (table) => [
  primaryKey({ columns: [table.minute, table.agentId] }),
]);

/** Minutes around incidents, once for all incidents of a host that share them; as long as one of these lives. */
export const figuresKept = pgTable("figures_kept", columns(), (table) => [
  primaryKey({ columns: [table.agentId, table.minute] }),
]);

/** Around which minute an incident's figures are kept: that of its first alert. */
export const figureWindows = pgTable(
  "figure_windows",
  {
    incidentId: integer("incident_id").primaryKey(),
    agentId: uuid("agent_id").notNull(),
    minute: integer("minute").notNull(),
  },
  (table) => [
    index("figure_windows_agent").on(table.agentId, table.minute),
    index("figure_windows_minute").using("brin", table.minute),
  ],
);

/** One row: minutes before `until_minute`, an hour's first, are rolled up; a late one takes it back. */
export const figuresRolled = pgTable("figures_rolled", {
  id: integer("id").primaryKey(),
  untilMinute: integer("until_minute").notNull(),
});
