/**
 * The only writer of `incidents` and of the timeline (`events`) beside what opens and joins incidents (alert-store.ts) and what
 * forgets them (ageing-store.ts). Each function takes the transaction and many ids, and locks in one order: first the agents
 * where an incident is resolved, then the incidents by id, those included that a change is shown by. So no two of them wait for
 * each other. Each change raises the incident's revision, and whoever follows incidents is woken at the commit.
 */
import type { PendingQuery, Row, Sql, TransactionSql } from "postgres";
import { noticesOf, tellOfLines } from "../db/changes.ts";
import { lockAgents } from "../db/lock-keys.ts";
import { actorName } from "../protocol/actors.ts";
import { attachToCauses, holdForExplaining } from "./cause-store.ts";
import type { CauseLink, ExplainedIncident, IncidentWriter, Note, StatusSetting } from "./model.ts";

/** The channel on which changes of incidents are told, without words: whoever follows them looks for what is behind. */
export const INCIDENTS_CHANNEL = "opspilot_incidents";

/**
 * Locks incidents until the end of the transaction. Of those in `withRelatives` the cause is locked, too, whose message names what
 * follows from it, and the consequences, which are told once their cause is over. Returns all that are locked.
 */
export async function lockIncidents(
  tx: TransactionSql,
  ids: readonly number[],
  withRelatives: readonly number[] = [],
): Promise<number[]> {
  const rows = await tx<{ id: number }[]>`
    select id from incidents where id = any(array(
      select unnest(${ids as number[]}::int[])
      union select parent_id from incidents where id = any(${withRelatives as number[]}::int[]) and parent_id is not null
      union select id from incidents where parent_id = any(${withRelatives as number[]}::int[])))
    order by id for no key update`;
  return rows.map(({ id }) => id);
}

/**
 * Raises the revision of what shows these incidents, among those that are locked: their causes, and what follows from them. One that
 * was tied to them since sees the change by itself.
 */
export async function touchRelatives(
  tx: TransactionSql,
  ids: readonly number[],
  locked: readonly number[],
): Promise<void> {
  if (ids.length === 0 || locked.length === ids.length) return;
  await tx`
    update incidents set revision = revision + 1, updated_at = now()
    where id = any(${locked as number[]}::int[])
      and (id in (select parent_id from incidents where id = any(${ids as number[]}::int[])) or parent_id = any(${ids as number[]}::int[]))`;
}

/** Wakes whoever follows incidents, at the commit, and tells whoever shows them which changed. */
export async function wakeFollowers(tx: Sql | TransactionSql, ids: readonly number[] = []): Promise<void> {
  await tx`
    select pg_notify(channel, notice) from (
      select ${INCIDENTS_CHANNEL}::text as channel, '' as notice union all select * from ${noticesOf(tx, "incidents", ids)} told) all_told`;
}

/** What is explained for the first time is linked and tied to its cause as well: people are told of it next. */
async function explain(
  tx: TransactionSql,
  explained: readonly ExplainedIncident[],
  { isFirst }: { isFirst: boolean },
): Promise<number[]> {
  const ids = explained.map(({ id }) => id);
  if (!isFirst) {
    await lockIncidents(tx, ids);
    return writeExplanations(tx, explained, false);
  }
  const held = await holdForExplaining(tx, ids);
  const written = await writeExplanations(tx, explained, true);
  await link(tx, written, held);
  await attachToCauses(tx, written, { attach }, held);
  return written;
}

async function writeExplanations(
  tx: TransactionSql,
  explained: readonly ExplainedIncident[],
  isFirst: boolean,
): Promise<number[]> {
  const rows = await tx<{ id: number }[]>`
    update incidents i set ai_analysis = e.ai_analysis, ai_solution = e.ai_solution, analysis = e.analysis::jsonb,
      status = case when i.status = 'new' then 'analyzed' else i.status end, revision = i.revision + 1, updated_at = now()
    from unnest(${explained.map(({ id }) => id)}::int[], ${explained.map(({ aiAnalysis }) => aiAnalysis)}::text[],
      ${explained.map(({ aiSolution }) => aiSolution)}::text[],
      ${explained.map(({ analysis }) => JSON.stringify(analysis))}::text[]) e (id, ai_analysis, ai_solution, analysis)
    where i.id = e.id and (i.analysis is null or not ${isFirst}::boolean) returning i.id`;
  const written = rows.map(({ id }) => id);
  if (written.length > 0) await wakeFollowers(tx, written);
  return written;
}

async function unask(tx: TransactionSql, ids: readonly number[], unasked: { outcome: string; why: string }) {
  await lockIncidents(tx, ids);
  await tx`
    update incidents set analysis = jsonb_set(analysis, '{model}', ${tx.json(unasked)}), revision = revision + 1, updated_at = now()
    where id = any(${ids as number[]}::int[]) and analysis is not null and analysis->>'by' = 'heuristic'`;
  await wakeFollowers(tx, ids);
}

/** `held`, where it is given, names the rows that are locked: only these are written to. */
async function link(tx: TransactionSql, ids: readonly number[], held?: ReadonlySet<number>): Promise<void> {
  const found = await tx<{ id: number; previous: number }[]>`
    select n.id, last.id as previous from incidents n
    cross join lateral (
      select id from incidents where fingerprint = n.fingerprint and status = 'resolved' and id < n.id
      order by fingerprint, id desc limit 1) last
    where n.id = any(${ids as number[]}::int[]) and n.previous_id is null`;
  const links = found.filter(({ previous }) => held?.has(previous) !== false);
  if (links.length === 0) return;
  const both = links.flatMap(({ id, previous }) => [id, previous]);
  await lockIncidents(tx, both);
  await tx`
    with l as (
      select * from unnest(${links.map(({ id }) => id)}::int[], ${links.map(({ previous }) => previous)}::int[]) l (id, previous)),
    newer as (
      update incidents i set previous_id = l.previous, revision = i.revision + 1, updated_at = now() from l
      where i.id = l.id and i.previous_id is null returning i.id)
    update incidents i set next_id = l.id, revision = i.revision + 1, updated_at = now() from l
    where i.id = l.previous and l.id in (select id from newer)`;
  await wakeFollowers(tx, both);
}

async function attach(tx: TransactionSql, links: readonly CauseLink[]): Promise<void> {
  if (links.length === 0) return;
  const causes = [...new Set(links.map(({ causeId }) => causeId))];
  await lockIncidents(tx, [...links.map(({ id }) => id), ...causes]);
  const attached = await tx<{ id: number }[]>`
    update incidents i set parent_id = l.cause_id, revision = i.revision + 1, updated_at = now(),
      reason = case when i.status = 'resolved' then i.reason else l.reason end
    from unnest(${links.map(({ id }) => id)}::int[], ${links.map(({ causeId }) => causeId)}::int[],
      ${links.map(({ reason }) => reason)}::text[]) l (id, cause_id, reason)
    where i.id = l.id and i.parent_id is null returning i.id`;
  const ids = new Set(attached.map(({ id }) => id));
  const mine = links.filter(({ id }) => ids.has(id));
  if (ids.size > 0) await wakeFollowers(tx, [...ids]);
  await touch(tx, [...new Set(mine.map(({ causeId }) => causeId))]);
  const line = { kind: "consequence", actor: "system" };
  const notes = mine.map(({ id, causeId, reason: why }) => ({
    ...line,
    incidentId: id,
    data: { cause_id: causeId, why },
  }));
  await note(tx, notes);
}

async function touch(tx: TransactionSql, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  await lockIncidents(tx, ids);
  await tx`update incidents set revision = revision + 1, updated_at = now() where id = any(${ids as number[]}::int[])`;
  await wakeFollowers(tx, ids);
}

/** An incident that is gone takes no line: who forgot it forgot its timeline. */
function lines(query: Sql | TransactionSql, rows: PendingQuery<Row[]>): PendingQuery<Row[]> {
  return query`
    insert into events (at, kind, actor, agent_id, incident_id, command_id, data)
    select now(), n.kind, n.actor, coalesce(n.agent_id, i.agent_id), n.incident_id, n.command_id, n.data::jsonb
    from ${rows} n (kind, actor, agent_id, incident_id, command_id, data, no)
    left join incidents i on i.id = n.incident_id
    where n.incident_id is null or i.id is not null order by n.no`;
}

async function note(tx: Sql | TransactionSql, notes: readonly Note[]): Promise<void> {
  if (notes.length === 0) return;
  const data = notes.map((one) => (one.data == null ? null : JSON.stringify(one.data)));
  const rows = tx`
    unnest(${notes.map(({ kind }) => kind)}::text[], ${notes.map(({ actor }) => actor)}::text[],
      ${notes.map((one) => one.agentId ?? null)}::uuid[], ${notes.map((one) => one.incidentId ?? null)}::int[],
      ${notes.map((one) => one.commandId ?? null)}::uuid[], ${data}::text[]) with ordinality`;
  await tx`with noted as (${lines(tx, rows)} returning id) ${tellOfLines(tx, "noted")}`;
}

/** Of several settings of one incident the first counts. */
async function setStatus(tx: TransactionSql, settings: readonly StatusSetting[]): Promise<Set<number>> {
  const byId = new Map([...settings].reverse().map((one) => [one.incidentId, one]));
  const ids = [...byId.keys()];
  if (ids.length === 0) return new Set();
  const agents = await tx<{ agent: string }[]>`
    select distinct agent_id::text as agent from incidents where id = any(${ids}::int[])`;
  const agentIds = agents.map(({ agent }) => agent);
  await lockAgents(tx, agentIds);
  const locked = await lockIncidents(tx, ids, ids);
  const wanted = [...byId.values()];
  const reasons = wanted.map(({ reason, actor }) => reason ?? `resolved by ${actorName(actor)}`);
  const rows = await tx<{ id: number }[]>`
    update incidents i set status = s.status, revision = i.revision + 1, updated_at = now(),
      resolved_at = case when s.status = 'resolved' then now() end,
      reason = case when s.status = 'resolved' then s.reason else i.reason end
    from unnest(${wanted.map(({ incidentId }) => incidentId)}::int[], ${wanted.map(({ status }) => status)}::text[],
      ${reasons}::text[]) s (id, status, reason)
    where i.id = s.id and i.status <> 'resolved' returning i.id`;
  const changed = new Set(rows.map(({ id }) => id));
  const mine = wanted.filter(({ incidentId }) => changed.has(incidentId));
  const resolved = mine.filter(({ status }) => status === "resolved").map(({ incidentId }) => incidentId);
  await touchRelatives(tx, resolved, locked);
  const notes = mine.map(({ incidentId, status: kind, actor, data = null }) => ({ kind, actor, incidentId, data }));
  await note(tx, notes);
  if (changed.size > 0) await wakeFollowers(tx, locked);
  return changed;
}

/** Makes the writer. */
export function createIncidentWriter(): IncidentWriter {
  const hold = async (tx: TransactionSql, ids: readonly number[]) => void (await lockIncidents(tx, ids, ids));
  return { explain, unask, link, attach, setStatus, hold, touch, wake: wakeFollowers, note, lines };
}
