import { sql } from "drizzle-orm";
import {
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
  varchar,
} from "drizzle-orm/pg-core";

const at = (name: string) => timestamp(name, { withTimezone: true });

/**
 * A model that looks for itself: queued → running → done | failed. A row before there is a job, so that a server which is killed
 * in between loses none, and one under way for each incident at most.
 */
export const investigations = pgTable(
  "investigations",
  {
    id: uuid("id").primaryKey(),
    incidentId: integer("incident_id").notNull(),
    /** Who asked for it; null when nobody did. */
    actor: varchar("actor", { length: 255 }),
    state: varchar("state", { length: 20 }).notNull().default("queued"),
    /** How it ended, by a word, and why in words. */
    outcome: varchar("outcome", { length: 50 }),
    why: text("why"),
    model: varchar("model", { length: 255 }).notNull(),
    /** How it asked: by the API's tool calls, by JSON in its text, or not at all. */
    protocol: varchar("protocol", { length: 10 }),
    /** Servers that have begun it. */
    attempts: integer("attempts").notNull().default(0),
    promptTokens: integer("prompt_tokens").notNull().default(0),
    completionTokens: integer("completion_tokens").notNull().default(0),
    costUsd: doublePrecision("cost_usd"),
    requestedAt: at("requested_at").notNull().defaultNow(),
    startedAt: at("started_at"),
    endedAt: at("ended_at"),
  },
  (table) => [
    index("investigations_incident").on(table.incidentId),
    uniqueIndex("investigations_open").on(table.incidentId).where(sql`ended_at is null`),
    index("investigations_requested").using("brin", table.requestedAt),
  ],
);

/** What a model asked, one row a call, there before it is carried out: asked → answered | failed | refused. */
export const investigationSteps = pgTable(
  "investigation_steps",
  {
    investigationId: uuid("investigation_id").notNull(),
    no: integer("no").notNull(),
    tool: varchar("tool", { length: 50 }).notNull(),
    arguments: jsonb("arguments").$type<Record<string, unknown>>().notNull(),
    /** What the model wrote as it asked. */
    said: text("said"),
    /** What was asked of the host; null where the server knew by itself, or refused. */
    commandId: uuid("command_id"),
    state: varchar("state", { length: 20 }).notNull().default("asked"),
    /** What came back, as the model was sent it: redacted and cut. */
    output: text("output"),
    askedAt: at("asked_at").notNull().defaultNow(),
    endedAt: at("ended_at"),
  },
  (table) => [primaryKey({ columns: [table.investigationId, table.no] })],
);
