import type { Sql, TransactionSql } from "postgres";
import { noticesOf, tellOfEach, tellOfEachLine } from "../db/changes.ts";
import { allSent } from "../db/pipeline.ts";
import type { IncidentWriter } from "../incidents/model.ts";
import type { ResultPayload } from "../protocol/frames.ts";
import type { Command, CommandStatus, ExecRequest } from "./model.ts";

type Query = Sql | TransactionSql;

/**
 * The channel on which nodes wake each other about commands: the ids of those that changed, with commas between them, or nothing,
 * which means that one waits to be sent.
 */
export const COMMANDS_CHANNEL = "opspilot_commands";

/** Ids of one notice: a payload has less than 8,000 bytes. */
const NOTICE_IDS_MAX = 200;
/** Commands of one look. */
const LOOK_MAX = 500;

/** A command before it is a row. */
interface NewCommand extends Required<Omit<ExecRequest, "waitS" | "incidentId">> {
  incidentId: number | null;
  target: string;
  ttlS: number;
}

/** A result, and the agent that sent it. */
export interface AgentResult {
  agentId: string;
  result: ResultPayload;
}

/** What a result did: `unknown` when the agent has no such command, `repeated` when it had one already. */
export type ResultEffect = "stored" | "late" | "repeated" | "unknown";

const columns = (query: Query) => query`
  id, agent_id, incident_id, command, params, status, actor, ttl_s, created_at, sent_at, finished_at, expires_at, exit_code,
  output, error, duration_ms::float8 as duration_ms, late`;

/** The SQL of commands. What people should read of them later goes to the timeline in the same transaction. */
export function createCommandStore(sql: Sql, writer: Pick<IncidentWriter, "note" | "lines">) {
  return {
    /** Tells every node which commands changed; none: that one waits to be sent. */
    tell: (ids: readonly string[]) => tell(sql, ids),

    /**
     * Stores it, to be taken, or answered where it is sent, within `seconds`; undefined when one like it is open. One statement, and so
     * one commit, tells of it and keeps its line: whoever asked waits for no more than that, and for what changes nothing on the host not
     * even until it is on the disk, where it is with its result at the latest: a database that crashes before that forgets that it was asked.
     */
    async create(
      command: NewCommand,
      { status, seconds, changesNothing }: { status: "pending" | "sent"; seconds: number; changesNothing: boolean },
    ): Promise<Command | undefined> {
      const { id, agentId, incidentId, command: name, params, target, actor, ttlS } = command;
      const line = sql`
        (select 'command', actor, agent_id, incident_id, id, jsonb_build_object('command', command, 'params', params), 1 from made)`;
      const unflushed = changesNothing
        ? sql`cross join (select set_config('synchronous_commit', 'off', true)) unflushed`
        : sql``;
      const [row] = await sql<Command[]>`
        with made as (
          insert into commands (id, agent_id, incident_id, command, params, target, actor, status, ttl_s, sent_at, expires_at)
          values (${id}, ${agentId}, ${incidentId}, ${name}, ${sql.json(params as never)}, ${target}, ${actor}, ${status}, ${ttlS},
            case when ${status}::text = 'sent' then now() end, now() + make_interval(secs => ${seconds}))
          on conflict do nothing returning *, ${tellOfEach(sql, "commands")}),
        noted as (${writer.lines(sql, line)} returning ${tellOfEachLine(sql)})
        select ${columns(sql)} from made ${unflushed}`;
      return row;
    },

    /** pending → sent, for the one caller that may then write them to sockets: those that were pending still. */
    async markSent(ids: readonly string[], graceSeconds: number): Promise<Command[]> {
      return sql<Command[]>`
        update commands set status = 'sent', sent_at = now(), expires_at = now() + make_interval(secs => ttl_s + ${graceSeconds})
        where id = any(${ids as string[]}::uuid[]) and status = 'pending' returning ${columns(sql)}`;
    },

    /** Ends commands that could not be sent, and says so to every node. */
    async markFailed(ids: readonly string[], error: string): Promise<void> {
      await sql`
        update commands set status = 'failed', error = ${error}, finished_at = now()
        where id = any(${ids as string[]}::uuid[]) and status in ('pending', 'sent')`;
      await tell(sql, ids);
    },

    async get(id: string): Promise<Command | undefined> {
      const [row] = await sql<Command[]>`select ${columns(sql)} from commands where id = ${id}`;
      return row;
    },

    /** Those of these commands that are there. */
    async some(ids: readonly string[]): Promise<Command[]> {
      return sql<Command[]>`select ${columns(sql)} from commands where id = any(${ids as string[]}::uuid[])`;
    },

    async list(agentId: string, limit: number, cursor: string | undefined): Promise<Command[]> {
      const after = cursor
        ? sql`and (created_at, id) < (select created_at, id from commands where id = ${cursor}::uuid)`
        : sql``;
      return sql<Command[]>`
        select ${columns(sql)} from commands where agent_id = ${agentId} ${after}
        order by created_at desc, id desc limit ${limit}`;
    },

    /** Milliseconds until the next open command expires, null where none is open, and whether one waits to be sent. */
    async due(): Promise<{ expiresMs: number | null; isPending: boolean }> {
      const [row] = await sql<{ expiresMs: number | null; isPending: boolean }[]>`
        select extract(epoch from min(expires_at) - now())::float8 * 1000 as "expiresMs",
          exists(select from commands where status = 'pending') as "isPending"
        from commands where status in ('pending', 'sent')`;
      return row ?? { expiresMs: null, isPending: false };
    },

    /** Pending commands of the agents that this node holds, oldest first. */
    async findPending(nodeId: string): Promise<{ id: string; agentId: string }[]> {
      return sql<{ id: string; agentId: string }[]>`
        select c.id, c.agent_id as "agentId" from commands c join agents a on a.id = c.agent_id
        where c.status = 'pending' and c.expires_at > now() and a.node_id = ${nodeId}
        order by c.created_at limit ${LOOK_MAX}`;
    },

    /** Ends commands whose time is over, and says so to every node. */
    async expire(): Promise<void> {
      await sql.begin(async (tx) => {
        const expired = await tx<{ commandId: string; agentId: string; incidentId: number | null }[]>`
          update commands set status = 'expired', finished_at = now()
          where id in (
            select id from commands where status in ('pending', 'sent') and expires_at < now()
            order by expires_at limit ${LOOK_MAX} for update skip locked)
          returning id as "commandId", agent_id as "agentId", incident_id as "incidentId"`;
        if (expired.length === 0) return;
        const notes = expired.map((one) => ({ ...one, kind: "command.expired", actor: "system" }));
        await writer.note(tx, notes);
        const ids = expired.map(({ commandId }) => commandId);
        await tell(tx, ids);
      });
    },

    /** Forgets a chunk of the commands that are older than `retentionMs`; returns how many. */
    async deleteOld(retentionMs: number): Promise<number> {
      const deleted = await sql`
        delete from commands where id in (
          select id from commands where created_at < now() - ${retentionMs} * interval '1 ms'
            and status not in ('pending', 'sent') limit 2000 for update skip locked)`;
      return deleted.count;
    },

    /**
     * Stores results, each command's first one; what each did, in order. One that comes after its command expired is kept beside the
     * status, marked late. The number of statements does not depend on the number of results.
     */
    async recordResults(tx: TransactionSql, results: readonly AgentResult[]): Promise<ResultEffect[]> {
      const rows = await tx<OpenCommand[]>`
        select id, agent_id as "agentId", incident_id as "incidentId", status, late from commands
        where (id, agent_id) in (
          select * from unnest(${results.map(({ result }) => result.command_id)}::uuid[],
            ${results.map(({ agentId }) => agentId)}::uuid[]))
        order by id for update`;
      const news: News[] = [];
      const effects = effectsOf(results, rows, news);
      if (news.length === 0) return effects;
      const notes = news.map(({ command, result: { status, exit_code = null }, isLate: late }) => {
        const { id: commandId, agentId, incidentId } = command;
        return { kind: "result", actor: "agent", agentId, incidentId, commandId, data: { status, late, exit_code } };
      });
      const ids = news.map(({ command }) => command.id);
      await allSent([write(tx, news), writer.note(tx, notes), tell(tx, ids)]);
      return effects;
    },
  };
}

export type CommandStore = ReturnType<typeof createCommandStore>;

/** Within a transaction, at its commit. */
async function tell(query: Query, ids: readonly string[]): Promise<void> {
  const notices = Array.from({ length: Math.max(1, Math.ceil(ids.length / NOTICE_IDS_MAX)) }, (_, at) =>
    ids.slice(at * NOTICE_IDS_MAX, (at + 1) * NOTICE_IDS_MAX).join(","),
  );
  await query`
    select pg_notify(channel, notice) from (
      select ${COMMANDS_CHANNEL}::text as channel, notice from unnest(${notices}::text[]) notice
      union all select * from ${noticesOf(query, "commands", ids)} told) all_told`;
}

/** A command as a result finds it, locked. */
interface OpenCommand {
  id: string;
  agentId: string;
  incidentId: number | null;
  status: CommandStatus;
  late: boolean;
}

/** A result that is to be stored. */
interface News {
  command: OpenCommand;
  result: ResultPayload;
  isLate: boolean;
}

/** In the order in which they came: of several results of a command only the first is news. */
function effectsOf(results: readonly AgentResult[], rows: readonly OpenCommand[], news: News[]): ResultEffect[] {
  const commands = new Map(rows.map((row) => [`${row.id} ${row.agentId}`, row]));
  const told = new Set<OpenCommand>();
  return results.map(({ agentId, result }) => {
    const command = commands.get(`${result.command_id.toLowerCase()} ${agentId}`);
    if (!command) return "unknown";
    const isOpen = command.status === "pending" || command.status === "sent";
    if (told.has(command) || (!isOpen && (command.status !== "expired" || command.late))) return "repeated";
    told.add(command);
    news.push({ command, result, isLate: !isOpen });
    return isOpen ? "stored" : "late";
  });
}

/** One that came late leaves its command expired. */
async function write(tx: TransactionSql, news: readonly News[]): Promise<void> {
  const results = news.map(({ result }) => result);
  await tx`
    update commands c set status = r.status, late = (r.status = 'expired'), exit_code = r.exit_code, output = r.output,
      error = r.error, duration_ms = round(r.duration_ms), finished_at = least(coalesce(to_timestamp(r.finished_at), now()), now())
    from unnest(${news.map(({ command }) => command.id)}::uuid[],
      ${news.map(({ result, isLate }) => (isLate ? "expired" : result.status))}::text[],
      ${results.map((one) => one.exit_code ?? null)}::int[], ${results.map((one) => one.output ?? null)}::text[],
      ${results.map((one) => one.error ?? null)}::text[], ${results.map((one) => one.duration_ms ?? null)}::float8[],
      ${results.map((one) => one.finished_at ?? null)}::float8[])
      r (id, status, exit_code, output, error, duration_ms, finished_at)
    where c.id = r.id`;
}
