import type { Sql } from "postgres";
import type { ListStore } from "./list-store.ts";
import {
  INCIDENT_STATUSES,
  type IncidentCounts,
  type IncidentFilter,
  type IncidentStatus,
  type Severity,
} from "./model.ts";

/** Of resolved ones, of which there may be millions, so many are counted, or looked through where each is asked something. */
const LOOK_MAX = { all: 20_000, asked: 2_000 } as const;
/** Minutes of alerts that are told. */
const MINUTES = 60;
/** Alerts of a minute are all committed so many minutes later: it need not be counted again. */
const SETTLED_MINUTES = 3;
const MINUTE_S = 60;

const OPEN = INCIDENT_STATUSES.filter((status) => status !== "resolved");

interface Group {
  status: IncidentStatus;
  severity: Severity | null;
  n: number;
}

/** The SQL of counts. Minutes whose alerts were counted are remembered: whoever asks each few seconds has the last ones counted. */
export function createCountStore(sql: Sql, { meant }: Pick<ListStore, "meant">) {
  let settled = new Map<number, number>();

  async function open(filter: IncidentFilter, statuses: readonly IncidentStatus[]) {
    // An index has these columns: most incidents themselves are not read.
    const rows = await sql<(Group & { hosts: number })[]>`
      with open as materialized (select i.status, i.severity, i.agent_id from ${meant(filter, statuses)})
      select status, severity, count(*)::int as n, (select count(distinct agent_id)::int from open) as hosts
      from open group by status, severity`;
    return { groups: rows as readonly Group[], hosts: rows[0]?.hosts ?? 0 };
  }

  async function resolved(filter: IncidentFilter): Promise<number> {
    const { statuses: _, ...asked } = filter;
    const isAsked = Object.values(asked).some((one) => one !== undefined);
    // By when they were resolved an index has them, and they themselves are not read.
    const [row] = await (isAsked
      ? sql<{ n: number }[]>`select count(*)::int as n from ${meant(filter, ["resolved"], LOOK_MAX.asked)}`
      : sql<{ n: number }[]>`
          select count(*)::int as n from (
            select from incidents where status = 'resolved' order by resolved_at desc limit ${LOOK_MAX.all}) i`);
    return row?.n ?? 0;
  }

  async function hosts(): Promise<IncidentCounts["hosts"]> {
    const [row] = await sql<{ total: number; online: number }[]>`
      select count(*)::int as total, count(*) filter (where status = 'online')::int as online
      from agents where deleted_at is null`;
    const { total = 0, online = 0 } = row ?? {};
    return { total, online, offline: total - online };
  }

  async function quietSince(): Promise<Date | null> {
    const [row] = await sql<{ at: Date | null }[]>`
      select max(resolved_at) as at from incidents
      where status = 'resolved' and not exists (select from incidents where status <> 'resolved')`;
    return row?.at ?? null;
  }

  async function alerts(): Promise<IncidentCounts["alerts"]> {
    const [now] = await sql<
      { minute: number }[]
    >`select floor(extract(epoch from now()) / ${MINUTE_S}::int)::int as minute`;
    const last = now?.minute ?? 0;
    const first = last - MINUTES + 1;
    const from = Array.from({ length: MINUTES }, (_, at) => first + at).find((minute) => !settled.has(minute)) ?? last;
    const rows = await sql<{ minute: number; n: number }[]>`
      select floor(extract(epoch from received_at) / ${MINUTE_S}::int)::int as minute, count(*)::int as n from alerts
      where state = 'firing' and received_at >= to_timestamp(${from * MINUTE_S}) group by 1`;
    const counted = new Map(rows.map(({ minute, n }) => [minute, n]));
    const all = Array.from(
      { length: MINUTES },
      (_, at) => [first + at, settled.get(first + at) ?? counted.get(first + at) ?? 0] as const,
    );
    settled = new Map(all.filter(([minute]) => minute <= last - SETTLED_MINUTES));
    return { from: new Date(first * MINUTE_S * 1_000), per_minute: all.map(([, n]) => n) };
  }

  return {
    async counts(filter: IncidentFilter): Promise<IncidentCounts> {
      const statuses = filter.statuses ?? OPEN;
      const wanted = statuses.filter((status) => status !== "resolved");
      const [{ groups, hosts: affected }, over, fleet, minutes, quiet] = await Promise.all([
        wanted.length > 0 ? open(filter, wanted) : { groups: [], hosts: 0 },
        statuses.includes("resolved") ? resolved(filter) : null,
        hosts(),
        alerts(),
        quietSince(),
      ]);
      const sum = (fits: (group: Group) => boolean) => groups.filter(fits).reduce((total, { n }) => total + n, 0);
      const ofStatus = (status: IncidentStatus) => sum((group) => group.status === status);
      const ofSeverity = (severity: Severity | null) => sum((group) => group.severity === severity);
      const isUntaken = ({ status }: Group) => status === "new" || status === "analyzed";
      return {
        total: sum(() => true) + (over ?? 0),
        by_status: {
          new: ofStatus("new"),
          analyzed: ofStatus("analyzed"),
          acknowledged: ofStatus("acknowledged"),
          ignored: ofStatus("ignored"),
          resolved: over,
        },
        by_severity: {
          critical: ofSeverity("critical"),
          warning: ofSeverity("warning"),
          info: ofSeverity("info"),
          none: ofSeverity(null),
        },
        unacknowledged_critical: sum((group) => group.severity === "critical" && isUntaken(group)),
        hosts_affected: affected,
        hosts: fleet,
        alerts: minutes,
        quiet_since: quiet,
      };
    },
  };
}

export type CountStore = ReturnType<typeof createCountStore>;
