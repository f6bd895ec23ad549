import type { Sql } from "postgres";
import { type Daily, type DueDay, lookAtDaily } from "../lib/hours.ts";
import { type DigestFacts, digestOf } from "./digest.ts";
import type { OutletStore } from "./outlet-store.ts";

/** What was missed for longer is not said any more: the next one says it. */
const LATE_MS_MAX = 6 * 3_600_000;
/** The database's clock may be set meanwhile. */
const LOOK_MS_MAX = 3_600_000;
const SHOWN_MAX = 8;
const SHOWN_TAKEN_UP_MAX = 5;

interface DigestDeps {
  sql: Sql;
  store: Pick<OutletStore, "isLead">;
  outlet: string;
  daily: Daily;
}

/** Makes the daily digest of an outlet: a row for each day, by its date, so that it is said once however often servers start. */
export function createDigest({ sql, store, outlet, daily }: DigestDeps) {
  async function add({ last, before }: { last: DueDay; before: DueDay }): Promise<void> {
    const subject = `digest ${last.date}`;
    const [said] = await sql`
      select from announcements where outlet = ${outlet} and kind = 'notice' and subject = ${subject} and incident_id is null`;
    if (said) return;
    const content = digestOf(await findFacts(sql, before, daily.zone));
    await sql`
      insert into announcements (kind, outlet, subject, state, why, content)
      select 'notice', ${outlet}, ${subject}, 'waiting', 'the daily digest', ${sql.json(content as never)}
      where ${store.isLead()}
      on conflict do nothing`;
  }

  return {
    /** Says it where it is due; resolves with the milliseconds until somebody is to look again. */
    async sayDue(): Promise<number> {
      const [row] = await sql<{ ms: number }[]>`select extract(epoch from now())::float8 * 1000 as ms`;
      const nowMs = row?.ms ?? 0;
      const due = lookAtDaily(daily, nowMs);
      if (nowMs - due.last.atMs < LATE_MS_MAX) await add(due);
      return Math.min(due.next.atMs - nowMs, LOOK_MS_MAX);
    },
  };
}

async function findFacts(sql: Sql, before: DueDay, zone: string): Promise<DigestFacts> {
  const since = new Date(before.atMs);
  const local = Temporal.Instant.fromEpochMilliseconds(before.atMs).toZonedDateTimeISO(zone).toPlainDateTime();
  const [happened] = await sql<Pick<DigestFacts, "opened" | "ended" | "endedAlone">[]>`
    select (select count(*)::int from incidents where created_at >= ${since}) as opened, count(*)::int as ended,
      (count(*) filter (where not exists (
        select from events e where e.incident_id = i.id and e.actor not in ('agent', 'system')
          and e.kind in ('decided', 'acknowledged', 'ignored', 'resolved'))))::int as "endedAlone"
    from incidents i where i.status = 'resolved' and i.resolved_at >= ${since}`;
  const counts = await sql<DigestFacts["counts"][number][]>`
    select severity, case when status in ('acknowledged', 'ignored') then status else 'waiting' end as status, count(*)::int as count
    from incidents where status <> 'resolved' group by 1, 2`;
  const cameBack = await sql<DigestFacts["cameBack"][number][]>`
    select i.source, i.type, coalesce(a.hostname, a.id::text) as host, count(*)::int as times
    from incidents i join agents a on a.id = i.agent_id
    where i.created_at >= ${since} group by a.id, i.type, i.source, i.fingerprint having count(*) > 1
    order by count(*) desc, a.id, i.source limit ${SHOWN_TAKEN_UP_MAX}`;
  const lost = await sql<(DigestFacts["lost"][number] & { total: number })[]>`
    select coalesce(hostname, id::text) as host, extract(epoch from now() - lost_since)::float8 as "lostS", count(*) over ()::int as total
    from agents where lost_since is not null and deleted_at is null order by lost_since limit ${SHOWN_MAX}`;
  return {
    since: `${local.toString({ smallestUnit: "minute" }).replace("T", " ")} (${zone})`,
    ...(happened ?? { opened: 0, ended: 0, endedAlone: 0 }),
    counts,
    waiting: await findOpen(sql, ["new", "analyzed"], SHOWN_MAX),
    acknowledged: await findOpen(sql, ["acknowledged"], SHOWN_TAKEN_UP_MAX),
    ignored: await findOpen(sql, ["ignored"], SHOWN_TAKEN_UP_MAX),
    cameBack,
    lost: lost.map(({ total, ...one }) => one),
    lostTotal: lost[0]?.total ?? 0,
  };
}

/** The gravest first, and of these the oldest. */
async function findOpen(sql: Sql, statuses: readonly string[], max: number): Promise<DigestFacts["waiting"]> {
  return sql<DigestFacts["waiting"][number][]>`
    select i.id, i.severity, i.source, i.type, coalesce(a.hostname, a.id::text) as host,
      extract(epoch from now() - i.created_at)::float8 as "openS"
    from incidents i join agents a on a.id = i.agent_id
    where i.status <> 'resolved' and i.status = any(${statuses as string[]})
    order by case i.severity when 'critical' then 0 when 'warning' then 1 when 'info' then 3 else 2 end, i.created_at, i.id
    limit ${max}`;
}
