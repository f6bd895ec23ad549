import type { Sql, TransactionSql } from "postgres";
import { tellChanged, tellOf } from "../db/changes.ts";
import { LockKey } from "../db/lock-keys.ts";
import { alone, findStored } from "./teller-store.ts";

/** Who comes back later than this was not there by turns. Agents of the first release wait for ten minutes. */
const TURN = "15 minutes";
/** Rows of one token: an agent that is started again and again makes one each time. Those that came back stay. */
const HOSTS_MAX = 20;
/** Agents whose token is shared that are looked at together. */
const AGENTS_MAX = 1_000;
/** Only one host was heard of for so long: the others are gone for good. */
const ALONE = "1 day";

/** An agent process that was heard of, on a connection of this node. */
export interface Sighting {
  agentId: string;
  connectionId: string;
  instance: string;
  boot: string | null;
  hostname: string | null;
  ageMs: number;
}

/** One of the hosts that use a token. Ages are by the database's clock. */
export interface TokenHost {
  agentId: string;
  instance: string;
  hostname: string | null;
  boot: string | null;
  /** It came back after another: it is one of those that take turns. */
  isTurning: boolean;
  /** Since when it is missed; names that alert. */
  darkSince: Date | null;
  darkMs: number;
  /** Since it is missed no more; null while it is. */
  backMs: number | null;
}

/** An agent whose token several hosts use, or used until a moment ago. */
export interface SharedToken {
  agentId: string;
  sharedSince: Date;
  sharedMs: number;
  /** Since they do so no more; null while they do. */
  endedMs: number | null;
}

/** The SQL of hosts that use one token. */
export function createTwinStore(sql: Sql) {
  /** Another process of the same host, or of the same name, came after `h` was last heard of: it is its next life. */
  const succeeds = sql`
    z.agent_id = h.agent_id and z.instance <> h.instance and z.first_at >= h.left_at
      and (z.hostname = h.hostname or z.boot = h.boot)`;
  /** The host has come with another token since. */
  const hasMoved = sql`exists (
    select from token_hosts z where z.agent_id <> h.agent_id and z.boot = h.boot
      and z.hostname is not distinct from h.hostname and z.first_at > h.heard_at)`;
  const isShared = sql`a.shared_since is not null and a.shared_until is null and a.deleted_at is null`;

  return {
    /**
     * Notes who was heard of, where the connection still holds the agent; says of which agents that was so, and how many tokens
     * are shared from now on: two hosts have each come back after another. What is known already is only read.
     */
    async note(sightings: readonly Sighting[]): Promise<{ noted: string[]; shared: number }> {
      const found = await sql<{ agentId: string; isKnown: boolean }[]>`
        select t.agent_id as "agentId",
          coalesce(h.left_at is null and h.hostname is not distinct from t.hostname and h.agent_id is not null, false) as "isKnown"
        from ${given(sql, sightings)}
        join agents a on a.id = t.agent_id and a.connection_id = t.connection_id and a.deleted_at is null
        left join token_hosts h on h.agent_id = t.agent_id and h.instance = t.instance`;
      const news = new Set(found.filter(({ isKnown }) => !isKnown).map(({ agentId }) => agentId));
      const fresh = sightings.filter(({ agentId }) => news.has(agentId));
      const shared = fresh.length === 0 ? 0 : ((await sql.begin((tx) => write(tx, fresh))) as number);
      return { noted: found.map(({ agentId }) => agentId), shared };
    },

    /** Whether several hosts use this agent's token now. */
    async isShared(agentId: string): Promise<boolean> {
      const [row] = await sql`select from agents a where a.id = ${agentId} and ${isShared}`;
      return row !== undefined;
    },

    /** Whether there is any token that several hosts use, or did until a moment ago. */
    async isAnyShared(): Promise<boolean> {
      const [row] = await sql`select from agents where shared_since is not null and deleted_at is null limit 1`;
      return row !== undefined;
    },

    alone: <T>(nodeId: string, task: (tx: TransactionSql) => Promise<T>) =>
      alone(sql, { key: LockKey.twins, nodeId }, task),
    findStored,

    /** All of them. */
    async find(tx: TransactionSql): Promise<SharedToken[]> {
      return tx<SharedToken[]>`
        select id as "agentId", shared_since as "sharedSince",
          extract(epoch from now() - shared_since)::float8 * 1000 as "sharedMs",
          extract(epoch from now() - shared_until)::float8 * 1000 as "endedMs"
        from agents where shared_since is not null and deleted_at is null order by shared_since limit ${AGENTS_MAX}`;
    },

    /** Their hosts, by name. */
    async findHosts(tx: TransactionSql, agentIds: readonly string[]): Promise<TokenHost[]> {
      return tx<TokenHost[]>`
        select h.agent_id as "agentId", h.instance, h.hostname, h.boot, h.returns > 0 as "isTurning",
          h.dark_since as "darkSince", extract(epoch from now() - h.dark_since)::float8 * 1000 as "darkMs",
          extract(epoch from now() - case when h.heard_at > h.dark_since then h.heard_at
            when a.shared_until is not null then a.shared_until
            when ${hasMoved} then now()
            else (select min(z.first_at) from token_hosts z where ${succeeds}) end)::float8 * 1000 as "backMs"
        from token_hosts h join agents a on a.id = h.agent_id
        where h.agent_id = any(${agentIds as string[]}::uuid[]) and (h.returns > 0 or h.dark_since is not null)
        order by h.hostname, h.first_at`;
    },

    /** Which of these alerts belong to an incident that is over. */
    async findResolved(tx: TransactionSql, uuids: readonly string[]): Promise<Set<string>> {
      const rows = await tx<{ uuid: string }[]>`
        select a.uuid from alerts a join incidents i on i.id = a.incident_id
        where a.uuid = any(${uuids as string[]}::uuid[]) and i.status = 'resolved'`;
      return new Set(rows.map(({ uuid }) => uuid));
    },

    /** The tokens of `done` are shared no more, nor those that only one host has used for a day, or since the others got their own. */
    async end(tx: TransactionSql, done: readonly string[]): Promise<void> {
      await tx`
        with unshared as (
        update agents a set shared_until = date_trunc('milliseconds', now())
        where a.id in (select a.id from agents a where ${isShared} order by a.id for no key update) and (a.id = any(${done as string[]}::uuid[]) or (
          select count(*) from token_hosts h
          where h.agent_id = a.id and h.returns > 0 and (h.left_at is null or h.left_at > now() - ${ALONE}::interval)
            and not ${hasMoved} and not exists (select from token_hosts z where ${succeeds} and z.returns > 0)) < 2)
        returning a.id)
        ${tellOf(tx, "agents", "unshared")}`;
    },

    /** Hosts that have not taken their turn for so long are missed from now on; time in which nobody could hear them does not count. */
    async declareDark(tx: TransactionSql, limits: { darkAfterMs: number; namedDarkAfterMs: number }): Promise<number> {
      const left = sql`greatest(h.left_at, (select max(ended_at) from outages))`;
      const rows = await tx`
        update token_hosts h set dark_since = date_trunc('milliseconds', ${left})
        from agents a
        where a.id = h.agent_id and ${isShared} and h.returns > 0 and h.left_at is not null and h.dark_since is null
          and ${left} < now() - interval '1 ms' * case when h.instance like 'run:%' then ${limits.darkAfterMs}::float8
            else ${limits.namedDarkAfterMs}::float8 end
          and not ${hasMoved} and not exists (select from token_hosts z where ${succeeds})`;
      return rows.count;
    },

    /** These hosts are missed no more, and their recoveries are stored. */
    async clearDark(tx: TransactionSql, hosts: readonly Pick<TokenHost, "agentId" | "instance">[]): Promise<void> {
      await tx`
        update token_hosts h set dark_since = null
        from unnest(${hosts.map(({ agentId }) => agentId)}::uuid[], ${hosts.map(({ instance }) => instance)}::text[])
          t (agent_id, instance)
        where h.agent_id = t.agent_id and h.instance = t.instance`;
    },

    /** That these tokens are shared no more is stored; whoever is heard of next begins anew. */
    async clear(tx: TransactionSql, agentIds: readonly string[]): Promise<void> {
      await tx`
        update agents set shared_since = null, shared_until = null
        where id in (select id from agents where id = any(${agentIds as string[]}::uuid[]) order by id for no key update)`;
      await tx`delete from token_hosts where agent_id = any(${agentIds as string[]}::uuid[]) and left_at is not null`;
      await tx`
        update token_hosts set returns = 0, dark_since = null where agent_id = any(${agentIds as string[]}::uuid[])`;
    },
  };
}

/** Under the agents' locks: of two that take turns one writes after the other. */
async function write(tx: TransactionSql, fresh: readonly Sighting[]): Promise<number> {
  const held = await tx<{ id: string }[]>`
    select a.id from ${given(tx, fresh)}
    join agents a on a.id = t.agent_id and a.connection_id = t.connection_id order by a.id for no key update of a`;
  const ids = held.map(({ id }) => id);
  const heard = fresh.filter(({ agentId }) => ids.includes(agentId));
  await tx`
    update token_hosts set left_at = now()
    where agent_id = any(${ids}::uuid[]) and left_at is null
      and (agent_id, instance) not in (select t.agent_id, t.instance from ${given(tx, heard)})`;
  await tx`
    insert into token_hosts as h (agent_id, instance, boot, hostname, heard_at)
    select t.agent_id, t.instance, t.boot, t.hostname, now() - t.age_ms * interval '1 ms' from ${given(tx, heard)}
    on conflict (agent_id, instance) do update set boot = excluded.boot, hostname = excluded.hostname, left_at = null,
      heard_at = case when h.left_at is null then h.heard_at else excluded.heard_at end,
      returns = case when h.left_at is null then h.returns when h.left_at < now() - ${TURN}::interval then 0
        else h.returns + (excluded.heard_at > h.left_at)::int end`;
  await tx`
    delete from token_hosts h using agents a, (
      select agent_id, instance,
        row_number() over (partition by agent_id order by returns > 0 desc, left_at desc nulls first) as place
      from token_hosts where agent_id = any(${ids}::uuid[])) placed
    where a.id = h.agent_id and placed.agent_id = h.agent_id and placed.instance = h.instance
      and (placed.place > ${HOSTS_MAX} or a.shared_since is null and h.left_at < now() - ${TURN}::interval)`;
  const shared = await tx<{ id: string }[]>`
    update agents a set shared_since = date_trunc('milliseconds', now())
    where a.shared_since is null and a.id in (
      select agent_id from token_hosts where agent_id = any(${ids}::uuid[]) and returns > 0
      group by agent_id having count(*) >= 2)
    returning a.id`;
  const sharedIds = shared.map((one) => one.id);
  await tellChanged(tx, "agents", sharedIds);
  return shared.length;
}

/** The sightings as a table `t`. */
function given(query: Sql | TransactionSql, sightings: readonly Sighting[]) {
  return query`
    unnest(${sightings.map((one) => one.agentId)}::uuid[], ${sightings.map((one) => one.connectionId)}::uuid[],
      ${sightings.map((one) => one.instance)}::text[], ${sightings.map((one) => one.boot)}::text[],
      ${sightings.map((one) => one.hostname)}::text[], ${sightings.map((one) => one.ageMs)}::float8[])
      t (agent_id, connection_id, instance, boot, hostname, age_ms)`;
}

export type TwinStore = ReturnType<typeof createTwinStore>;
