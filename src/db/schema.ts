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
const fields = (name: string) => jsonb(name).$type<Record<string, unknown>>();
const isOpen = sql`status <> 'resolved'`;
const isUnanswered = sql`status in ('pending', 'sent')`;
const isResolution = sql`state = 'resolved'`;
/** How urgent an open incident is, as its lists are ordered (incidents/list-store.ts has the same). */
const urgency = sql`(case status when 'acknowledged' then 1 when 'ignored' then 0 else
  case severity when 'critical' then 5 when 'warning' then 4 when 'info' then 2 else 3 end end)`;
const agentId = () => uuid("agent_id").notNull();
const rowId = () => bigint("id", { mode: "number" }).primaryKey().generatedAlwaysAsIdentity();

/** A host's agent. `node_id` and `connection_id` name the socket that holds it, the one committed last. */
export const agents = pgTable(
  "agents",
  {
    id: uuid("id").primaryKey(),
    tokenHash: varchar("token_hash", { length: 64 }).notNull().unique(),
    /** The token before, which is good until then, and from then on as revoked as those of `revoked_tokens`. */
    previousTokenHash: varchar("previous_token_hash", { length: 64 }).unique(),
    previousUntil: at("previous_until"),
    hostname: varchar("hostname", { length: 255 }),
    status: varchar("status", { length: 20 }).notNull().default("offline"),
    lastSeenAt: at("last_seen_at"),
    meta: fields("meta"),
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
    /** Since then several hosts use the agent's token by turns, and an incident says so: names that incident's alert. */
    sharedSince: at("shared_since"),
    /** Until then they did: that alert's recovery is still to be stored. */
    sharedUntil: at("shared_until"),
  },
  // A page of the list; of what changes with each heartbeat nothing is in it.
  (table) => [index("agents_listed").on(table.createdAt, table.id).where(sql`deleted_at is null`)],
);

/**
 * One problem of one agent. The first alert's text lives here alone (`raw_error`; its logs begin after `message_chars`
 * characters). While it is not resolved it is open, and at most one incident of a fingerprint is open at a time.
 */
export const incidents = pgTable(
  "incidents",
  {
    id: serial("id").primaryKey(),
    agentId: agentId().references(() => agents.id),
    /** Who says so: the agent, the server itself, or an integration. Set by who writes it, never by what an alert says. */
    origin: varchar("origin", { length: 20 }).notNull().default("agent"),
    type: varchar("type", { length: 50 }).notNull(),
    source: varchar("source", { length: 255 }).notNull(),
    rawError: text("raw_error").notNull(),
    messageChars: integer("message_chars").notNull(),
    aiAnalysis: text("ai_analysis"),
    aiSolution: text("ai_solution"),
    analysis: fields("analysis"),
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
    // The same on other hosts; of resolved ones only, too.
    index("incidents_kind").on(table.type, table.source, table.id).where(sql`status = 'resolved'`),
    // What follows the number is for those who count, or look for a host's: they read the index alone.
    index("incidents_urgency").on(urgency, table.id, table.status, table.severity, table.agentId).where(isOpen),
    // Since when all is quiet.
    index("incidents_resolved").on(table.resolvedAt).where(sql`status = 'resolved'`),
    // What other incidents may follow from: few, looked for as each incident is explained.
    index("incidents_lost").on(table.agentId).where(sql`origin = 'server'`),
    index("incidents_full").on(table.agentId).where(sql`analysis->>'category' = 'disk_full' and status <> 'resolved'`),
    // Whose first alert is a few hours old at most: of these the figures are kept.
    index("incidents_created").using("brin", table.createdAt),
    // Where what somebody else's names name is open.
    index("incidents_named").on(table.fingerprint).where(sql`origin = 'integration' and status <> 'resolved'`),
    index("incidents_parent").on(table.parentId).where(sql`parent_id is not null`),
    uniqueIndex("incidents_open").on(table.agentId, table.type, table.source, table.fingerprint).where(isOpen),
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
    id: rowId(),
    uuid: uuid("uuid").notNull(),
    agentId: agentId(),
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
    index("alerts_resolution").on(table.agentId, table.type, table.source, table.occurredAt).where(isResolution),
    index("alerts_received").using("brin", table.receivedAt),
  ],
);

/**
 * Frames that a fault of our own kept from being stored: acknowledged, so that the agent may forget them, and kept here whole
 * until somebody has looked.
 */
export const quarantine = pgTable("quarantine", {
  id: rowId(),
  uuid: uuid("uuid").notNull().unique(),
  at: at("at").notNull().defaultNow(),
  agentId: agentId(),
  messageId: varchar("message_id", { length: 64 }),
  kind: varchar("kind", { length: 20 }).notNull(),
  payload: fields("payload").notNull(),
  error: text("error").notNull(),
});

/** What a person (or a rule) asked of an agent, and what became of it. */
export const commands = pgTable(
  "commands",
  {
    id: uuid("id").primaryKey(),
    agentId: agentId().references(() => agents.id),
    incidentId: integer("incident_id"),
    command: varchar("command", { length: 50 }).notNull(),
    params: fields("params").notNull(),
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
    uniqueIndex("commands_open").on(table.agentId, table.command, table.target).where(isUnanswered),
    index("commands_expiry").on(table.expiresAt).where(isUnanswered),
  ],
);

/** The audit trail, and the timeline of an incident: who did what, when, and why. */
export const events = pgTable(
  "events",
  {
    id: rowId(),
    at: at("at").notNull().defaultNow(),
    kind: varchar("kind", { length: 50 }).notNull(),
    actor: varchar("actor", { length: 255 }).notNull(),
    agentId: uuid("agent_id"),
    incidentId: integer("incident_id"),
    commandId: uuid("command_id"),
    data: fields("data"),
  },
  (table) => [
    index("events_incident").on(table.incidentId).where(sql`incident_id is not null`),
    index("events_at").using("brin", table.at),
    // What people, programs and models did, among many more lines of hosts and of the server.
    index("events_people").on(table.id).where(sql`actor not in ('agent', 'system')`),
  ],
);

/**
 * What was asked of a model, exactly as it was sent (redacted), and what it answered. A row is there before the call is
 * made, so that a crash cannot spend more than a day's budget.
 */
export const modelCalls = pgTable(
  "model_calls",
  {
    id: rowId(),
    incidentId: integer("incident_id").notNull(),
    /** Of which it is one turn: then `prompt` holds what this turn added. */
    investigationId: uuid("investigation_id"),
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

/**
 * What an outlet (Slack, a webhook) says, or was to say: a row before it is decided whether people are notified, so that a crash
 * neither loses a message nor says it twice. `kind` is incident, storm (many incidents at once, `incidentId` null), reply
 * (beneath the incident's message; `subject` names it) or notice (a message about an incident, or, without one, of a day). Rows follow their incident by its revision: one that was decided, or
 * shown, at an older one is looked at again.
 *
 *   undecided  → withheld | waiting
 *   withheld   not said, `why` says for what reason
 *   waiting    → sending → sent; sending → waiting when the outlet refused it for now, → failed when for good
 *   unknown    it was being sent when its server or the connection died: it is looked for before it is said again
 */
export const announcements = pgTable(
  "announcements",
  {
    id: rowId(),
    kind: varchar("kind", { length: 10 }).notNull(),
    incidentId: integer("incident_id"),
    outlet: varchar("outlet", { length: 20 }).notNull(),
    subject: varchar("subject", { length: 100 }).notNull().default(""),
    state: varchar("state", { length: 10 }).notNull(),
    why: text("why").notNull(),
    /** The storm's message that this incident is told in, in place of one of its own. */
    stormId: bigint("storm_id", { mode: "number" }),
    /** A reply's {text, file}; a storm's {ended_at}; a notice's {title, lines}. */
    content: fields("content"),
    /** What the outlet calls it; Slack's `ts`, with its channel before a slash. */
    externalId: varchar("external_id", { length: 255 }),
    attempts: integer("attempts").notNull().default(0),
    /** Attempts of which nobody knows how they ended; once it is sent, calls of an earlier leader that may still land. */
    unknowns: integer("unknowns").notNull().default(0),
    /** Of a post, or of an edit. */
    attemptedAt: at("attempted_at"),
    /** When somebody looks next: to decide, to send, or to edit. */
    nextAttemptAt: at("next_attempt_at").notNull().defaultNow(),
    /** The incident's revision at which it was decided, or, once it is sent, looked at last. */
    decidedRevision: integer("decided_revision"),
    decidedAt: at("decided_at"),
    /** Times in a row that deciding, or editing, threw. */
    failures: integer("failures").notNull().default(0),
    sentAt: at("sent_at"),
    /** The incident's revision that the outlet shows, and a hash of what it shows. */
    shownRevision: integer("shown_revision"),
    shownHash: varchar("shown_hash", { length: 64 }),
    lastError: text("last_error"),
    createdAt: at("created_at").notNull().defaultNow(),
    /** Nothing more will be said or edited. */
    closedAt: at("closed_at"),
  },
  (table) => [
    uniqueIndex("announcements_subject").on(table.incidentId, table.outlet, table.kind, table.subject),
    index("announcements_due").on(table.outlet, table.nextAttemptAt).where(sql`closed_at is null`),
    index("announcements_external").on(table.outlet, table.externalId).where(sql`external_id is not null`),
    index("announcements_storm").on(table.stormId).where(sql`storm_id is not null`),
    // How many were decided within the last minute says whether there is a storm.
    index("announcements_decided").on(table.outlet, table.decidedAt),
    // One digest a day.
    uniqueIndex("announcements_notice")
      .on(table.outlet, table.subject)
      .where(sql`kind = 'notice' and incident_id is null`),
    index("announcements_created").using("brin", table.createdAt),
  ],
);

/**
 * Who leads an outlet, by number: each lead has its own, and what a leader writes counts only while the number is still its. One
 * that lost its lead without knowing so writes nothing.
 */
export const outlets = pgTable("outlets", {
  outlet: varchar("outlet", { length: 20 }).primaryKey(),
  lead: bigint("lead", { mode: "number" }).notNull(),
  takenAt: at("taken_at").notNull().defaultNow(),
});

/**
 * What is recorded and explained, but not announced: a person's patterns (null matches all), or a decision about one
 * fingerprint. It ends at `until`, or when its incident is resolved (`ends` until_resolved), gets worse (until_worse), or
 * by a person.
 */
export const silences = pgTable(
  "silences",
  {
    id: serial("id").primaryKey(),
    agent: varchar("agent", { length: 255 }),
    type: varchar("type", { length: 255 }),
    source: varchar("source", { length: 255 }),
    /** With the agent, type and source of its incident: exactly this problem. */
    fingerprint: uuid("fingerprint"),
    incidentId: integer("incident_id"),
    ends: varchar("ends", { length: 20 }).notNull(),
    until: at("until"),
    /** What "worse" is measured by: {severity, per_hour}. */
    baseline: fields("baseline"),
    comment: text("comment"),
    actor: varchar("actor", { length: 255 }).notNull(),
    createdAt: at("created_at").notNull().defaultNow(),
    endedAt: at("ended_at"),
  },
  (table) => [
    index("silences_open").on(table.createdAt).where(sql`ended_at is null`),
    index("silences_fingerprint").on(table.fingerprint).where(sql`fingerprint is not null and ended_at is null`),
  ],
);

/**
 * What a person decided about an incident, and what came of it:
 *
 *   requested → carried out (command sent) → verifying → verified | failed_again | no_word
 *   requested → done (logs, ignore, acknowledge, resolve) | refused | failed
 *
 * `dueAt` is when somebody looks next; it survives restarts.
 */
export const decisions = pgTable(
  "decisions",
  {
    id: uuid("id").primaryKey(),
    incidentId: integer("incident_id").notNull(),
    action: varchar("action", { length: 20 }).notNull(),
    /** Of ignore: until_resolved, 1h, until_worse or for_good. */
    variant: varchar("variant", { length: 20 }),
    actor: varchar("actor", { length: 255 }).notNull(),
    actorName: varchar("actor_name", { length: 255 }).notNull(),
    outlet: varchar("outlet", { length: 20 }).notNull(),
    state: varchar("state", { length: 20 }).notNull().default("requested"),
    commandId: uuid("command_id"),
    /** In words, as the message shows it. */
    outcome: text("outcome"),
    /** Commands that were tried to be sent. */
    sends: integer("sends").notNull().default(0),
    /** Looks at the host after it was carried out. */
    checks: integer("checks").notNull().default(0),
    /** Tries in a row that threw. */
    failures: integer("failures").notNull().default(0),
    requestedAt: at("requested_at").notNull().defaultNow(),
    /** The command's result says when it was carried out, by the host's clock moved to the database's. */
    carriedOutAt: at("carried_out_at"),
    dueAt: at("due_at"),
    endedAt: at("ended_at"),
  },
  (table) => [
    index("decisions_incident").on(table.incidentId),
    uniqueIndex("decisions_restart").on(table.incidentId).where(sql`action = 'restart' and ended_at is null`),
    index("decisions_due").on(table.dueAt).where(sql`ended_at is null`),
    index("decisions_unanswered").on(table.commandId).where(sql`state = 'no_answer'`),
  ],
);
