import type { Sql, TransactionSql } from "postgres";
import { isTargetName } from "../../protocol/commands.ts";
import type { InvestigationStep, InvestigationView } from "../model.ts";
import type { RecentIncident } from "../prompt.ts";
import type { Listed } from "./guard.ts";
import type { BegunStep, Step } from "./loop.ts";
import type { ReportSubject } from "./report.ts";

/** Incidents of a host whose units and containers may be named. */
const LISTED_MAX = 200;
const FIRST_LINE_CHARS_MAX = 300;
const SHOWN_MAX = 10;

/** An investigation as it is begun, or gone on with. */
export interface BegunInvestigation {
  id: string;
  incidentId: number;
  actor: string | null;
  /** Servers that have begun it, this one included. */
  attempts: number;
  /** Since it was asked for. */
  ageS: number;
  isResolved: boolean;
}

/** One that waits for its job. */
export interface NewInvestigation {
  id: string;
  incidentId: number;
  actor: string | null;
}

/** How one ended. */
export interface EndedInvestigation {
  state: "done" | "failed";
  outcome: string;
  why: string | null;
  protocol: string | null;
}

/** What a turn cost. */
export interface TurnUsage {
  promptTokens: number;
  completionTokens: number;
  costUsd: number | null;
}

/** An earlier incident, with what was tried. */
export interface EarlierIncident extends RecentIncident {
  reason: string | null;
  isSameHost: boolean;
  /** "restart cleared it", "restart did not help". */
  tried: string[];
  /** What people said it was, and what helped. */
  saidCause: string | null;
  saidFix: string | null;
}

/** The SQL of investigations. */
export function createInvestigationStore(sql: Sql) {
  return {
    /** Rows that wait for their jobs; those that are new: of an incident one is under way at a time, and each id is taken once. */
    async create(tx: TransactionSql, wanted: readonly NewInvestigation[], model: string): Promise<NewInvestigation[]> {
      return tx<NewInvestigation[]>`
        insert into investigations (id, incident_id, actor, model)
        select id, incident_id, actor, ${model} from unnest(${wanted.map(({ id }) => id)}::uuid[],
          ${wanted.map(({ incidentId }) => incidentId)}::int[], ${wanted.map(({ actor }) => actor)}::text[])
          w (id, incident_id, actor)
        on conflict do nothing returning id, incident_id as "incidentId", actor`;
    },

    /** Whether there is one of this id. */
    async has(id: string): Promise<boolean> {
      return (await sql`select from investigations where id = ${id}`).length > 0;
    },

    /** Begins it, or goes on with it; undefined where it has ended. */
    async begin(id: string): Promise<BegunInvestigation | undefined> {
      const [row] = await sql<BegunInvestigation[]>`
        update investigations n set state = 'running', attempts = attempts + 1, started_at = coalesce(started_at, now())
        where id = ${id} and ended_at is null returning id, incident_id as "incidentId", actor, attempts,
          extract(epoch from now() - requested_at)::float8 as "ageS",
          exists (select from incidents i where i.id = n.incident_id and i.status = 'resolved') as "isResolved"`;
      return row;
    },

    /** What was asked already and is answered, in its order. */
    async steps(id: string): Promise<Step[]> {
      return sql<Step[]>`
        select no, tool, arguments as given, output, state = 'refused' as "isRefused" from investigation_steps
        where investigation_id = ${id} and output is not null order by no`;
    },

    /** Before it is carried out. One that a killed server had begun is begun again. */
    async beginStep(id: string, { no, tool, given, said }: BegunStep, commandId: string | null): Promise<void> {
      await sql`
        insert into investigation_steps (investigation_id, no, tool, arguments, said, command_id)
        values (${id}, ${no}, ${tool}, ${sql.json(given as never)}, ${said}, ${commandId})
        on conflict (investigation_id, no) do update set tool = excluded.tool, arguments = excluded.arguments,
          said = excluded.said, command_id = excluded.command_id, asked_at = now()`;
    },

    async endStep(id: string, no: number, state: string, output: string): Promise<void> {
      await sql`
        update investigation_steps set state = ${state}, output = ${output}, ended_at = now()
        where investigation_id = ${id} and no = ${no}`;
    },

    async addUsage(id: string, { promptTokens, completionTokens, costUsd }: TurnUsage): Promise<void> {
      await sql`
        update investigations set prompt_tokens = prompt_tokens + ${promptTokens},
          completion_tokens = completion_tokens + ${completionTokens},
          cost_usd = case when ${costUsd}::float8 is null then cost_usd else coalesce(cost_usd, 0) + ${costUsd}::float8 end
        where id = ${id}`;
    },

    /** Ends it, once; how many calls it had made, or undefined where it has ended already. */
    async end(
      tx: TransactionSql,
      id: string,
      { state, outcome, why, protocol }: EndedInvestigation,
    ): Promise<{ incidentId: number; calls: number } | undefined> {
      const [row] = await tx<{ incidentId: number; calls: number }[]>`
        update investigations i set state = ${state}, outcome = ${outcome}, why = ${why}, ended_at = now(),
          protocol = coalesce(${protocol}, protocol)
        where id = ${id} and ended_at is null returning incident_id as "incidentId",
          (select count(*)::int from investigation_steps s where s.investigation_id = i.id) as calls`;
      return row;
    },

    /** Of the host: its list of what is allowed, and the units and containers that its own alerts were about. */
    async host(agentId: string): Promise<{ allow: unknown; listed: Listed }> {
      const [agent] = await sql<{ allow: unknown }[]>`select meta->'allow' as allow from agents where id = ${agentId}`;
      const rows = await sql<{ type: string; source: string }[]>`
        select distinct type, source from (
          select type, source from incidents where agent_id = ${agentId} and type in ('systemd', 'docker')
          order by id desc limit ${LISTED_MAX}) last`;
      const named = (kind: string) =>
        rows.flatMap(({ type, source }) => (type === kind && isTargetName(source) ? [source] : []));
      return { allow: agent?.allow, listed: { units: named("systemd"), containers: named("docker") } };
    },

    /** Earlier incidents of the host, or with the same fingerprint on any, newest first. */
    async earlier(incidentId: number, scope: "host" | "same_problem", limit: number): Promise<EarlierIncident[]> {
      const isScope = scope === "host" ? sql`i.agent_id = n.agent_id` : sql`i.fingerprint = n.fingerprint`;
      return sql<EarlierIncident[]>`
        select i.id, i.type, i.source, left(split_part(i.raw_error, E'\n', 1), ${FIRST_LINE_CHARS_MAX}) as "firstLine",
          i.analysis->>'category' as category, i.status, i.reason,
          extract(epoch from n.created_at - i.created_at)::int as "ageS", i.agent_id = n.agent_id as "isSameHost",
          array(select case d.state when 'verified' then d.action || ' cleared it' else d.action || ' did not help' end
            from decisions d where d.incident_id = i.id and d.state in ('verified', 'failed_again')
            order by d.requested_at) as tried, f.cause as "saidCause", f.fix as "saidFix"
        from incidents n join incidents i on ${isScope} and i.id < n.id left join feedback f on f.incident_id = i.id
        where n.id = ${incidentId} order by i.id desc limit ${limit}`;
    },

    /** What people are told of it. */
    async report(query: Sql | TransactionSql, id: string): Promise<ReportSubject & { incidentId: number }> {
      const [row] = await query<{ actor: string | null; incidentId: number }[]>`
        select actor, incident_id as "incidentId" from investigations where id = ${id}`;
      const steps = await query<ReportSubject["steps"][number][]>`
        select no, tool, arguments, state, output from investigation_steps where investigation_id = ${id} order by no`;
      return { actor: row?.actor ?? null, incidentId: row?.incidentId ?? 0, steps };
    },

    /** Of an incident, the newest first, each with its steps. */
    async view(incidentId: number): Promise<InvestigationView[]> {
      const rows = await sql<Omit<InvestigationView, "steps">[]>`
        select id, actor, state, outcome, why, model, protocol, prompt_tokens, completion_tokens, cost_usd, requested_at,
          started_at, ended_at
        from investigations where incident_id = ${incidentId} order by requested_at desc limit ${SHOWN_MAX}`;
      const ids = rows.map(({ id }) => id);
      const steps = await sql<(InvestigationStep & { investigationId: string })[]>`
        select investigation_id as "investigationId", no, tool, arguments, said, command_id, state, output, asked_at, ended_at
        from investigation_steps where investigation_id = any(${ids}::uuid[]) order by no`;
      return rows.map((row) => ({
        ...row,
        steps: steps.flatMap(({ investigationId, ...step }) => (investigationId === row.id ? [step] : [])),
      }));
    },

    /** Forgets a chunk of what is older than `retentionMs`; returns how many. */
    async deleteOld(retentionMs: number): Promise<number> {
      const deleted = await sql`
        with old as (
          delete from investigations where id in (
            select id from investigations where requested_at < now() - ${retentionMs} * interval '1 ms'
              and ended_at is not null limit 500 for update skip locked)
          returning id),
        steps as (delete from investigation_steps where investigation_id in (select id from old))
        select from old`;
      return deleted.length;
    },
  };
}

export type InvestigationStore = ReturnType<typeof createInvestigationStore>;
