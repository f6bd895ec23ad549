import type { PendingQuery, Row, Sql } from "postgres";
import { auditColumns } from "./list-store.ts";
import type { AuditLine } from "./model.ts";

/** What of the audit trail is asked for; all that is named must fit. */
export interface AuditQuery {
  readonly limit: number;
  /** Lines before this one. */
  readonly cursor?: number | undefined;
  /** An actor, or the name in it. Without it people, programs and models are meant, not hosts and the server. */
  readonly who?: string | undefined;
  /** A kind, in which * stands for any characters. */
  readonly what?: string | undefined;
  readonly address?: string | undefined;
  readonly agentId?: string | undefined;
  readonly incidentId?: number | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
}

/** Who did what, newest first. */
export interface AuditTrail {
  find(query: AuditQuery): Promise<{ lines: AuditLine[]; nextCursor?: number }>;
}

/** So many lines are looked through for one page, and the next goes on behind them. */
const LOOK_MAX = 10_000;

/** Who is no person, program or model: their lines are the most by far. */
const OWN = ["agent", "system"];

/** The SQL of the audit trail as people search it. */
export function createAuditTrail(sql: Sql): AuditTrail {
  const when = (condition: boolean, fragment: () => ReturnType<typeof sql>) => (condition ? fragment() : sql`true`);

  // In these words the index of people's lines has it.
  const isPerson = sql`e.actor not in ('agent', 'system')`;

  function whoFits(who: string | undefined) {
    if (who === undefined) return sql`true`;
    if (OWN.includes(who)) return sql`e.actor = ${who}`;
    const name = literal(who);
    // Names that a provider gives may have an @ of their own.
    return sql`(e.actor = ${who} or e.actor like ${`%:${name}`} or e.actor like ${`api:${name}@%`}
      or e.actor like ${`oidc:${name}@%`} and e.actor not like ${`oidc:${name}@%@%`})`;
  }

  return {
    async find({ limit, cursor, who, what, address, agentId, incidentId, since, until }) {
      const place = literal(address ?? "");
      const isOwn = who !== undefined && OWN.includes(who);
      const those = sql`events e where ${isOwn ? sql`true` : isPerson} and e.id < ${cursor ?? Number.MAX_SAFE_INTEGER}
        and ${when(incidentId !== undefined, () => sql`e.incident_id = ${incidentId ?? null}`)}`;
      const found = await sql<AuditLine[]>`
        select ${auditColumns(sql)} from (select e.* from ${those} order by e.id desc limit ${LOOK_MAX}) e
        left join agents a on a.id = e.agent_id
        where ${whoFits(who)}
          and ${when(what !== undefined, () => sql`e.kind like ${literal(what ?? "").replaceAll("*", "%")}`)}
          and ${when(address !== undefined, () => sql`(e.actor = ${`api:${address}`} or e.actor like ${`api:%@${place}`} or e.actor like ${`oidc:%@${place}`})`)}
          and ${when(agentId !== undefined, () => sql`e.agent_id = ${agentId ?? null}`)}
          and ${when(since !== undefined, () => sql`e.at >= ${since ?? null}`)}
          and ${when(until !== undefined, () => sql`e.at < ${until ?? null}`)}
        order by e.id desc limit ${limit + 1}`;
      const lines = found.slice(0, limit);
      const last = found.length > limit ? lines.at(-1)?.id : await lastLookedAt(those);
      return last === undefined ? { lines } : { lines, nextCursor: last };
    },
  };

  /** Undefined where there were no more than are looked through. */
  async function lastLookedAt(those: PendingQuery<Row[]>): Promise<number | undefined> {
    const [row] = await sql<{ id: number }[]>`
      select e.id::float8 as id from ${those} order by e.id desc offset ${LOOK_MAX - 1} limit 1`;
    return row?.id;
  }
}

function literal(text: string): string {
  return text.replaceAll(/[\\%_]/g, "\\$&");
}
