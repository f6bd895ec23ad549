import { and, desc, eq, isNull, sql as raw } from "drizzle-orm";
import type { PostgresJsDatabase } from "drizzle-orm/postgres-js";
import type { Sql } from "postgres";
import type * as schema from "../db/schema.ts";
import { agents, events, revokedTokens } from "../db/schema.ts";
import type { Agent } from "./model.ts";

type Orm = PostgresJsDatabase<typeof schema>;

const COLUMNS = {
  id: agents.id,
  hostname: agents.hostname,
  status: agents.status,
  last_seen_at: agents.lastSeenAt,
  meta: agents.meta,
  created_at: agents.createdAt,
  connected_at: agents.connectedAt,
};

/** What is known of tokens' hashes. */
export interface KnownTokens {
  agents: Map<string, string>;
  revoked: Set<string>;
}

/** A heartbeat's worth of news about an agent. `meta` and `hostname` are null where they did not change. */
export interface PresenceUpdate {
  agentId: string;
  lastSeenAt: number;
  hostname: string | null;
  meta: Record<string, unknown> | null;
  /** Heartbeats since the last update; more than 2 are not counted. */
  heartbeats: number;
}

/** An agent and the connection of this node that holds it. */
export interface Holding {
  agentId: string;
  connectionId: string;
}

/** A connection that ended. */
export interface EndedHolding extends Holding {
  /** The agent itself closed it in good order. */
  isGoodbye: boolean;
}

/** The SQL of agents and their tokens. */
export function createFleetStore(sql: Sql, orm: Orm) {
  return {
    async findTokens(hashes: string[]): Promise<KnownTokens> {
      const rows = await sql<{ token_hash: string; id: string | null }[]>`
        select token_hash, id from agents where token_hash = any(${hashes}) and deleted_at is null
        union all select token_hash, null from revoked_tokens where token_hash = any(${hashes})`;
      const known: KnownTokens = { agents: new Map(), revoked: new Set() };
      for (const row of rows) {
        if (row.id === null) known.revoked.add(row.token_hash);
        else known.agents.set(row.token_hash, row.id);
      }
      return known;
    },

    /** Enrols as many as the limit leaves room for; returns those that are agents now, by hash. */
    async enrol(fresh: { id: string; tokenHash: string }[], limit: number): Promise<Map<string, string>> {
      const rows = await sql<{ token_hash: string; id: string }[]>`
        with room as (select greatest(0, ${limit} - count(*)) as free from agents where deleted_at is null),
        enrolled as (
          insert into agents (id, token_hash)
          select t.id, t.token_hash
          from unnest(${fresh.map((agent) => agent.id)}::uuid[], ${fresh.map((agent) => agent.tokenHash)}::text[])
            with ordinality t (id, token_hash, no)
          where t.no <= (select free from room)
          on conflict (token_hash) do nothing returning id, token_hash),
        noted as (insert into events (kind, actor, agent_id) select 'agent.enrolled', 'agent', id from enrolled)
        select token_hash, id from enrolled`;
      return new Map(rows.map((row) => [row.token_hash, row.id]));
    },

    async list(limit: number, cursor: string | undefined): Promise<Agent[]> {
      const after = cursor
        ? raw`(${agents.createdAt}, ${agents.id}) < (select created_at, id from agents where id = ${cursor}::uuid)`
        : undefined;
      const rows = await orm
        .select(COLUMNS)
        .from(agents)
        .where(and(isNull(agents.deletedAt), after))
        .orderBy(desc(agents.createdAt), desc(agents.id))
        .limit(limit);
      return rows as Agent[];
    },

    async get(id: string): Promise<Agent | undefined> {
      const [row] = await orm
        .select(COLUMNS)
        .from(agents)
        .where(and(eq(agents.id, id), isNull(agents.deletedAt)));
      return row as Agent | undefined;
    },

    async create(agent: { id: string; tokenHash: string; hostname: string | null }, actor: string): Promise<Agent> {
      return orm.transaction(async (tx) => {
        const [row] = await tx.insert(agents).values(agent).returning(COLUMNS);
        await tx.insert(events).values({ kind: "agent.created", actor, agentId: agent.id });
        return row as Agent;
      });
    },

    /** Revokes the token of an agent and, with `newHash`, gives it another; without, the agent is gone. */
    async revoke(id: string, newHash: string | null, actor: string): Promise<Agent | undefined> {
      return orm.transaction(async (tx) => {
        const [agent] = await tx
          .select({ ...COLUMNS, tokenHash: agents.tokenHash })
          .from(agents)
          .where(and(eq(agents.id, id), isNull(agents.deletedAt)))
          .for("update");
        if (!agent) return undefined;
        await tx.insert(revokedTokens).values({ tokenHash: agent.tokenHash, agentId: id }).onConflictDoNothing();
        const change = newHash === null ? { deletedAt: raw`now()`, status: "offline" } : { tokenHash: newHash };
        const [changed] = await tx.update(agents).set(change).where(eq(agents.id, id)).returning(COLUMNS);
        const kind = newHash === null ? "agent.deleted" : "agent.token_rotated";
        await tx.insert(events).values({ kind, actor, agentId: id });
        return changed as Agent;
      });
    },

    /** This node's connections hold these agents now. */
    async claim(nodeId: string, holdings: readonly Holding[]): Promise<void> {
      await sql`
        update agents a set node_id = ${nodeId}, connection_id = h.connection_id, status = 'online', connected_at = now(),
          last_seen_at = now(), goodbye_at = null
        from (select a.id, t.connection_id
          from unnest(${holdings.map((h) => h.agentId)}::uuid[], ${holdings.map((h) => h.connectionId)}::uuid[])
            t (id, connection_id)
          join agents a on a.id = t.id order by a.id for no key update of a) h
        where a.id = h.id and a.deleted_at is null`;
    },

    /** Offline, where the connection that ended still holds the agent. */
    async release(nodeId: string, holdings: readonly EndedHolding[]): Promise<void> {
      await sql`
        update agents a set status = 'offline', node_id = null, connection_id = null,
          goodbye_at = case when h.is_goodbye = 1 then now() else a.goodbye_at end
        from (select a.id, t.is_goodbye
          from unnest(${holdings.map((h) => h.agentId)}::uuid[], ${holdings.map((h) => h.connectionId)}::uuid[],
            ${holdings.map((h) => Number(h.isGoodbye))}::int[]) t (id, connection_id, is_goodbye)
          join agents a on a.id = t.id and a.node_id = ${nodeId} and a.connection_id = t.connection_id
          order by a.id for no key update of a) h
        where a.id = h.id`;
    },

    async writePresence(updates: readonly PresenceUpdate[]): Promise<void> {
      await sql`
        update agents a set last_seen_at = greatest(a.last_seen_at, to_timestamp(u.last_seen_at / 1000)),
          hostname = coalesce(u.hostname, a.hostname), meta = coalesce(u.meta::jsonb, a.meta),
          heartbeats = least(a.heartbeats + u.heartbeats, 2)
        from (select a.id, t.last_seen_at, t.hostname, t.meta, t.heartbeats
          from unnest(${updates.map((u) => u.agentId)}::uuid[], ${updates.map((u) => u.lastSeenAt)}::float8[],
            ${updates.map((u) => u.hostname)}::text[],
            ${updates.map((u) => (u.meta === null ? null : JSON.stringify(u.meta)))}::text[],
            ${updates.map((u) => u.heartbeats)}::int[]) t (id, last_seen_at, hostname, meta, heartbeats)
          join agents a on a.id = t.id order by a.id for no key update of a) u
        where a.id = u.id`;
    },

    /** Which of these agents are no longer held by the connection that this node has for them. */
    async findLost(nodeId: string, holdings: readonly Holding[]): Promise<{ agentId: string; deleted: boolean }[]> {
      const rows = await sql<{ id: string; deleted: boolean }[]>`
        select a.id, a.deleted_at is not null as deleted
        from unnest(${holdings.map((h) => h.agentId)}::uuid[], ${holdings.map((h) => h.connectionId)}::uuid[])
          t (id, connection_id)
        join agents a on a.id = t.id
        where a.deleted_at is not null
          or (a.connection_id is not null and (a.connection_id <> t.connection_id or a.node_id <> ${nodeId}))`;
      return rows.map((row) => ({ agentId: row.id, deleted: row.deleted }));
    },

    /** Agents whose node's lease ran out are offline. */
    async releaseOrphans(): Promise<number> {
      const rows = await sql`
        update agents set status = 'offline', node_id = null, connection_id = null
        where status = 'online' and (node_id is null or not exists (
          select from nodes where nodes.id = agents.node_id and nodes.lease_until > now()))`;
      return rows.count;
    },

    /**
     * A node that begins while no other lives, or that could not renew its lease in time, ends an outage: agents that went
     * unheard meanwhile were not silent. In one statement, so that nobody sees the lease without the outage's end.
     */
    async renewLease(node: { id: string; version: string; leaseSeconds: number; lateSeconds: number }): Promise<void> {
      await sql`
        with last as (select now() - lease_until + make_interval(secs => ${node.leaseSeconds}) as age from nodes where id = ${node.id}),
        ended as (
          insert into outages (kind)
          select case when exists (select from last) then 'database' else 'no_node' end
          where exists (select from last where age > make_interval(secs => ${node.lateSeconds}))
            or not exists (select from last)
            and not exists (select from nodes where id <> ${node.id} and lease_until > now()))
        insert into nodes (id, version, lease_until) values (${node.id}, ${node.version}, now() + make_interval(secs => ${node.leaseSeconds}))
        on conflict (id) do update set lease_until = excluded.lease_until`;
    },

    async endLease(nodeId: string): Promise<void> {
      await sql`delete from nodes where id = ${nodeId} or lease_until < now() - interval '1 day'`;
    },

    /** The node that holds an agent with a live lease, or undefined when the agent is offline; null when there is no such agent. */
    async nodeOf(agentId: string): Promise<string | null | undefined> {
      const [row] = await sql<{ node_id: string | null }[]>`
        select n.id as node_id from agents a left join nodes n on n.id = a.node_id and n.lease_until > now()
          and a.status = 'online'
        where a.id = ${agentId} and a.deleted_at is null`;
      return row ? (row.node_id ?? undefined) : null;
    },
  };
}

export type FleetStore = ReturnType<typeof createFleetStore>;
