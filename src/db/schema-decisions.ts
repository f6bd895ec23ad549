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
 * What an outlet (Slack, a webhook) says, or was to say: a row before the first attempt, so that a crash neither loses a
 * message nor says it twice. `kind` is incident, digest (many incidents of a storm, `incidentId` null) or reply (beneath the
 * incident's message; `subject` names it). What is shown follows the incident: a row whose incident changed after
 * `shownAt` is edited.
 *
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
    /** The storm's digest that this incident is told in, in place of a message of its own. */
    digestId: bigint("digest_id", { mode: "number" }),
    /** A reply's {text, file}; a digest's {ended_at}. */
    content: jsonb("content").$type<Record<string, unknown>>(),
    /** What the outlet calls it; Slack's `ts`, with its channel before a slash. */
    externalId: varchar("external_id", { length: 255 }),
    attempts: integer("attempts").notNull().default(0),
    /** Attempts of which nobody knows how they ended. */
    unknowns: integer("unknowns").notNull().default(0),
    attemptedAt: at("attempted_at"),
    nextAttemptAt: at("next_attempt_at").notNull().defaultNow(),
    sentAt: at("sent_at"),
    /** The incident's `updatedAt` that the outlet shows, and a digest of what it shows. */
    shownAt: at("shown_at"),
    shownDigest: varchar("shown_digest", { length: 64 }),
    lastError: text("last_error"),
    createdAt: at("created_at").notNull().defaultNow(),
    /** Nothing more will be said or edited. */
    closedAt: at("closed_at"),
  },
  (table) => [
    uniqueIndex("announcements_subject").on(table.incidentId, table.outlet, table.kind, table.subject),
    index("announcements_due").on(table.outlet, table.nextAttemptAt).where(sql`closed_at is null`),
    index("announcements_external").on(table.outlet, table.externalId).where(sql`external_id is not null`),
    index("announcements_digest").on(table.digestId).where(sql`digest_id is not null`),
    index("announcements_created").using("brin", table.createdAt),
  ],
);

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
    checks: integer("checks").notNull().default(0),
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
  ],
);

/** Signatures of Slack's callbacks that were taken: one that comes again is a replay. */
export const slackCallbacks = pgTable("slack_callbacks", {
  digest: varchar("digest", { length: 64 }).primaryKey(),
  seenAt: at("seen_at").notNull().defaultNow(),
});

/** Times in which nobody could hear agents: no server ran, or the database was away. */
export const outages = pgTable("outages", {
  id: bigint("id", { mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
  kind: varchar("kind", { length: 20 }).notNull(),
  endedAt: at("ended_at").notNull().defaultNow(),
});
