import type { Sql, TransactionSql } from "postgres";
import type { Database } from "../db/client.ts";
import { LockKey } from "../db/lock-keys.ts";

/** Runs a statement of pg-boss's on a connection of ours, within the transaction that is open there. */
export async function executeSql(sql: Sql | TransactionSql, text: string, values: unknown[] = []) {
  const rows = await sql.unsafe(text, values as never[], { prepare: true });
  return { rows: [...rows] };
}

/** Where pg-boss keeps them. */
export type JobTables = Pick<Database, "sql" | "layout">;

/** When somebody must look at a queue; what is due or lost already has a time of 0 or below, what there is none of null. */
export interface QueueDue {
  readonly queue: string;
  /** Until the first job that waits is due. */
  readonly dueMs: number | null;
  /** Until the first job that runs has neither ended nor given a sign of life in time. */
  readonly lostMs: number | null;
}

/** Written so that each part reads the first entry of an index, however many jobs there are. */
export async function findDue({ sql, layout }: JobTables, queues: readonly string[]): Promise<QueueDue[]> {
  const job = sql`${sql(layout.jobs)}.job`;
  return sql<QueueDue[]>`
    select q.name as queue,
      (extract(epoch from least(created.at, retried.at) - now()) * 1000)::float8 as "dueMs",
      (extract(epoch from active.at - now()) * 1000)::float8 as "lostMs"
    from unnest(${queues as string[]}::text[]) q(name),
      lateral (select min(start_after) as at from ${job} j
        where j.name = q.name and state = 'created' and not blocked) created,
      lateral (select min(start_after) as at from ${job} j
        where j.name = q.name and state = 'retry' and not blocked) retried,
      lateral (select min(least(heartbeat_on + heartbeat_seconds * interval '1 s',
          started_on + expire_seconds * interval '1 s')) as at
        from ${job} j where j.name = q.name and state = 'active') active`;
}

/** The incidents that jobs of these queues speak of which have not been done, in order of id. */
export async function findLeftOver({ sql, layout }: JobTables, queues: readonly string[]): Promise<number[]> {
  const rows = await sql<{ id: number }[]>`
    select distinct i.id from ${sql(layout.jobs)}.job j cross join lateral jsonb_array_elements_text(j.data->'ids') one (id)
    join incidents i on i.id = one.id::int
    where j.name = any(${queues as string[]}) and j.state in ('created', 'retry', 'active') order by i.id`;
  return rows.map(({ id }) => id);
}

/** Of several nodes one deletes queues at a time: pg-boss fails on one that goes meanwhile. */
export async function lockRetiredQueues(tx: TransactionSql): Promise<void> {
  await tx`select pg_advisory_xact_lock(${LockKey.retiredQueues})`;
}
