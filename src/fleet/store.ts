import type { PendingQuery, Row, Sql, TransactionSql } from "postgres";
import { type Cursor, isNewSince, tellChanged, tellOf } from "../db/changes.ts";
import type { IncidentWriter } from "../incidents/model.ts";
import type { Agent, AgentPage } from "./model.ts";

const COLUMNS = ["id", "hostname", "status", "last_seen_at", "meta", "created_at", "connected_at"] as const;

/** An agent as the API shows it. */
const shown = (sql: Sql | TransactionSql) => sql`
  ${sql(COLUMNS)}, case when shared_since is null or shared_until is not null then '{}' else array(
    select distinct h.hostname from token_hosts h
    where h.agent_id = agents.id and h.returns > 0 and h.left_at is not null and h.hostname is not null order by 1)
  end as shared_with,
  (select coalesce(jsonb_agg(jsonb_build_object('name', c.name, 'state', c.state,
      'since', to_char(c.since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'why', c.why,
      'gave_up', c.gave_up, 'told', c.is_told) order by c.name), '[]')
    from collectors c where c.agent_id = agents.id and c.state <> 'off') as collectors`;

/** A connection is written with the moment at which its transaction began. */
const CONNECTED_MARGIN = "30 s";

/** What is known of tokens' hashes. */
export interface KnownTokens {
  agents: Map<string, string>;
  /** For how many milliseconds the token before the present one is still good. */
  leaving: Map<string, number>;
  revoked: Set<string>;
}

/** A heartbeat's worth of news about an agent. `meta` and `hostname` are null where they did not change. */
export interface PresenceUpdate {
  agentId: string;
  /** Since it was heard of. A node's own clock may be wrong, or be put right. */
  ageMs: number;
  hostname: string | null;
  meta: Record<string, unknown> | null;
  /** Heartbeats since the last update; more than 2 are not counted. */
  heartbeats: number;
  /** It says something else than before that people see at once. */
  isNews: boolean;
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

/** Why an agent is no longer held by the connection that a node has for it; `freed`: no connection holds it. */
export interface LostHolding {
  agentId: string;
  why: "deleted" | "superseded" | "freed";
}

/** What the renewal of a node's lease found. */
interface RenewedLease {
  /** Agents that it set offline. */
  orphans: number;
  /** Other nodes that live, and in how many milliseconds the first of their leases runs out, if it is not renewed. */
  others: number;
  nextLapseMs: number;
  aheadS: number;
  hasLapsed: boolean;
}

/** The SQL of agents and their tokens; `audit` keeps who made, changed or deleted them. */
export function createFleetStore(sql: Sql, audit: Pick<IncidentWriter, "note">) {
  const begin = <T>(work: (tx: TransactionSql) => Promise<T>) => sql.begin(work) as Promise<T>;

  /** Agents of no living node, as far as `where` lets it. One that is written just now comes with the next look. */
  const orphansOffline = (where: PendingQuery<Row[]>) => sql<{ id: string }[]>`
    update agents set status = 'offline', node_id = null, connection_id = null
    where id in (
      select id from agents
      where status = 'online' and ${where}
        and coalesce(node_id <> all(array(select id from nodes where lease_until > now())), true)
      order by id for no key update skip locked)
    returning id`;

  return {
    async findTokens(hashes: string[]): Promise<KnownTokens> {
      const rows = await sql<{ token_hash: string; id: string | null; left_ms: number | null }[]>`
        select token_hash, id, null::float8 as left_ms from agents
        where token_hash = any(${hashes}) and deleted_at is null
        union all select previous_token_hash, case when previous_until > now() then id end,
          extract(epoch from previous_until - now())::float8 * 1000 from agents
        where previous_token_hash = any(${hashes}) and deleted_at is null
        union all select token_hash, null, null from revoked_tokens where token_hash = any(${hashes})`;
      const known: KnownTokens = { agents: new Map(), leaving: new Map(), revoked: new Set() };
      for (const row of rows) {
        if (row.id === null) known.revoked.add(row.token_hash);
        else known.agents.set(row.token_hash, row.id);
        if (row.left_ms !== null) known.leaving.set(row.token_hash, row.left_ms);
      }
      return known;
    },

    /** Enrols as many as the limit leaves room for; returns those that are agents now, by hash. */
    async enrol(fresh: { id: string; tokenHash: string }[], limit: number): Promise<Map<string, string>> {
      return begin(async (tx) => {
        const rows = await tx<{ token_hash: string; id: string }[]>`
          with room as (select greatest(0, ${limit} - count(*)) as free from agents where deleted_at is null)
          insert into agents (id, token_hash)
          select t.id, t.token_hash
          from unnest(${fresh.map((agent) => agent.id)}::uuid[], ${fresh.map((agent) => agent.tokenHash)}::text[])
            with ordinality t (id, token_hash, no)
          where t.no <= (select free from room)
          on conflict (token_hash) do nothing returning id, token_hash`;
        const ids = rows.map(({ id }) => id);
        const notes = ids.map((agentId) => ({ kind: "agent.enrolled", actor: "agent", agentId }));
        await audit.note(tx, notes);
        await tellChanged(tx, "agents", ids);
        return new Map(rows.map((row) => [row.token_hash, row.id]));
      });
    },

    async list(limit: number, { cursor, status, ids }: Omit<AgentPage, "limit">): Promise<Agent[]> {
      const isAsked = ids === undefined ? sql`true` : sql`id = any(${ids as string[]}::uuid[])`;
      const isMeant = status === undefined ? isAsked : sql`${isAsked} and status = ${status}`;
      return sql<Agent[]>`
        select ${shown(sql)} from agents
        where deleted_at is null and ${isMeant} and (${cursor === undefined} or (created_at, id) < (
          select created_at, id from agents where id = ${cursor ?? null}::uuid))
        order by created_at desc, id desc limit ${limit}`;
    },

    async get(id: string): Promise<Agent | undefined> {
      const [row] = await sql<Agent[]>`select ${shown(sql)} from agents where id = ${id} and deleted_at is null`;
      return row;
    },

    /** Those of these agents that are there. */
    async find(ids: readonly string[]): Promise<Agent[]> {
      return sql<Agent[]>`
        select ${shown(sql)} from agents where id = any(${ids as string[]}::uuid[]) and deleted_at is null`;
    },

    /**
     * Agents, at most `limit`, that came, went or see something else since the cursor. A sign of life alone is none of that: of those
     * that are online only who has connected since then.
     */
    async findChanged(since: Cursor, limit: number): Promise<string[]> {
      const rows = await sql<{ id: string }[]>`
        select a.id from agents a
        where a.deleted_at is null and (
          ${isNewSince(sql, "a", since)} and (a.status = 'offline'
            or greatest(a.connected_at, a.shared_since, a.shared_until) > to_timestamp(${since.atS}::float8) - ${CONNECTED_MARGIN}::interval)
          or exists (select from collectors c where c.agent_id = a.id and ${isNewSince(sql, "c", since)}))
        limit ${limit}`;
      return rows.map(({ id }) => id);
    },

    async create(agent: { id: string; tokenHash: string; hostname: string | null }, actor: string): Promise<Agent> {
      return begin(async (tx) => {
        const [row] = await tx<Agent[]>`
          insert into agents (id, token_hash, hostname) values (${agent.id}, ${agent.tokenHash}, ${agent.hostname})
          returning ${shown(tx)}`;
        await audit.note(tx, [{ kind: "agent.created", actor, agentId: agent.id }]);
        await tellChanged(tx, "agents", [agent.id]);
        return row as Agent;
      });
    },

    /**
     * Revokes the token of an agent and, with `newHash`, gives it another; without, the agent is gone. For a grace time the old one
     * stays good beside the new; only one does, so that the one before it is revoked.
     */
    async revoke(id: string, newHash: string | null, actor: string, graceMs = 0): Promise<Agent | undefined> {
      const isKept = newHash !== null && graceMs > 0;
      return begin(async (tx) => {
        const [agent] = await tx<Agent[]>`
          with old as (
            select id, token_hash, previous_token_hash from agents where id = ${id} and deleted_at is null for update),
          revoked as (
            insert into revoked_tokens (token_hash, agent_id)
            select hash, id from old, unnest(array[case when not ${isKept}::boolean then token_hash end, previous_token_hash]) hash
            where hash is not null on conflict do nothing),
          forgotten as (
            delete from token_hosts where ${newHash}::text is null and agent_id in (select id from old))
          update agents set token_hash = coalesce(${newHash}, token_hash),
            previous_token_hash = case when ${isKept}::boolean then token_hash end,
            previous_until = case when ${isKept}::boolean then now() + ${graceMs} * interval '1 ms' end,
            shared_until = case when ${isKept}::boolean then shared_until
              when shared_since is not null then coalesce(shared_until, date_trunc('milliseconds', now())) end,
            deleted_at = case when ${newHash}::text is null then now() end,
            status = case when ${newHash}::text is null then 'offline' else status end
          where id in (select id from old) returning ${shown(tx)}`;
        if (!agent) return undefined;
        const kind = newHash === null ? "agent.deleted" : "agent.token_rotated";
        const data = isKept ? { grace_s: Math.round(graceMs / 1000) } : null;
        await audit.note(tx, [{ kind, actor, agentId: id, data }]);
        await tellChanged(tx, "agents", [id]);
        return agent;
      });
    },

    /** This node's connections hold these agents now; with `onlyFree` those that nobody holds and that said no goodbye. */
    async claim(nodeId: string, holdings: readonly Holding[], { onlyFree = false } = {}): Promise<void> {
      await sql`
        with claimed as (
        update agents a set node_id = ${nodeId}, connection_id = h.connection_id, status = 'online', connected_at = now(),
          last_seen_at = now(), goodbye_at = null
        from (select a.id, t.connection_id
          from unnest(${holdings.map((h) => h.agentId)}::uuid[], ${holdings.map((h) => h.connectionId)}::uuid[])
            t (id, connection_id)
          join agents a on a.id = t.id order by a.id for no key update of a) h
        where a.id = h.id and a.deleted_at is null
          and (not ${onlyFree}::boolean or a.connection_id is null and a.goodbye_at is null) returning a.id)
        ${tellOf(sql, "agents", "claimed")}`;
    },

    /**
     * Offline, where the connection that ended still holds the agent. Rows are found by their id alone: found by node and connection
     * too, a thousand took seconds when a whole fleet left.
     */
    async release(nodeId: string, holdings: readonly EndedHolding[]): Promise<void> {
      await sql`
        with ended as materialized (
        select a.id, t.is_goodbye, a.node_id = ${nodeId} and a.connection_id = t.connection_id as is_held
        from unnest(${holdings.map((h) => h.agentId)}::uuid[], ${holdings.map((h) => h.connectionId)}::uuid[],
          ${holdings.map((h) => Number(h.isGoodbye))}::int[]) t (id, connection_id, is_goodbye)
        join agents a on a.id = t.id order by a.id for no key update of a),
        released as (
        update agents a set status = 'offline', node_id = null, connection_id = null,
          goodbye_at = case when e.is_goodbye = 1 then now() else a.goodbye_at end
        from ended e where a.id = e.id and e.is_held returning a.id)
        ${tellOf(sql, "agents", "released")}`;
    },

    async writePresence(updates: readonly PresenceUpdate[]): Promise<void> {
      await sql`
        with written as (
        update agents a set last_seen_at = greatest(least(a.last_seen_at, now()), now() - u.age_ms * interval '1 ms'),
          hostname = coalesce(u.hostname, a.hostname), meta = coalesce(u.meta::jsonb, a.meta),
          heartbeats = least(a.heartbeats + u.heartbeats, 2)
        from (select a.id, t.age_ms, t.hostname, t.meta, t.heartbeats, t.is_news
          from unnest(${updates.map((u) => u.agentId)}::uuid[], ${updates.map((u) => u.ageMs)}::float8[],
            ${updates.map((u) => u.hostname)}::text[],
            ${updates.map((u) => (u.meta === null ? null : JSON.stringify(u.meta)))}::text[],
            ${updates.map((u) => u.heartbeats)}::int[], ${updates.map((u) => Number(u.isNews))}::int[])
            t (id, age_ms, hostname, meta, heartbeats, is_news)
          join agents a on a.id = t.id order by a.id for no key update of a) u
        where a.id = u.id returning a.id, u.is_news),
        news as (select id from written where is_news = 1)
        ${tellOf(sql, "agents", "news")}`;
    },

    /** How many agents this node's connections hold, and the sum of the first 32 bits of the connections' ids. */
    async sumHeld(nodeId: string): Promise<{ count: number; sum: number }> {
      const [row] = await sql<{ count: number; sum: number }[]>`
        select count(*)::int as count,
          coalesce(sum(('x' || left(connection_id::text, 8))::bit(32)::bigint), 0)::float8 as sum
        from agents where node_id = ${nodeId} and deleted_at is null`;
      return row ?? { count: 0, sum: 0 };
    },

    /** Which of these agents are no longer held by the connection that this node has for them, and why. */
    async findLost(nodeId: string, holdings: readonly Holding[]): Promise<LostHolding[]> {
      return sql<LostHolding[]>`
        select a.id as "agentId", case when a.deleted_at is not null then 'deleted'
          when a.connection_id is null then 'freed' else 'superseded' end as why
        from unnest(${holdings.map((h) => h.agentId)}::uuid[], ${holdings.map((h) => h.connectionId)}::uuid[])
          t (id, connection_id)
        join agents a on a.id = t.id
        where a.deleted_at is not null or a.connection_id is distinct from t.connection_id or a.node_id <> ${nodeId}`;
    },

    /**
     * A node that begins while no other lives, or that could not renew its lease in time, ends an outage: agents that went
     * unheard meanwhile were not lost. In one statement, so that nobody sees the lease without the outage's end. Agents whose
     * node's lease ran out are offline with it, but not where no node could renew its lease: then each has as long as a lease
     * lasts to come back. How many were is answered, how many other nodes live, and how far ahead leases were
     * until now: more than a moment, and the database's clock was put back since they were renewed. `hasLapsed`: this node's own lease
     * had run out, and others may have set its agents offline.
     */
    async renewLease(node: {
      id: string;
      version: string;
      leaseSeconds: number;
      lateSeconds: number;
    }): Promise<RenewedLease> {
      const [row] = await sql<(Omit<RenewedLease, "orphans"> & { orphans: string[] })[]>`
        with last as (select now() - lease_until + make_interval(secs => ${node.leaseSeconds}) as age from nodes where id = ${node.id}),
        ended as (
          insert into outages (kind)
          select case when exists (select from last) then 'database' else 'no_node' end
          where exists (select from last where age > make_interval(secs => ${node.lateSeconds}))
            or not exists (select from last)
            and not exists (select from nodes where id <> ${node.id} and lease_until > now())),
        lease as (
          insert into nodes (id, version, lease_until)
          values (${node.id}, ${node.version}, now() + make_interval(secs => ${node.leaseSeconds}))
          on conflict (id) do update set lease_until = excluded.lease_until),
        orphans as (${orphansOffline(sql`
          node_id is distinct from ${node.id}::uuid and not exists (select from last where age > make_interval(secs => ${node.lateSeconds}))
          and not exists (select from outages where kind = 'database' and ended_at > now() - make_interval(secs => ${node.leaseSeconds}))`)})
        select array(select id from orphans) as orphans, coalesce((
          select min(extract(epoch from lease_until - now()))::float8 * 1000 from nodes where id <> ${node.id} and lease_until > now()
          ), 'infinity') as "nextLapseMs",
          exists (select from last where age > make_interval(secs => ${node.leaseSeconds})) as "hasLapsed",
          (select count(*)::int from nodes where id <> ${node.id} and lease_until > now()) as others, coalesce((
          select extract(epoch from max(lease_until) - now())::float8 - ${node.leaseSeconds} from nodes), 0) as "aheadS"`;
      if (!row) throw new Error("the database said nothing of the lease");
      await tellChanged(sql, "agents", row.orphans);
      return { ...row, orphans: row.orphans.length };
    },

    /** The lease is given back, and what this node's connections still held is offline. */
    async endLease(nodeId: string): Promise<void> {
      await sql`delete from nodes where id = ${nodeId} or lease_until < now() - interval '1 day'`;
      const orphans = await orphansOffline(sql`node_id = ${nodeId}`);
      const ids = orphans.map(({ id }) => id);
      await tellChanged(sql, "agents", ids);
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
