/**
 * What the leader of an outlet reads and writes. Each statement counts only while the outlet's lead is still its number: a
 * leader that lost its lead without knowing so finds nothing to do, and what it learns late is not written.
 */
import type { Sql, TransactionSql } from "postgres";
import type { Candidate, IncidentWriter } from "../incidents/model.ts";
import { CALL_LIMIT_MS } from "./delivery.ts";
import type { BehindRow, CandidateRow, DueRow, NotifyChoice, Shown, UndecidedRow } from "./rows.ts";

/** A message in flight when its sender died has come through by then, or never will. */
const LANDED_AFTER_S = 5;
/** A call of a leader that lost its lead may be made until its limit, and land after that. */
const LATEST_LANDING_S = CALL_LIMIT_MS / 1_000 + LANDED_AFTER_S;
/** Edits that are looked at together. */
const BEHIND_MAX = 200;
/** A message of a resolved incident is kept right for this long: an alert may come late, a decision's outcome later. */
const CLOSE_AFTER_S = 600;
/** A storm whose incidents nobody ends. */
const STORM_CLOSE_AFTER_S = 86_400;
/** Less would be asked again and again. */
const AGAIN_S_MIN = 1;

/** The SQL of one lead of an outlet. */
export function createOutletStore(
  sql: Sql,
  { outlet, lead, writer }: { outlet: string; lead: number; writer: Pick<IncidentWriter, "note"> },
) {
  const isLead = () => sql`exists (select from outlets where outlet = ${outlet} and lead = ${lead})`;

  /** Settles a row by what is set where, and leaves a line in the timeline of its incident when that was done. */
  async function settle(incidentId: number | null, kind: string, data: object, update: object) {
    await sql.begin(async (tx) => {
      if ((await tx`update announcements set ${update as never} and ${isLead()}`).count === 0 || incidentId === null)
        return;
      await writer.note(tx, [{ kind, actor: "system", incidentId, data }]);
    });
  }

  return {
    /** As a condition of a statement. */
    isLead,

    /** Rows that were decided at an older revision, or are to be decided again. */
    async findUndecided(max: number): Promise<UndecidedRow[]> {
      return sql<UndecidedRow[]>`
        select a.id::int, a.incident_id as "incidentId", a.failures from announcements a join incidents i on i.id = a.incident_id
        where a.outlet = ${outlet} and a.closed_at is null and a.kind = 'incident' and a.subject = '' and a.storm_id is null
          and (a.state = 'undecided' or (a.state = 'withheld' and i.status <> 'resolved'))
          and (a.next_attempt_at <= now() or (a.failures = 0 and a.decided_revision is distinct from i.revision))
          and ${isLead()}
        order by a.id limit ${max}`;
    },

    /** The rows of these incidents on all outlets, locked: what another leader decides meanwhile is known here. */
    async lockRows(tx: TransactionSql, incidentIds: readonly number[]): Promise<CandidateRow[]> {
      const rows = await tx<(Omit<CandidateRow, "incident"> & Candidate & { incidentId: number })[]>`
        select a.id::int, a.outlet, a.state, a.why, a.closed_at is null and a.storm_id is null as "isOpen", i.revision,
          i.id as "incidentId", i.origin, i.agent_id as "agentId", g.hostname, i.type, i.source, i.fingerprint, i.severity,
          i.status, i.analysis->>'category' as category, i.reason, i.parent_id as "parentId", i.previous_id as "previousId"
        from announcements a join incidents i on i.id = a.incident_id join agents g on g.id = i.agent_id
        where a.incident_id = any(${incidentIds as number[]}::int[]) and a.kind = 'incident' and a.subject = '' and ${isLead()}
        order by a.id for update of a`;
      return rows.map(({ id, state, why, isOpen, revision, incidentId, outlet: where, ...incident }) => ({
        ...{ id, outlet: where, state, why, isOpen, revision },
        incident: { ...incident, id: incidentId },
      }));
    },

    /** All or nothing: throws when the lead was lost meanwhile. */
    async writeChoices(tx: TransactionSql, choices: readonly NotifyChoice[]): Promise<void> {
      if (choices.length === 0) return;
      const again = choices.map(({ againInS }) => againInS && Math.max(AGAIN_S_MIN, againInS));
      const written = await tx`
        update announcements a set state = c.state, why = c.why, storm_id = c.storm_id, decided_revision = c.revision,
          decided_at = now(), failures = 0, last_error = null, closed_at = case when c.storm_id is not null then now() end,
          next_attempt_at = case when c.state = 'waiting' then now() else coalesce(now() + make_interval(secs => c.again), 'infinity') end
        from unnest(${choices.map(({ id }) => id)}::bigint[], ${choices.map(({ state }) => state)}::text[],
          ${choices.map(({ why }) => why)}::text[], ${choices.map(({ revision }) => revision)}::int[],
          ${choices.map(({ stormId }) => stormId)}::bigint[], ${again}::float8[]) c (id, state, why, revision, storm_id, again)
        where a.id = c.id and ${isLead()}`;
      if (written.count !== choices.length) throw new Error("the lead of the outlet was lost");
    },

    /** Deciding about this one threw: it is tried again later, alone. The timeline says so the first time. */
    async postpone({ id, incidentId }: UndecidedRow, waitMs: number, error: string): Promise<void> {
      await sql.begin(async (tx) => {
        const [row] = await tx<{ failures: number }[]>`
          update announcements set failures = failures + 1, last_error = ${error},
            next_attempt_at = now() + ${waitMs} * interval '1 ms'
          where id = ${id} and state in ('undecided', 'withheld') and ${isLead()} returning failures`;
        if (row?.failures !== 1) return;
        const data = { outlet, error, subject: "" };
        await writer.note(tx, [{ kind: "announcement_failed", actor: "system", incidentId, data }]);
      });
    },

    /** What was being sent when its sender lost the lead, or could not write what came of it: nobody knows how that ended. */
    async adoptOrphans(): Promise<number> {
      const rows = await sql`
        update announcements set state = 'unknown', unknowns = unknowns + 1, last_error = 'its sender is gone',
          next_attempt_at = greatest(now(), attempted_at + make_interval(secs => ${LANDED_AFTER_S}))
        where outlet = ${outlet} and state = 'sending' and closed_at is null and ${isLead()}`;
      return rows.count;
    },

    /** At the begin of a lead: what the one before may still be posting or editing is edited again once that has landed. */
    async doubtRecent(): Promise<void> {
      await sql`
        update announcements set unknowns = unknowns + 1, failures = 0,
          next_attempt_at = greatest(next_attempt_at, attempted_at + make_interval(secs => ${LATEST_LANDING_S}))
        where outlet = ${outlet} and state = 'sent' and closed_at is null and subject = '' and ${isLead()}
          and attempted_at > now() - ${CALL_LIMIT_MS} * interval '1 ms'`;
    },

    /** The next to be posted: the oldest first, a reply only once the message above it stands. */
    async nextDue(): Promise<DueRow | undefined> {
      const [row] = await sql<DueRow[]>`
        select a.id::int, a.kind, a.incident_id as "incidentId", a.subject, a.state, a.why, a.storm_id::int as "stormId",
          case when a.kind = 'reply' then a.content end as content, case when a.kind = 'notice' then a.content end as notice,
          case when a.kind = 'reply' then a.external_id end as "externalId", a.attempts, a.unknowns, a.attempted_at as "attemptedAt",
          m.external_id as beneath, m.state as "beneathState",
          coalesce(i.status = 'resolved' and i.severity is distinct from 'critical', false) as "isOver",
          coalesce(i.status in ('acknowledged', 'ignored', 'resolved'), false) as "isTakenUp"
        from announcements a
        left join incidents i on i.id = a.incident_id
        left join lateral (
          select coalesce(s.external_id, t.external_id) as external_id, coalesce(s.state, t.state) as state
          from announcements t left join announcements s on s.id = t.storm_id
          where (a.kind = 'reply' or a.subject = 'end') and t.incident_id = a.incident_id and t.outlet = a.outlet and t.kind = 'incident'
            and t.subject = '') m on true
        where a.outlet = ${outlet} and a.closed_at is null and a.state in ('waiting', 'unknown') and a.next_attempt_at <= now()
          and (a.kind <> 'reply' or m.state is null or m.state in ('sent', 'failed', 'withheld')) and ${isLead()}
        order by a.id limit 1`;
      return row;
    },

    /** Messages that show an older revision than there is; of a storm it is the sum over its incidents. */
    async findBehind(): Promise<BehindRow[]> {
      return sql<BehindRow[]>`
        select a.id::int, a.kind, a.incident_id as "incidentId", a.why, a.external_id as "externalId",
          a.shown_hash as "shownHash", a.failures, a.last_error as "lastError", d.is as "isDoubtful",
          case when a.attempted_at > a.sent_at then extract(epoch from now() - a.attempted_at)::float8 end as "editedAgoS"
        from announcements a
        left join incidents i on i.id = a.incident_id
        cross join lateral (select a.unknowns > 0 and a.next_attempt_at <= now()
          and a.attempted_at <= now() - make_interval(secs => ${LATEST_LANDING_S}) as is) d
        left join lateral (
          select coalesce(sum(one.revision), 0) as revision from announcements m join incidents one on one.id = m.incident_id
          where a.kind = 'storm' and m.storm_id = a.id and m.kind = 'incident') s on true
        where a.outlet = ${outlet} and a.state = 'sent' and a.closed_at is null and a.subject = '' and ${isLead()}
          and (d.is
            or (a.kind = 'incident' and i.revision is distinct from a.shown_revision and i.id is not null
              and (a.next_attempt_at <= now() or (a.failures = 0 and a.decided_revision is distinct from i.revision)))
            or (a.kind = 'storm' and a.next_attempt_at <= now() and s.revision is distinct from a.shown_revision))
        order by a.next_attempt_at, a.id limit ${BEHIND_MAX}`;
    },

    /** Notes an attempt before it is made; undefined when the row stands otherwise by now. */
    async claim(row: DueRow): Promise<DueRow | undefined> {
      const rows = await sql`
        update announcements set state = 'sending', attempts = attempts + 1, attempted_at = now()
        where id = ${row.id} and state = ${row.state} and attempts = ${row.attempts} and closed_at is null and ${isLead()}`;
      return rows.count === 1 ? { ...row, attempts: row.attempts + 1 } : undefined;
    },

    /** The same of an edit; false when it is not to be made. */
    async claimEdit(row: BehindRow): Promise<boolean> {
      const rows = await sql`
        update announcements set attempted_at = now()
        where id = ${row.id} and state = 'sent' and closed_at is null and ${isLead()}`;
      return rows.count === 1;
    },

    /** It stands there. What it shows is null where that is not known: then it is edited. */
    async sent(row: DueRow, externalId: string | null, shown: Shown | null, data: object): Promise<void> {
      const isFirst = row.kind === "incident" && row.subject === "";
      // What was said anew meanwhile is said next.
      const isOutdated = sql`(kind = 'reply' and ${externalId}::text is not null
        and content is distinct from ${sql.json(row.content as never)}::jsonb)`;
      const update = sql`state = case when ${isOutdated} then 'waiting' else 'sent' end, external_id = ${externalId},
          sent_at = now(), last_error = null, unknowns = 0, shown_hash = ${shown?.hash ?? null},
          shown_revision = ${shown?.revision ?? null}, next_attempt_at = now(),
          closed_at = case when (kind = 'reply' or subject <> '') and not ${isOutdated} then now() end
        where id = ${row.id} and attempts = ${row.attempts} and state in ('sending', 'unknown')`;
      await settle(isFirst ? row.incidentId : null, "announced", data, update);
    },

    /** It was refused for now. */
    async later(row: DueRow, waitMs: number, error: string): Promise<void> {
      await sql`
        update announcements set state = ${row.state}, last_error = ${error},
          next_attempt_at = now() + ${waitMs} * interval '1 ms'
        where id = ${row.id} and attempts = ${row.attempts} and state in ('sending', 'unknown') and ${isLead()}`;
    },

    /** Nobody knows whether it came through: somebody looks once it would be there. */
    async unknown(row: DueRow, waitMs: number, error: string): Promise<void> {
      await sql`
        update announcements set state = 'unknown', unknowns = unknowns + 1, last_error = ${error},
          next_attempt_at = greatest(now() + ${waitMs} * interval '1 ms', attempted_at + make_interval(secs => ${LANDED_AFTER_S}))
        where id = ${row.id} and attempts = ${row.attempts} and state = 'sending' and ${isLead()}`;
    },

    /** The outlet is away, and was: whatever was tried meanwhile is one doubt. */
    async away(): Promise<void> {
      await sql`
        update announcements set unknowns = 1
        where outlet = ${outlet} and state = 'unknown' and unknowns > 1 and closed_at is null and ${isLead()}`;
    },

    /** Nothing more is tried; the timeline says so. */
    async failed(row: DueRow, error: string): Promise<void> {
      const update = sql`state = 'failed', last_error = ${error}, closed_at = now()
        where id = ${row.id} and attempts = ${row.attempts} and state <> 'sent' and closed_at is null`;
      await settle(row.incidentId, "announcement_failed", { outlet, error, subject: row.subject }, update);
    },

    async withhold(row: DueRow, why: string): Promise<void> {
      const update = sql`state = 'withheld', why = ${why}, closed_at = now()
        where id = ${row.id} and state = 'waiting' and attempts = 0`;
      await settle(row.incidentId, "withheld", { why }, update);
    },

    /** The message shows this now, or would show the same; `error` when the edit was refused for good. */
    async shown(row: BehindRow, shown: Shown, error: string | null, nextLookMs: number): Promise<void> {
      await sql`
        update announcements set shown_hash = ${shown.hash}, shown_revision = ${shown.revision},
          decided_revision = ${shown.revision}, last_error = ${error}, failures = 0,
          unknowns = case when ${row.isDoubtful} then 0 else unknowns end,
          next_attempt_at = case when unknowns > 0 and not ${row.isDoubtful} then attempted_at + make_interval(secs => ${LATEST_LANDING_S})
            else now() + ${nextLookMs} * interval '1 ms' end
        where id = ${row.id} and state = 'sent' and ${isLead()}`;
    },

    /** Nothing is edited before, unless the incident changes once more. */
    async hold(row: BehindRow, { revision }: Shown, waitMs: number): Promise<void> {
      await sql`
        update announcements set decided_revision = ${revision}, next_attempt_at = now() + ${waitMs} * interval '1 ms'
        where id = ${row.id} and state = 'sent' and ${isLead()}`;
    },

    /** An edit was refused for now. */
    async editLater(row: BehindRow, waitMs: number, error: string): Promise<void> {
      await sql`
        update announcements set failures = failures + 1, last_error = ${error},
          next_attempt_at = now() + ${waitMs} * interval '1 ms'
        where id = ${row.id} and state = 'sent' and ${isLead()}`;
    },

    /** The outlet answers again: what waited for that need not wait longer. */
    async hurry(): Promise<void> {
      await sql`
        update announcements set next_attempt_at = now()
        where outlet = ${outlet} and closed_at is null and next_attempt_at > now() and ${isLead()}
          and (state = 'waiting' or (state = 'sent' and failures > 0))`;
    },

    /** The message that was to show it is gone, and nobody was told: it gets one of its own. */
    async postAnew(row: BehindRow): Promise<void> {
      await sql`
        update announcements set state = 'waiting', external_id = null, next_attempt_at = now()
        where id = ${row.id} and state = 'sent' and ${isLead()}`;
    },

    /** Where nothing can be edited, or this message cannot, the end is a message of its own. True when it was added, once. */
    async addEnd(row: BehindRow): Promise<boolean> {
      const added = await sql`
        insert into announcements (kind, incident_id, outlet, subject, state, why, storm_id)
        select kind, incident_id, outlet, 'end', 'waiting', case kind when 'storm' then 'the storm is over' else 'resolved' end,
          case kind when 'storm' then id end
        from announcements a where id = ${row.id} and state = 'sent' and closed_at is null and ${isLead()}
          and not exists (select from announcements e where e.kind = 'storm' and e.subject = 'end' and e.storm_id = a.id)
        on conflict do nothing`;
      return added.count > 0;
    },

    /** Of an incident that people were notified of: the silence that ended since, to be said beneath the message, once. */
    async addEndedSilence(row: BehindRow): Promise<boolean> {
      const added = await sql`
        insert into announcements (kind, incident_id, outlet, subject, state, why, content)
        select 'reply', a.incident_id, a.outlet, 'silence-ended:' || (e.data->>'silence_id'), 'waiting', 'a silence ended',
          jsonb_build_object('text', 'No longer silenced (' || (e.data->>'reason') || '), and it goes on.', 'file', null)
        from announcements a cross join lateral (
          select data from events where incident_id = a.incident_id and kind = 'silence.ended' and at > a.sent_at
          order by id desc limit 1) e
        where a.id = ${row.id} and ${isLead()}
        on conflict do nothing`;
      return added.count > 0;
    },

    /** What is over is looked at no more. */
    async close(): Promise<void> {
      await sql`
        update announcements a set closed_at = now() from incidents i
        where a.outlet = ${outlet} and a.incident_id = i.id and a.closed_at is null and i.status = 'resolved' and ${isLead()}
          and (a.state = 'withheld' or (a.state = 'sent' and a.kind = 'incident' and a.shown_revision = i.revision
            and a.unknowns = 0 and i.updated_at < now() - make_interval(secs => ${CLOSE_AFTER_S})))`;
      await sql`
        update announcements a set closed_at = now()
        where a.outlet = ${outlet} and a.closed_at is null and a.kind = 'incident' and ${isLead()}
          and not exists (select from incidents i where i.id = a.incident_id)`;
      await sql`
        update announcements s set closed_at = now()
        where s.outlet = ${outlet} and s.kind = 'storm' and s.subject = '' and s.closed_at is null and s.content ? 'ended_at'
          and s.state in ('sent', 'failed') and s.sent_at < now() - make_interval(secs => ${CLOSE_AFTER_S}) and ${isLead()}
          and ((s.content->>'ended_at')::timestamptz < now() - make_interval(secs => ${STORM_CLOSE_AFTER_S})
            or not exists (select from announcements a join incidents i on i.id = a.incident_id
              where a.storm_id = s.id and a.kind = 'incident'
                and (i.status <> 'resolved' or i.updated_at > now() - make_interval(secs => ${CLOSE_AFTER_S}))))`;
    },

    /** Seconds until something is due by its time alone; null when nothing is. What is due already waits for something else. */
    async nextDueInS(): Promise<number | null> {
      const [row] = await sql<{ inS: number | null }[]>`
        select extract(epoch from min(next_attempt_at) - now())::float8 as "inS" from announcements
        where outlet = ${outlet} and closed_at is null and next_attempt_at > now() and next_attempt_at < 'infinity'`;
      return row?.inS ?? null;
    },
  };
}

export type OutletStore = ReturnType<typeof createOutletStore>;
