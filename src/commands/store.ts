import { and, desc, eq, sql as raw } from "drizzle-orm";
import type { PostgresJsDatabase } from "drizzle-orm/postgres-js";
import type { Sql, TransactionSql } from "postgres";
import type * as schema from "../db/schema.ts";
import { commands, events } from "../db/schema.ts";
import type { ResultPayload } from "../protocol/payloads.ts";
import type { Command } from "./model.ts";

type Orm = PostgresJsDatabase<typeof schema>;

const COLUMNS = {
  id: commands.id,
  agent_id: commands.agentId,
  incident_id: commands.incidentId,
  command: commands.command,
  params: commands.params,
  status: commands.status,
  actor: commands.actor,
  ttl_s: commands.ttlS,
  created_at: commands.createdAt,
  sent_at: commands.sentAt,
  finished_at: commands.finishedAt,
  expires_at: commands.expiresAt,
  exit_code: commands.exitCode,
  output: commands.output,
  error: commands.error,
  duration_ms: commands.durationMs,
  late: commands.late,
};

/** A command before it is a row. */
export interface NewCommand {
  id: string;
  agentId: string;
  incidentId: number | null;
  command: string;
  params: Record<string, unknown>;
  target: string;
  actor: string;
  ttlS: number;
}

/** What a result did: `unknown` when the agent has no such command, `repeated` when it had one already. */
export type ResultEffect = "stored" | "late" | "repeated" | "unknown";

/** The SQL of commands. */
export function createCommandStore(sql: Sql, orm: Orm) {
  return {
    /** Stores it as pending, to be taken within `pendingSeconds`; undefined when one like it is open. */
    async create(command: NewCommand, pendingSeconds: number): Promise<Command | undefined> {
      return orm.transaction(async (tx) => {
        const [row] = await tx
          .insert(commands)
          .values({ ...command, expiresAt: raw`now() + make_interval(secs => ${pendingSeconds})` })
          .onConflictDoNothing()
          .returning(COLUMNS);
        if (!row) return undefined;
        await tx.insert(events).values({
          kind: "command",
          actor: command.actor,
          agentId: command.agentId,
          incidentId: command.incidentId,
          commandId: command.id,
          data: { command: command.command, params: command.params },
        });
        return row as Command;
      });
    },

    /** pending → sent, for the one caller that may then write it to the socket; undefined when it is pending no more. */
    async markSent(id: string, graceSeconds: number): Promise<Command | undefined> {
      const [row] = await orm
        .update(commands)
        .set({
          status: "sent",
          sentAt: raw`now()`,
          expiresAt: raw`now() + make_interval(secs => ${commands.ttlS} + ${graceSeconds})`,
        })
        .where(and(eq(commands.id, id), eq(commands.status, "pending")))
        .returning(COLUMNS);
      return row as Command | undefined;
    },

    /** Ends a command that could not be sent. */
    async markFailed(id: string, error: string): Promise<void> {
      await sql`
        update commands set status = 'failed', error = ${error}, finished_at = now()
        where id = ${id} and status in ('pending', 'sent')`;
    },

    async get(id: string): Promise<Command | undefined> {
      const [row] = await orm.select(COLUMNS).from(commands).where(eq(commands.id, id));
      return row as Command | undefined;
    },

    async list(agentId: string, limit: number, cursor: string | undefined): Promise<Command[]> {
      const after = cursor
        ? raw`(${commands.createdAt}, ${commands.id}) < (select created_at, id from commands where id = ${cursor}::uuid)`
        : undefined;
      const rows = await orm
        .select(COLUMNS)
        .from(commands)
        .where(and(eq(commands.agentId, agentId), after))
        .orderBy(desc(commands.createdAt), desc(commands.id))
        .limit(limit);
      return rows as Command[];
    },

    /** Pending commands of these agents, oldest first: what a node that holds them must send. */
    async findPending(agentIds: readonly string[]): Promise<{ id: string; agentId: string }[]> {
      const rows = await sql<{ id: string; agent_id: string }[]>`
        select id, agent_id from commands where agent_id = any(${agentIds as string[]}) and status = 'pending'
          and expires_at > now() order by created_at`;
      return rows.map((row) => ({ id: row.id, agentId: row.agent_id }));
    },

    /** Commands whose time is over; returns their ids. */
    async expire(): Promise<string[]> {
      const rows = await sql<{ id: string }[]>`
        with expired as (
          update commands set status = 'expired', finished_at = now()
          where status in ('pending', 'sent') and expires_at < now() returning id, agent_id, incident_id),
        noted as (
          insert into events (kind, actor, agent_id, incident_id, command_id)
          select 'command.expired', 'system', agent_id, incident_id, id from expired)
        select id from expired`;
      return rows.map((row) => row.id);
    },

    /** Forgets a chunk of the commands that are older than `retentionMs`; returns how many. */
    async deleteOld(retentionMs: number): Promise<number> {
      const deleted = await sql`
        delete from commands where id in (
          select id from commands where created_at < now() - ${retentionMs} * interval '1 ms'
            and status not in ('pending', 'sent') limit 2000 for update skip locked)`;
      return deleted.count;
    },

    /** Stores a result, once. One that comes after the command expired is kept beside the status, marked late. */
    async recordResult(tx: TransactionSql, agentId: string, result: ResultPayload): Promise<ResultEffect> {
      const [command] = await tx<{ status: string; late: boolean; incident_id: number | null }[]>`
        select status, late, incident_id from commands where id = ${result.command_id} and agent_id = ${agentId} for update`;
      if (!command) return "unknown";
      const isOpen = command.status === "pending" || command.status === "sent";
      if (!isOpen && (command.status !== "expired" || command.late)) return "repeated";
      await tx`
        update commands set status = ${isOpen ? result.status : command.status}, late = ${!isOpen},
          exit_code = ${result.exit_code ?? null}, output = ${result.output ?? null}, error = ${result.error ?? null},
          duration_ms = ${result.duration_ms === undefined ? null : Math.round(result.duration_ms)},
          finished_at = coalesce(to_timestamp(${result.finished_at ?? null}::float8), now())
        where id = ${result.command_id}`;
      await tx`
        insert into events (kind, actor, agent_id, incident_id, command_id, data)
        values ('result', 'agent', ${agentId}, ${command.incident_id}, ${result.command_id},
          ${tx.json({ status: result.status, late: !isOpen, exit_code: result.exit_code ?? null })})`;
      return isOpen ? "stored" : "late";
    },
  };
}

export type CommandStore = ReturnType<typeof createCommandStore>;
