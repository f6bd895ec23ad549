import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  serial,
  text,
  timestamp,
  uniqueIndex,
  uuid,
  varchar,
} from "drizzle-orm/pg-core";

const at = (name: string) => timestamp(name, { withTimezone: true });

/** A host's agent. `node_id` and `connection_id` name the socket that holds it, the one committed last. */
export const agents = pgTable("agents", {
  id: uuid("id").primaryKey(),
  tokenHash: varchar("token_hash", { length: 64 }).notNull().unique(),
  hostname: varchar("hostname", { length: 255 }),
  status: varchar("status", { length: 20 }).notNull().default("offline"),
  lastSeenAt: at("last_seen_at"),
  meta: jsonb("meta").$type<Record<string, unknown>>(),
  nodeId: uuid("node_id"),
  connectionId: uuid("connection_id"),
  createdAt: at("created_at").notNull().defaultNow(),
  connectedAt: at("connected_at"),
  deletedAt: at("deleted_at"),
  /** Heartbeats that came, counted to 2: who was heard of only once is not missed. */
  heartbeats: integer("heartbeats").notNull().default(0),
  /** The agent closed its last connection in good order; null once it is back. */
  goodbyeAt: at("goodbye_at"),
  /** Since then the agent is lost, and an incident says so: names that incident's alert, which is paired with one recovery. */
  lostSince: at("lost_since"),
});

/**
 * One problem of one agent. The first alert's text lives here alone (`raw_error`; its logs begin after `message_chars`
 * characters). While it is not resolved it is open, and at most one incident of a fingerprint is open at a time.
 */
export const incidents = pgTable(
  "incidents",
  {
    id: serial("id").primaryKey(),
    agentId: uuid("agent_id")
      .notNull()
      .references(() => agents.id),
    /** Who says so: the agent, or the server itself. Set by who writes it, never by what an alert says. */
    origin: varchar("origin", { length: 20 }).notNull().default("agent"),
    type: varchar("type", { length: 50 }).notNull(),
    source: varchar("source", { length: 255 }).notNull(),
    rawError: text("raw_error").notNull(),
    messageChars: integer("message_chars").notNull(),
    aiAnalysis: text("ai_analysis"),
    aiSolution: text("ai_solution"),
    analysis: jsonb("analysis").$type<Record<string, unknown>>(),
    status: varchar("status", { length: 20 }).notNull().default("new"),
    fingerprint: uuid("fingerprint").notNull(),
    severity: varchar("severity", { length: 20 }),
    exitCode: integer("exit_code"),
    occurrences: integer("occurrences").notNull().default(1),
    createdAt: at("created_at").notNull().defaultNow(),
    lastSeenAt: at("last_seen_at").notNull(),
    updatedAt: at("updated_at").notNull().defaultNow(),
    /** Rises with each change: who shows the incident remembers which one it shows. */
    revision: integer("revision").notNull().default(1),
    /** When the problem ended: the resolving alert's occurred_at, or the moment of the decision. */
    resolvedAt: at("resolved_at"),
    parentId: integer("parent_id"),
    previousId: integer("previous_id"),
    nextId: integer("next_id"),
    reason: text("reason"),
  },
  (table) => [
    index("incidents_agent").on(table.agentId, table.id),
    // Of resolved ones only: an incident that opens, of which there may be thousands a second, pays nothing for it.
    index("incidents_fingerprint").on(table.fingerprint, table.id).where(sql`status = 'resolved'`),
    index("incidents_status").on(table.status, table.id).where(sql`status <> 'resolved'`),
    // What other incidents may follow from: few, looked for as each incident is explained.
    index("incidents_lost").on(table.agentId).where(sql`origin = 'server'`),
    index("incidents_full").on(table.agentId).where(sql`analysis->>'category' = 'disk_full' and status <> 'resolved'`),
    index("incidents_parent").on(table.parentId).where(sql`parent_id is not null`),
    uniqueIndex("incidents_open")
      .on(table.agentId, table.type, table.source, table.fingerprint)
      .where(sql`status <> 'resolved'`),
  ],
);

/**
 * Every alert that was accepted. `uuid` is made when the frame is decoded (from agent and message id where the frame has
 * one), so that a batch or a frame that comes twice counts once. No foreign keys: agents and incidents outlive their
 * alerts by construction, and the check of each row cost a tenth of the database's time.
 */
export const alerts = pgTable(
  "alerts",
  {
    id: bigint("id", { mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    uuid: uuid("uuid").notNull(),
    agentId: uuid("agent_id").notNull(),
    messageId: varchar("message_id", { length: 64 }),
    incidentId: integer("incident_id"),
    state: varchar("state", { length: 10 }).notNull(),
    severity: varchar("severity", { length: 20 }),
    exitCode: integer("exit_code"),
    occurredAt: at("occurred_at").notNull(),
    receivedAt: at("received_at").notNull(),
    /** Only of a resolution: a firing alert's are those of its incident. */
    origin: varchar("origin", { length: 20 }),
    type: varchar("type", { length: 50 }),
    source: varchar("source", { length: 255 }),
    /** Null for an incident's first alert, whose text is the incident's. */
    rawError: text("raw_error"),
  },
  (table) => [
    uniqueIndex("alerts_uuid").on(table.uuid),
    index("alerts_incident").on(table.incidentId),
    index("alerts_resolution")
      .on(table.agentId, table.type, table.source, table.occurredAt)
      .where(sql`state = 'resolved'`),
    index("alerts_received").using("brin", table.receivedAt),
  ],
);

/**
 * Frames that a fault of our own kept from being stored: acknowledged, so that the agent may forget them, and kept here whole
 * until somebody has looked.
 */
export const quarantine = pgTable("quarantine", {
  id: bigint("id", { mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
  uuid: uuid("uuid").notNull().unique(),
  at: at("at").notNull().defaultNow(),
  agentId: uuid("agent_id").notNull(),
  messageId: varchar("message_id", { length: 64 }),
  kind: varchar("kind", { length: 20 }).notNull(),
  payload: jsonb("payload").$type<Record<string, unknown>>().notNull(),
  error: text("error").notNull(),
});

/** What a person (or a rule) asked of an agent, and what became of it. */
export const commands = pgTable(
  "commands",
  {
    id: uuid("id").primaryKey(),
    agentId: uuid("agent_id")
      .notNull()
      .references(() => agents.id),
    incidentId: integer("incident_id"),
    command: varchar("command", { length: 50 }).notNull(),
    params: jsonb("params").$type<Record<string, unknown>>().notNull(),
    target: varchar("target", { length: 255 }).notNull(),
    actor: varchar("actor", { length: 255 }).notNull(),
    status: varchar("status", { length: 20 }).notNull().default("pending"),
    ttlS: integer("ttl_s").notNull(),
    exitCode: integer("exit_code"),
    output: text("output"),
    error: text("error"),
    durationMs: bigint("duration_ms", { mode: "number" }),
    late: boolean("late").notNull().default(false),
    createdAt: at("created_at").notNull().defaultNow(),
    sentAt: at("sent_at"),
    finishedAt: at("finished_at"),
    expiresAt: at("expires_at").notNull(),
  },
  (table) => [
    index("commands_agent").on(table.agentId, table.createdAt),
    uniqueIndex("commands_open")
      .on(table.agentId, table.command, table.target)
      .where(sql`status in ('pending', 'sent')`),
    index("commands_expiry").on(table.expiresAt).where(sql`status in ('pending', 'sent')`),
  ],
);

/** The audit trail, and the timeline of an incident: who did what, when, and why. */
export const events = pgTable(
  "events",
  {
    id: bigint("id", { mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    at: at("at").notNull().defaultNow(),
    kind: varchar("kind", { length: 50 }).notNull(),
    actor: varchar("actor", { length: 255 }).notNull(),
    agentId: uuid("agent_id"),
    incidentId: integer("incident_id"),
    commandId: uuid("command_id"),
    data: jsonb("data").$type<Record<string, unknown>>(),
  },
  (table) => [
    index("events_incident").on(table.incidentId).where(sql`incident_id is not null`),
    index("events_at").using("brin", table.at),
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

/**
 * What was asked of a model, exactly as it was sent (redacted), and what it answered. A row is there before the call is
 * made, so that a crash cannot spend more than a day's budget.
 */
export const modelCalls = pgTable(
  "model_calls",
  {
    id: bigint("id", { mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    incidentId: integer("incident_id").notNull(),
    askedAt: at("asked_at").notNull().defaultNow(),
    model: varchar("model", { length: 255 }).notNull(),
    endpoint: varchar("endpoint", { length: 255 }).notNull(),
    /** Of the evidence and the model: an identical incident is answered from the last answer. */
    questionHash: varchar("question_hash", { length: 64 }).notNull(),
    system: text("system").notNull(),
    prompt: text("prompt").notNull(),
    outcome: varchar("outcome", { length: 50 }),
    answer: text("answer"),
    promptTokens: integer("prompt_tokens"),
    completionTokens: integer("completion_tokens"),
    costUsd: doublePrecision("cost_usd"),
    tookMs: integer("took_ms"),
  },
  (table) => [
    index("model_calls_incident").on(table.incidentId),
    index("model_calls_asked").on(table.askedAt),
    index("model_calls_question").on(table.questionHash, table.askedAt).where(sql`outcome = 'ok'`),
  ],
);
