import type { Sql, TransactionSql } from "postgres";
import type { DecisionAction, IgnoreVariant } from "../protocol/actions.ts";
import type { Decision, DecisionState, Press } from "./model.ts";

type Query = Sql | TransactionSql;

/** Open decisions of one look. */
const OPEN_MAX = 500;
/** Whoever takes a decision that is due has this long; then another may. */
const CLAIM_SECONDS = 15;
/** Longest wait after a failure. */
const RETRY_SECONDS_MAX = 60;

/** An incident as a press finds it. */
export interface PressedIncident {
  type: string;
  source: string;
  host: string;
  status: string;
}

/** A decision with all that decides about it. */
export interface Watched {
  id: string;
  incidentId: number;
  action: DecisionAction;
  variant: IgnoreVariant | null;
  actor: string;
  actorName: string;
  state: DecisionState;
  outcome: string | null;
  /** Commands that were tried to be sent. */
  sends: number;
  /** Looks at the host. */
  checks: number;
  /** Tries in a row that threw. */
  failures: number;
  commandId: string | null;
  ended: boolean;
  agentId: string;
  type: string;
  source: string;
  host: string;
  incidentStatus: string;
  /** Since the press, seconds. */
  ageS: number;
  /** Since it was carried out, seconds; null before. */
  elapsedS: number | null;
  /** Of the command; null where there is none. */
  command: {
    status: string;
    isSent: boolean;
    isLate: boolean;
    output: string | null;
    error: string | null;
    exitCode: number | null;
    sentAgoS: number | null;
  } | null;
  /** The first alert of the same problem since it was carried out: so many seconds after that. */
  failedAfterS: number | null;
  /** The agent's recovery report: so many seconds after the command was sent. */
  recoveredAfterS: number | null;
}

/** What becomes of a decision, written in one transaction with its line in the timeline. */
export interface Outcome {
  state: DecisionState;
  /** As people read it. */
  words: string | null;
  /** Nothing more will come of it. */
  ends: boolean;
  /** When somebody looks next, seconds from `carried_out_at` or, before that, from now; null for never. */
  dueS?: number | null;
  /** The command's result is there: says when it was carried out. */
  isCarriedOut?: boolean;
  /** Its command will never go out: the next try is another one. */
  isAnew?: boolean;
  checks?: number;
}

/** What one turn of the loop finds. */
export interface Due {
  /** Taken for this caller alone, for a while. */
  ids: string[];
  /** There are decisions to which something may have happened. */
  isAnyOpen: boolean;
  /** Milliseconds until the next that is not taken is due; null where there is none. */
  nextMs: number | null;
}

/** The SQL of decisions. */
export function createDecisionStore(sql: Sql) {
  return {
    /**
     * A new decision, due at once, or taken already by whoever adds it; `commandId` is what it is to become first, null where it needs no
     * host. False when there is one of its id, or a restart of the incident is open already.
     */
    async add(
      tx: TransactionSql,
      id: string,
      press: Press,
      { commandId, isTaken }: { commandId: string | null; isTaken: boolean },
    ): Promise<boolean> {
      const { incidentId, action, variant, actor, actorName, outlet } = press;
      const added = await tx`
        insert into decisions (id, incident_id, action, variant, actor, actor_name, outlet, command_id, sends, due_at)
        values (${id}, ${incidentId}, ${action}, ${variant}, ${actor}, ${actorName}, ${outlet}, ${commandId},
          ${commandId === null ? 0 : 1}, now() + make_interval(secs => ${isTaken ? CLAIM_SECONDS : 0}))
        on conflict do nothing returning id`;
      return added.count > 0;
    },

    async exists(tx: TransactionSql, id: string): Promise<boolean> {
      return (await tx`select from decisions where id = ${id}`).count > 0;
    },

    async incident(tx: TransactionSql, id: number): Promise<PressedIncident | undefined> {
      const [row] = await tx<PressedIncident[]>`
        select i.type, i.source, coalesce(a.hostname, a.id::text) as host, i.status
        from incidents i join agents a on a.id = i.agent_id where i.id = ${id}`;
      return row;
    },

    /** Who else decided the same about the incident, and nothing has come of it yet. */
    async openLike(tx: TransactionSql, id: string, { incidentId, action }: Press): Promise<string | undefined> {
      const [row] = await tx<{ name: string }[]>`
        select actor_name as name from decisions
        where incident_id = ${incidentId} and action = ${action} and ended_at is null and id <> ${id} limit 1`;
      return row?.name;
    },

    /** Who decided last what stands now. */
    async lastLike(tx: TransactionSql, { incidentId, action, variant }: Press): Promise<string | undefined> {
      const [row] = await tx<{ name: string }[]>`
        select actor_name as name from decisions
        where incident_id = ${incidentId} and action = ${action} and variant is not distinct from ${variant} and state = 'done'
        order by requested_at desc limit 1`;
      return row?.name;
    },

    /** As people see it: without its command until there is one. */
    async get(id: string): Promise<Decision | undefined> {
      const [row] = await sql<Decision[]>`
        select id, incident_id, action, variant, actor, actor_name, outlet, state,
          (select c.id from commands c where c.id = decisions.command_id) as command_id, outcome, requested_at, carried_out_at, ended_at from decisions where id = ${id}`;
      return row;
    },

    async find(id: string): Promise<Watched | undefined> {
      return (await watched(sql, sql`d.id = ${id}`))[0];
    },

    /** The decision for this transaction alone. Taken before the locks of its agent and its incident, never after. */
    async lock(tx: TransactionSql, id: string): Promise<Watched | undefined> {
      await tx`select from decisions where id = ${id} for update`;
      return (await watched(tx, tx`d.id = ${id}`))[0];
    },

    /** Decisions to which something may have happened: those that wait, and those whose result came after all. */
    async findOpen(): Promise<Watched[]> {
      return watched(
        sql,
        sql`
          d.id in (
            select id from decisions where ended_at is null and command_id is not null
            union all
            select late.id from decisions late join commands on commands.id = late.command_id and commands.late
            where late.state = 'no_answer')
          and (d.state = 'verifying' or c.status not in ('pending', 'sent'))`,
      );
    },

    /** Takes what is due, `max` at most. The one query of a turn while there are no open decisions. */
    async claimDue(max: number): Promise<Due> {
      const [row] = await sql<Due[]>`
        with taken as (
          update decisions set due_at = now() + make_interval(secs => ${CLAIM_SECONDS})
          where id in (
            select id from decisions where ended_at is null and due_at <= now()
            order by due_at limit ${max} for update skip locked)
          returning id)
        select array(select id from taken) as ids,
          exists(select from decisions where ended_at is null) or exists(
            select from decisions d join commands c on c.id = d.command_id and c.late where d.state = 'no_answer') as "isAnyOpen",
          (select extract(epoch from min(due_at) - clock_timestamp())::float8 * 1000 from decisions
            where ended_at is null and id not in (select id from taken)) as "nextMs"`;
      return row ?? { ids: [], isAnyOpen: false, nextMs: null };
    },

    /** A try threw: the next comes later. Times in a row that it did; undefined when there is no next. */
    async fail(id: string): Promise<number | undefined> {
      const [row] = await sql<{ failures: number }[]>`
        update decisions set failures = failures + 1,
          due_at = now() + make_interval(secs => least(power(2, failures + 1), ${RETRY_SECONDS_MAX}))
        where id = ${id} and ended_at is null returning failures`;
      return row?.failures;
    },

    /** Which command it is to become. */
    async aim(id: string, commandId: string, sends: number): Promise<void> {
      await sql`
        update decisions set command_id = ${commandId}, sends = ${sends}
        where id = ${id} and state = 'requested' and command_id is null`;
    },

    async markSent(id: string): Promise<void> {
      await sql`
        update decisions set state = 'sent', due_at = null, failures = 0 where id = ${id} and state = 'requested'`;
    },

    /** The host was asked for this check: time for its answer. */
    async defer(id: string, checks: number, seconds: number): Promise<void> {
      await sql`
        update decisions set due_at = now() + make_interval(secs => ${seconds}), failures = 0
        where id = ${id} and state = 'verifying' and checks = ${checks} and ended_at is null`;
    },

    /** Which of these commands have an answer. */
    async findAnswered(commandIds: readonly string[]): Promise<string[]> {
      const rows = await sql<{ id: string }[]>`
        select id from commands where id = any(${commandIds as string[]}::uuid[]) and status not in ('pending', 'sent')`;
      return rows.map(({ id }) => id);
    },

    async write(tx: TransactionSql, { id, incidentId, checks }: Watched, outcome: Outcome): Promise<void> {
      const { state, words, ends, dueS = null, isCarriedOut = false, isAnew = false } = outcome;
      await tx`
        with carried as (
          select case when ${isCarriedOut}::boolean then least(
            greatest(c.finished_at, c.sent_at + make_interval(secs => coalesce(c.duration_ms, 0) / 1000.0)),
            (select min(at) from events e where e.incident_id = ${incidentId} and e.command_id = c.id and e.kind = 'result'),
            now()) else d.carried_out_at end as at
          from decisions d left join commands c on c.id = d.command_id where d.id = ${id})
        update decisions d set state = ${state}, outcome = ${words}, checks = ${outcome.checks ?? checks}, failures = 0,
          command_id = case when ${isAnew}::boolean then null else d.command_id end,
          carried_out_at = carried.at, ended_at = case when ${ends}::boolean then coalesce(d.ended_at, now()) end,
          due_at = coalesce(carried.at, now()) + make_interval(secs => ${dueS}::float8)
        from carried where d.id = ${id}`;
    },

    /** The open incident of the same problem, unless an alert came for it since it was carried out. */
    async cleared(tx: TransactionSql, id: string): Promise<number | undefined> {
      const [row] = await tx<{ id: number }[]>`
        select o.id from decisions d join incidents i on i.id = d.incident_id
        join incidents o on o.agent_id = i.agent_id and o.type = i.type and o.source = i.source
          and o.fingerprint = i.fingerprint and o.status <> 'resolved' and o.last_seen_at <= d.carried_out_at
        where d.id = ${id}`;
      return row?.id;
    },

    /** Forgets a chunk of what ended more than `retentionMs` ago; returns how many. */
    async deleteOld(retentionMs: number): Promise<number> {
      const deleted = await sql`
        delete from decisions where id in (
          select id from decisions where ended_at < now() - ${retentionMs} * interval '1 ms' limit 2000)`;
      return deleted.count;
    },
  };
}

export type DecisionStore = ReturnType<typeof createDecisionStore>;

async function watched(query: Query, condition: ReturnType<Query>): Promise<Watched[]> {
  const rows = await query<Watched[]>`
    select d.id, d.incident_id as "incidentId", d.action, d.variant, d.actor, d.actor_name as "actorName", d.state,
      d.outcome, d.sends, d.checks, d.failures, d.command_id as "commandId", d.ended_at is not null as ended, i.agent_id as "agentId", i.type,
      i.source, coalesce(a.hostname, a.id::text) as host, i.status as "incidentStatus",
      extract(epoch from clock_timestamp() - d.requested_at)::float8 as "ageS",
      extract(epoch from clock_timestamp() - d.carried_out_at)::float8 as "elapsedS",
      case when c.id is not null then jsonb_build_object('status', c.status, 'isSent', c.sent_at is not null,
        'isLate', c.late, 'output', c.output, 'error', c.error, 'exitCode', c.exit_code,
        'sentAgoS', extract(epoch from clock_timestamp() - c.sent_at)) end as command,
      extract(epoch from failed.at - d.carried_out_at)::float8 as "failedAfterS",
      extract(epoch from recovered.at - c.sent_at)::float8 as "recoveredAfterS"
    from decisions d join incidents i on i.id = d.incident_id join agents a on a.id = i.agent_id
    left join commands c on c.id = d.command_id
    left join lateral (
      select min(f.occurred_at) as at from incidents p
      join alerts f on f.incident_id = p.id and f.state = 'firing' and f.occurred_at > d.carried_out_at
      where d.state = 'verifying' and p.agent_id = i.agent_id and p.id >= i.id and p.fingerprint = i.fingerprint
        and p.last_seen_at > d.carried_out_at) failed on true
    left join lateral (
      select min(r.occurred_at) as at from alerts r
      where d.state = 'verifying' and r.state = 'resolved' and r.agent_id = i.agent_id and r.type = i.type
        and r.source = i.source and r.occurred_at >= c.sent_at) recovered on true
    where ${condition as never} order by d.requested_at limit ${OPEN_MAX}`;
  return rows;
}
