import { sql } from "drizzle-orm";
import {
  bigint,
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

/**
 * What an outlet (Slack, a webhook) says, or was to say: a row before it is decided whether people are notified, so that a crash
 * neither loses a message nor says it twice. `kind` is incident, storm (many incidents at once, `incidentId` null) or reply
 * (beneath the incident's message; `subject` names it). Rows follow their incident by its revision: one that was decided, or
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
    id: bigint("id", { mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    kind: varchar("kind", { length: 10 }).notNull(),
    incidentId: integer("incident_id"),
    outlet: varchar("outlet", { length: 20 }).notNull(),
    subject: varchar("subject", { length: 100 }).notNull().default(""),
    state: varchar("state", { length: 10 }).notNull(),
    why: text("why").notNull(),
    /** The storm's message that this incident is told in, in place of one of its own. */
    stormId: bigint("storm_id", { mode: "number" }),
    /** A reply's {text, file}; a storm's {ended_at}. */
    content: jsonb("content").$type<Record<string, unknown>>(),
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
    baseline: jsonb("baseline").$type<Record<string, unknown>>(),
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

/**
 * Slack's callbacks that were taken, by a hash of their signature or envelope: one that comes again is a replay. A press is kept
 * until something came of it, so that one which Slack was told is taken survives its server: who finds it due handles it.
 */
export const slackCallbacks = pgTable(
  "slack_callbacks",
  {
    hash: varchar("hash", { length: 64 }).primaryKey(),
    seenAt: at("seen_at").notNull().defaultNow(),
    payload: jsonb("payload").$type<Record<string, unknown>>(),
    /** When somebody takes it up again; null once it is handled. */
    dueAt: at("due_at"),
  },
  (table) => [index("slack_callbacks_due").on(table.dueAt).where(sql`due_at is not null`)],
);

/** Times in which nobody could hear agents: no server ran, or the database was away. */
export const outages = pgTable("outages", {
  id: bigint("id", { mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
  kind: varchar("kind", { length: 20 }).notNull(),
  endedAt: at("ended_at").notNull().defaultNow(),
});
