import type { PendingQuery, Row, Sql } from "postgres";
import { likeOf, likeText } from "../lib/glob.ts";
import {
  type AuditLine,
  INCIDENT_STATUSES,
  type IncidentFilter,
  type IncidentPage,
  type IncidentStatus,
  type ShortIncident,
} from "./model.ts";

/** Most characters of a title and of a cause, and how much of the text is looked at for them. */
const TITLE = { chars: 200, looksAt: 1_000 } as const;
const CAUSE = { chars: 240, looksAt: 1_000 } as const;
/**
 * There may be millions: so many are looked through for one page, and the next goes on behind them. To look for words in texts, and
 * for a host's name, takes longer than a look at a column.
 */
const LOOK_MAX = { columns: 2_000, words: 1_000 } as const;
/** Open ones by number are put together from as many of each urgency. */
const LOOK_OPEN_MAX = 500;
/** Above all numbers of incidents. */
const ID_END = 2_147_483_647;

/** How urgent open ones of a status may be. */
const URGENCIES: Record<Exclude<IncidentStatus, "resolved">, readonly number[]> = {
  new: [5, 4, 3, 2],
  analyzed: [5, 4, 3, 2],
  acknowledged: [1],
  ignored: [0],
};

type Fragment = PendingQuery<Row[]>;

/** Numbers of incidents in their order, and where the next page begins. */
export interface FoundPage {
  ids: number[];
  nextCursor?: string;
}

/** A page of the audit trail, and where the next one begins. */
export interface AuditPage {
  lines: AuditLine[];
  nextCursor?: string;
}

/** An incident in short, with what tells whether it is silenced. */
export type ShortRow = Omit<ShortIncident, "silenced"> & { hostname: string | null; fingerprint: string };

/** Where a page in order of urgency begins: below that one, of open ones or, without an urgency, of resolved ones. */
interface Place {
  urgency: number | undefined;
  id: number;
}

/** What a look at a part of a list found; `last` is where the next one begins. */
interface Looked {
  shown: Place[];
  last: Place | undefined;
}

/** The SQL of lists: it finds incidents, counts them, and says them in short. */
export function createListStore(sql: Sql) {
  // The index of open incidents holds exactly this.
  const urgency = sql`(case i.status when 'acknowledged' then 1 when 'ignored' then 0 else
    case i.severity when 'critical' then 5 when 'warning' then 4 when 'info' then 2 else 3 end end)`;
  const literals: Record<IncidentStatus, Fragment> = {
    new: sql`'new'`,
    analyzed: sql`'analyzed'`,
    acknowledged: sql`'acknowledged'`,
    ignored: sql`'ignored'`,
    resolved: sql`'resolved'`,
  };
  // No join: by the agents the planner would come to all their incidents, of which there may be thousands that are resolved.
  const host = sql`(select coalesce(a.hostname, a.id::text) from agents a where a.id = i.agent_id)`;
  const title = sql`left(split_part(btrim(left(i.raw_error, least(i.message_chars, ${TITLE.looksAt}::int)), E' \\t\\r\\n'), E'\\n', 1), ${TITLE.chars}::int)`;
  const cause = sql`left(coalesce(substring(left(i.ai_analysis, ${CAUSE.looksAt}::int) from '^(.*?[.!?])(?:\\s|$)'), i.ai_analysis), ${CAUSE.chars}::int)`;
  // As isDoubted of protocol/feedback.ts says it of one incident.
  const doubted = sql`coalesce((
    select f.verdict = 'wrong' and f.shown_category = i.analysis->>'category' from feedback f
    where f.fingerprint = i.fingerprint and f.incident_id <= i.id
      and (f.incident_id = i.id or f.shown_category = i.analysis->>'category')
    order by f.incident_id = i.id desc, f.given_at desc, f.incident_id desc limit 1), false)`;

  /**
   * What an index knows. In so many words: then the planner knows how many there are, and which index leaves resolved ones out.
   */
  function isOfStatus(statuses: readonly IncidentStatus[]): Fragment {
    const wanted = new Set(statuses);
    if (wanted.size === INCIDENT_STATUSES.length) return sql`true`;
    if (wanted.size === INCIDENT_STATUSES.length - 1 && !wanted.has("resolved")) return sql`i.status <> 'resolved'`;
    const words = [...wanted].map((status) => literals[status]);
    return sql`i.status in (${words.reduce((all, one) => sql`${all}, ${one}`)})`;
  }

  /** Incidents `i` that meet the filter; with `newest`, among so many of that status. */
  function meant(filter: IncidentFilter, statuses: readonly IncidentStatus[], newest?: number): Fragment {
    const those = sql`incidents i where ${isOfStatus(statuses)} and ${isOf(filter)}`;
    return newest === undefined
      ? sql`${those} and ${fits(filter)}`
      : sql`(select i.* from ${those} order by i.id desc limit ${newest}) i where ${fits(filter)}`;
  }

  const isOf = ({ agentId, parentId }: IncidentFilter) => {
    const ofAgent = agentId === undefined ? sql`true` : sql`i.agent_id = ${agentId}`;
    return parentId === undefined ? ofAgent : sql`${ofAgent} and i.parent_id = ${parentId}`;
  };

  /** The cause, which takes longest, comes last, and only where its text has the word. */
  const stands = (word: string) => sql`
    (i.source ilike ${word} or ${host} ilike ${word} or ${title} ilike ${word}
      or left(i.ai_analysis, ${CAUSE.chars}::int) ilike ${word} and ${cause} ilike ${word})`;

  /** What each incident is asked. */
  function fits({ severities, types, host: pattern, words }: IncidentFilter): Fragment {
    const conditions = [
      severities && sql`i.severity = any(${severities as string[]})`,
      types && sql`i.type = any(${types as string[]})`,
      pattern === undefined ? undefined : sql`${host} like ${likeOf(pattern)}`,
      ...(words ?? []).map((word) => stands(containing(word))),
    ].filter((one) => one !== undefined);
    return conditions.reduce((all, one) => sql`${all} and ${one}`, sql`true`);
  }

  /**
   * The first of these incidents `i` that fit. They come in their order, and no more of them are read than the page needs; where it
   * is not full after `looksAt` of them, the next one begins behind the last that was looked at.
   */
  async function look(page: IncidentPage, looksAt: number, those: Fragment, isUrgent: boolean): Promise<Looked> {
    const { limit } = page;
    const order = isUrgent ? sql`${urgency} desc, i.id desc` : sql`i.id desc`;
    // Where no more are looked through than are shown, a page that is not full is the last.
    const behind =
      looksAt === limit + 1
        ? sql``
        : sql`union all (
            select i.id, ${urgency}, false from ${those} and (select count(*) from found) <= ${limit}
            order by ${order} offset ${looksAt - 1} limit 1)`;
    const rows = await sql<(Place & { fits: boolean })[]>`
      with found as materialized (
        select i.id, i.urgency from (select i.*, ${urgency} as urgency from ${those} order by ${order} limit ${looksAt}) i
        where ${fits(page)} order by ${isUrgent ? sql`i.urgency desc, i.id desc` : sql`i.id desc`} limit ${limit + 1})
      select id, urgency, true as fits from found ${behind}`;
    const found = rows.filter((row) => row.fits);
    const shown = found.slice(0, limit);
    return { shown, last: found.length > limit ? shown.at(-1) : rows.find((row) => !row.fits) };
  }

  async function newest(page: IncidentPage, statuses: readonly IncidentStatus[], below: number): Promise<FoundPage> {
    const isSome = page.agentId !== undefined || page.parentId !== undefined || statuses.includes("resolved");
    const looksAt = lookMaxOf(page, !isSome);
    const from = isSome ? sql`incidents i` : openBelow(statuses, below, looksAt);
    const those = sql`${from} where ${isOfStatus(statuses)} and ${isOf(page)} and i.id < ${below}`;
    const { shown, last } = await look(page, looksAt, those, false);
    return { ids: shown.map(({ id }) => id), ...(last ? { nextCursor: String(last.id) } : {}) };
  }

  /**
   * Open incidents `i` of these statuses, so many at most that the first of them by number are among them: of each urgency the index
   * has them in that order.
   */
  function openBelow(statuses: readonly IncidentStatus[], below: number, count: number): Fragment {
    const parts = urgenciesOf(statuses).map(
      (one) => sql`(
        select * from incidents i where ${urgency} = ${one}::int and ${isOfStatus(statuses)} and i.status <> 'resolved' and i.id < ${below}
        order by i.id desc limit ${count})`,
    );
    return sql`(${parts.reduce((all, one) => sql`${all} union all ${one}`)}) i`;
  }

  async function urgent(page: IncidentPage, statuses: readonly IncidentStatus[], from: Place): Promise<FoundPage> {
    const [most = 0, least = 0] = [urgenciesOf(statuses).at(0), urgenciesOf(statuses).at(-1)];
    const isWithin = (from.urgency ?? 0) <= most;
    const [start, below] = isWithin ? [from.urgency ?? 0, from.id] : [most, ID_END];
    // Where it leaves nothing out it would only mislead the planner.
    const isEnough = least === 0 ? sql`true` : sql`${urgency} >= ${least}::int`;
    const those = sql`incidents i where ${isOfStatus(statuses)} and ${isOf(page)} and ${isEnough}
      and (${urgency}, i.id) < (${start}::int, ${below}::int)`;
    const { shown, last } = await look(page, lookMaxOf(page), those, true);
    return { ids: shown.map(({ id }) => id), ...(last ? { nextCursor: `${last.urgency}.${last.id}` } : {}) };
  }

  /** Open ones first; resolved ones, where they are wanted, fill the page and follow by number. */
  async function mostUrgent(page: IncidentPage, statuses: readonly IncidentStatus[]): Promise<FoundPage> {
    const from = placeOf(page.cursor);
    const open = statuses.filter((status) => status !== "resolved");
    const isOpen = from.urgency !== undefined && open.length > 0;
    const first: FoundPage = isOpen ? await urgent(page, open, from) : { ids: [] };
    if (first.nextCursor !== undefined || !statuses.includes("resolved")) return first;
    const limit = page.limit - first.ids.length;
    if (limit === 0) return { ...first, nextCursor: String(ID_END) };
    const rest = await newest({ ...page, limit }, ["resolved"], from.urgency === undefined ? from.id : ID_END);
    return { ...rest, ids: [...first.ids, ...rest.ids] };
  }

  return {
    meant,

    /** A page's incidents, by number alone. */
    async find(page: IncidentPage): Promise<FoundPage> {
      const statuses = [...new Set(page.statuses ?? INCIDENT_STATUSES)];
      if (page.order === "urgent") return mostUrgent(page, statuses);
      return newest(page, statuses, page.cursor === undefined ? ID_END : idOf(page.cursor));
    },

    /** In the order of the numbers. */
    async short(ids: readonly number[]): Promise<ShortRow[]> {
      return sql<ShortRow[]>`
        select i.id, i.revision, i.status, i.severity, i.type, i.source, i.origin, i.agent_id, i.fingerprint, a.hostname,
          ${host} as host, ${title} as title, ${cause} as cause, i.analysis->>'by' as by,
          case when jsonb_typeof(i.analysis->'confidence') = 'number' then (i.analysis->>'confidence')::float8 end as confidence,
          i.occurrences, i.created_at, i.last_seen_at, i.updated_at, i.resolved_at, i.parent_id, ${doubted} as doubted,
          (select count(*)::int from incidents c where c.parent_id = i.id and c.status <> 'resolved') as children,
          (select jsonb_build_object('id', d.id, 'action', d.action, 'variant', d.variant, 'state', d.state,
              'actor_name', d.actor_name, 'outcome', d.outcome, 'requested_at', ${instant(sql`d.requested_at`)},
              'ended_at', ${instant(sql`d.ended_at`)})
            from decisions d where d.incident_id = i.id order by d.requested_at desc limit 1) as decision
        from unnest(${ids as number[]}::int[]) with ordinality wanted (id, no)
        join incidents i on i.id = wanted.id join agents a on a.id = i.agent_id order by wanted.no`;
    },

    /** Newest first, of all hosts: what is stored, and, of incidents themselves, that they opened. */
    async audit(limit: number, before?: string): Promise<AuditPage> {
      const place = auditPlaceOf(before);
      const [stored, opened] = await Promise.all([
        sql<AuditLine[]>`
          select ${auditColumns(sql)} from events e left join agents a on a.id = e.agent_id
          where e.id < ${place.line} order by e.id desc limit ${limit + 1}`,
        sql<AuditLine[]>`
          select -i.id as id, i.created_at as at, 'opened' as kind, 'agent' as actor, i.agent_id, ${host} as host,
            i.id as incident_id, null as command_id, jsonb_build_object('source', i.source, 'severity', i.severity) as data
          from incidents i where i.id < ${place.incident}::int order by i.id desc limit ${limit + 1}`,
      ]);
      const lines = merge(stored, opened, limit);
      return stored.length + opened.length > limit ? { lines, nextCursor: auditCursor(lines, place) } : { lines };
    },
  };

  function instant(at: Fragment): Fragment {
    return sql`to_char(${at} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
  }
}

export type ListStore = ReturnType<typeof createListStore>;

/** Of line `e` and its agent `a`. */
export function auditColumns(sql: Sql): Fragment {
  return sql`e.id::float8 as id, e.at, e.kind, e.actor, e.agent_id, coalesce(a.hostname, a.id::text) as host, e.incident_id,
    e.command_id, e.data`;
}

/** Lines of both, newest first; each kind stays in its own order, so that a page ends at one place in each. */
function merge(stored: readonly AuditLine[], opened: readonly AuditLine[], limit: number): AuditLine[] {
  const [first, second] = [[...stored], [...opened]];
  const atMs = (lines: readonly AuditLine[]) => lines[0]?.at.getTime() ?? 0;
  const takeNewest = () => (atMs(first) >= atMs(second) ? first.shift() : second.shift());
  return Array.from({ length: limit }, takeNewest).filter((line) => line !== undefined);
}

/** Where a page of the audit trail ended: below that line, and below that incident. */
interface AuditPlace {
  line: number;
  incident: number;
}

function auditPlaceOf(cursor = `${Number.MAX_SAFE_INTEGER}.${ID_END}`): AuditPlace {
  const [line, incident] = cursor.split(".").map(Number);
  return { line: line ?? 0, incident: Math.min(incident ?? 0, ID_END) };
}

function auditCursor(lines: readonly AuditLine[], before: AuditPlace): string {
  const line = lines.findLast(({ id }) => id > 0)?.id ?? before.line;
  const opened = lines.findLast(({ id }) => id < 0)?.id ?? -before.incident;
  return `${line}.${-opened}`;
}

/** How many are looked through for a page: as many as it shows, where all of them fit. */
function lookMaxOf({ limit, severities, types, host, words }: IncidentPage, isOpenByNumber = false): number {
  const isAsked = [severities, types, host, words].some((one) => one !== undefined);
  if (!isAsked) return limit + 1;
  const most = isOpenByNumber ? LOOK_OPEN_MAX : words || host ? LOOK_MAX.words : LOOK_MAX.columns;
  return Math.max(limit + 1, most);
}

/** How urgent open ones of these statuses may be, the most urgent first. */
function urgenciesOf(statuses: readonly IncidentStatus[]): number[] {
  const all = statuses.flatMap((status) => (status === "resolved" ? [] : URGENCIES[status]));
  return [...new Set(all)].sort((a, b) => b - a);
}

/** The cursor of a page in order of urgency; none is before all. */
function placeOf(cursor: string | undefined): Place {
  const [first = "", second] = (cursor ?? `9.${ID_END}`).split(".");
  return second === undefined ? { urgency: undefined, id: idOf(first) } : { urgency: Number(first), id: idOf(second) };
}

function idOf(text: string): number {
  return Math.min(Number(text), ID_END);
}

function containing(word: string): string {
  return `%${likeText(word)}%`;
}
