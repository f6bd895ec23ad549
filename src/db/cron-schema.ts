/** Cron and batch jobs, which tell by pings how they fare. */
import { sql } from "drizzle-orm";
import { bigint, boolean, index, jsonb, pgTable, timestamp, uuid, varchar } from "drizzle-orm/pg-core";
import { integrations } from "./access-schema.ts";

const at = (name: string) => timestamp(name, { withTimezone: true });

/** What is expected of a job, and where it stands; one for each integration of the kind cron. */
export const cronJobs = pgTable(
  "cron_jobs",
  {
    integrationId: uuid("integration_id")
      .primaryKey()
      .references(() => integrations.id, { onDelete: "cascade" }),
    /** `{"cron", "zone"}` or `{"everyMs"}`. */
    schedule: jsonb("schedule").notNull(),
    graceMs: bigint("grace_ms", { mode: "number" }).notNull(),
    limitMs: bigint("limit_ms", { mode: "number" }),
    isPaused: boolean("is_paused").notNull().default(false),
    /** Counts the changes of its state: who changes it must have seen the one before. */
    turn: bigint("turn", { mode: "number" }).notNull().default(0),
    dueAt: at("due_at").notNull(),
    startedAt: at("started_at"),
    trouble: varchar("trouble", { length: 10 }),
    isAlarmed: boolean("is_alarmed").notNull().default(false),
    /** When it is in trouble if nothing is heard of it; null while it is known to be, and while it is paused. */
    alarmAt: at("alarm_at"),
    lastPingAt: at("last_ping_at"),
    lastDurationMs: bigint("last_duration_ms", { mode: "number" }),
    /** The run that ended last: its beginning may come after its end. */
    endedRun: varchar("ended_run", { length: 64 }),
  },
  (table) => [index("cron_jobs_alarm").on(table.alarmAt).where(sql`alarm_at is not null`)],
);
