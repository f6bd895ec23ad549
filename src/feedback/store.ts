import type { Sql, TransactionSql } from "postgres";
import type { Category } from "../analysis/model.ts";
import { splitRawError } from "../protocol/raw-error.ts";
import type { Feedback, FeedbackCase, FeedbackStory, GivenFeedback } from "./model.ts";

type Query = Sql | TransactionSql;

/** Words on earlier incidents of a problem that are shown, and that outlive their incidents: the newest. */
const EARLIER_MAX = 5;
/** A certificate that runs out once a year is remembered. */
const KEPT_DAYS = 400;
/** Rows of one DELETE, and incidents with their logs that are read at once. */
const CHUNK_ROWS = 2_000;
const CASES_READ = 50;

/** What the incident says of its cause. */
export interface ShownExplanation {
  category: Category | null;
  cause: string | null;
  fix: string | null;
}

/** What is kept of a word beside who said it. */
export type KeptWord = Pick<Feedback, "verdict" | "category" | "cause" | "fix">;

/** The SQL of what people say of explanations. */
export function createFeedbackStore(sql: Sql) {
  return {
    /** The incident, and the open one of the same problem: both show what is said of it. None where there is no such incident. */
    async shownIn(tx: TransactionSql, id: number): Promise<number[]> {
      const rows = await tx<{ id: number }[]>`
        select id from incidents where id = ${id}
        union select o.id from incidents i join incidents o on o.agent_id = i.agent_id and o.type = i.type
          and o.source = i.source and o.fingerprint = i.fingerprint and o.status <> 'resolved'
        where i.id = ${id}`;
      return rows.map((row) => row.id);
    },

    /** As messages show it: a model's own words where it is the model's. */
    async shown(tx: TransactionSql, id: number): Promise<ShownExplanation | undefined> {
      const [row] = await tx<ShownExplanation[]>`
        select analysis->>'category' as category,
          coalesce(case when analysis->>'by' = 'model' then analysis->'model'->>'cause' end, ai_analysis) as cause,
          coalesce(case when analysis->>'by' = 'model' then analysis->'model'->>'fix' end, ai_solution) as fix
        from incidents where id = ${id}`;
      return row;
    },

    async put(tx: TransactionSql, given: GivenFeedback, word: KeptWord, shown: ShownExplanation): Promise<void> {
      const { incidentId, actor, actorName, outlet } = given;
      const { verdict, category, cause, fix } = word;
      await tx`
        insert into feedback (incident_id, agent_id, fingerprint, type, source, verdict, category, cause, fix, shown_category,
          shown_cause, raw_error, message_chars, exit_code, actor, actor_name, outlet)
        select id, agent_id, fingerprint, type, source, ${verdict}, ${category}, ${cause}, ${fix}, ${shown.category},
          ${shown.cause}, raw_error, message_chars, exit_code, ${actor}, ${actorName}, ${outlet}
        from incidents where id = ${incidentId}
        on conflict (incident_id) do update set verdict = excluded.verdict, category = excluded.category, cause = excluded.cause,
          fix = excluded.fix, shown_category = excluded.shown_category, shown_cause = excluded.shown_cause,
          actor = excluded.actor, actor_name = excluded.actor_name, outlet = excluded.outlet, given_at = now()`;
    },

    async about(id: number, query: Query = sql): Promise<FeedbackStory> {
      const rows = await query<Feedback[]>`
        select f.incident_id, f.verdict, f.category, f.cause, f.fix, d.outcome, f.shown_category, f.shown_cause, f.actor,
          f.actor_name, f.outlet, f.given_at
        from feedback f left join lateral (
          select outcome from decisions where incident_id = f.incident_id and state = 'verified'
          order by ended_at desc limit 1) d on true
        where f.fingerprint = (select fingerprint from incidents where id = ${id}) and f.incident_id <= ${id}
        order by f.incident_id = ${id} desc, f.given_at desc, f.incident_id desc limit ${EARLIER_MAX + 1}`;
      const feedback = rows.find(({ incident_id }) => incident_id === id) ?? null;
      return { feedback, earlier_feedback: rows.filter((row) => row !== feedback).slice(0, EARLIER_MAX) };
    },

    /** What can be measured by, the newest word first, a few incidents at a time: their logs are large. */
    async *cases(): AsyncGenerator<FeedbackCase> {
      const pages = sql<CaseRow[]>`
        select incident_id as "incidentId", type, source, raw_error as "rawError", message_chars as "messageChars",
          exit_code as "exitCode", nullif(category, 'unknown') as expected,
          case when verdict = 'wrong' then nullif(shown_category, 'unknown') end as refuted
        from feedback
        where nullif(category, 'unknown') is not null or verdict = 'wrong' and nullif(shown_category, 'unknown') is not null
        order by given_at desc, incident_id desc`.cursor(CASES_READ);
      for await (const rows of pages) yield* rows.map(caseOf);
    },

    /**
     * Forgets a chunk of words whose incident is gone: of each problem all but the newest, and of one that did not recur within
     * `retentionMs` those that are old. Returns how many.
     */
    async deleteOld(retentionMs: number): Promise<number> {
      const deleted = await sql`
        delete from feedback where incident_id in (
          select f.incident_id from feedback f
          where not exists (select from incidents i where i.id = f.incident_id)
            and ((select count(*) from feedback n
                where n.fingerprint = f.fingerprint and (n.given_at, n.incident_id) > (f.given_at, f.incident_id)) >= ${EARLIER_MAX}
              or f.given_at < now() - greatest(${retentionMs} * interval '1 ms', make_interval(days => ${KEPT_DAYS}))
                and not exists (select from incidents i where i.fingerprint = f.fingerprint and i.status = 'resolved')
                and not exists (select from incidents i where i.agent_id = f.agent_id and i.type = f.type
                  and i.source = f.source and i.fingerprint = f.fingerprint and i.status <> 'resolved'))
          limit ${CHUNK_ROWS})`;
      return deleted.count;
    },
  };
}

export type FeedbackStore = ReturnType<typeof createFeedbackStore>;

interface CaseRow extends Pick<FeedbackCase, "incidentId" | "expected" | "refuted"> {
  type: string;
  source: string;
  rawError: string;
  messageChars: number;
  exitCode: number | null;
}

function caseOf({ incidentId, expected, refuted, type, source, exitCode, ...raw }: CaseRow): FeedbackCase {
  return { incidentId, expected, refuted, evidence: { type, source, exitCode, ...splitRawError(raw) } };
}
