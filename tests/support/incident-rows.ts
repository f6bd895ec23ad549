import type { TestDatabase } from "./postgres.ts";

/** A new agent; returns its id. */
export async function addAgent({ database }: TestDatabase, allow: string[] | null = null): Promise<string> {
  const id = crypto.randomUUID();
  await database.sql`
    insert into agents (id, token_hash, hostname, last_seen_at, meta)
    values (${id}, ${id.replaceAll("-", "")}, 'web-01', now(), ${database.sql.json(allow ? { allow } : {})})`;
  return id;
}

/** What an incident of a test is, beside its defaults. */
export interface TestIncident {
  origin?: "agent" | "server";
  type?: string;
  source?: string;
  category?: string;
  decisive?: string;
  severity?: string | null;
  rawError?: string;
  status?: string;
  fingerprint?: string;
  previousId?: number | null;
  /** Seconds ago. */
  occurredAgoS?: number;
  resolvedAgoS?: number | null;
}

/** An incident that was just explained, with its first alert; returns its id. */
export async function addIncident(
  { database }: TestDatabase,
  agentId: string,
  given: TestIncident = {},
): Promise<number> {
  const {
    origin = "agent",
    type = "systemd",
    source = "nginx",
    category = "port_conflict",
    severity = "warning",
    rawError = "nginx failed",
  } = given;
  const { fingerprint = crypto.randomUUID(), previousId = null, occurredAgoS = 0, resolvedAgoS = null } = given;
  const status = given.status ?? (resolvedAgoS === null ? "analyzed" : "resolved");
  const analysis = {
    by: "heuristic",
    category,
    confidence: 0.9,
    decisive: given.decisive ?? "bind() failed",
    heuristic: {},
    model: null,
  };
  const { sql } = database;
  const [row] = await sql<{ id: number }[]>`
    insert into incidents (agent_id, origin, type, source, raw_error, message_chars, ai_analysis, ai_solution, analysis, status,
      fingerprint, severity, last_seen_at, previous_id, resolved_at)
    values (${agentId}, ${origin}, ${type}, ${source}, ${rawError}, 12, 'Port 80 is taken.', 'Stop the other one.',
      ${sql.json(analysis)}, ${status}, ${fingerprint}, ${severity}, now() - make_interval(secs => ${occurredAgoS}),
      ${previousId}, now() - make_interval(secs => ${resolvedAgoS}::float8))
    returning id`;
  const id = row?.id ?? 0;
  await sql`
    insert into alerts (uuid, agent_id, incident_id, state, occurred_at, received_at)
    values (${crypto.randomUUID()}, ${agentId}, ${id}, 'firing', now() - make_interval(secs => ${occurredAgoS}), now())`;
  return id;
}
