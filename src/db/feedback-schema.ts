import { index, integer, pgTable, text, timestamp, uuid, varchar } from "drizzle-orm/pg-core";

const at = (name: string) => timestamp(name, { withTimezone: true });

/**
 * What a person said of an incident's explanation: that it was right, or wrong; the last word on the incident alone. It outlives the
 * incident, so it holds all that is needed of it: whose problem it was, what the explanation said, and the evidence, by which
 * explanations are measured.
 */
export const feedback = pgTable(
  "feedback",
  {
    incidentId: integer("incident_id").primaryKey(),
    agentId: uuid("agent_id").notNull(),
    fingerprint: uuid("fingerprint").notNull(),
    type: varchar("type", { length: 50 }).notNull(),
    source: varchar("source", { length: 255 }).notNull(),
    verdict: varchar("verdict", { length: 10 }).notNull(),
    /** What is so, as far as the person knows: the explanation that was right, or the person's own words. */
    category: varchar("category", { length: 50 }),
    cause: text("cause"),
    fix: text("fix"),
    /** What the incident showed as it was said; null where nothing explained it. */
    shownCategory: varchar("shown_category", { length: 50 }),
    shownCause: text("shown_cause"),
    /** The incident's, as it was: its logs begin after `message_chars` characters. */
    rawError: text("raw_error").notNull(),
    messageChars: integer("message_chars").notNull(),
    exitCode: integer("exit_code"),
    actor: varchar("actor", { length: 255 }).notNull(),
    actorName: varchar("actor_name", { length: 255 }).notNull(),
    outlet: varchar("outlet", { length: 20 }).notNull(),
    givenAt: at("given_at").notNull().defaultNow(),
  },
  (table) => [index("feedback_fingerprint").on(table.fingerprint, table.givenAt)],
);
