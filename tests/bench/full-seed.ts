import type { Sql } from "postgres";

/** How full a database is made. */
export interface Fullness {
  readonly alerts: number;
  readonly incidents: number;
  readonly open: number;
  readonly hosts: number;
}

/** RETENTION's default: nothing that is made here is older. */
export const DAYS = 30;
/** Each problem comes again after so many incidents of others. */
const PROBLEMS = 20_000;
/** Of all of them one host has this part: one that is loud. */
const LOUD_PART = 10;
/** Rows of one statement: what is done so far can be told. */
const CHUNK_ROWS = 500_000;

/** Fills an empty database with so many rows, evenly over 30 days; the newest problems are those that are open. */
export async function seed(sql: Sql, full: Fullness, tell: (line: string) => void): Promise<void> {
  await seedHosts(sql, full);
  await seedIncidents(sql, full);
  tell(`${full.incidents.toLocaleString("en")} incidents of ${full.hosts.toLocaleString("en")} hosts`);
  for (let from = 1; from <= full.alerts; from += CHUNK_ROWS) {
    await seedAlerts(sql, full, from, Math.min(full.alerts, from + CHUNK_ROWS - 1));
    tell(`${Math.min(full.alerts, from + CHUNK_ROWS - 1).toLocaleString("en")} alerts`);
  }
  await seedPeople(sql, full);
  await sql`vacuum analyze`;
}

async function seedHosts(sql: Sql, { hosts }: Fullness): Promise<void> {
  await sql`
    insert into agents (id, token_hash, hostname, status, last_seen_at, created_at, meta)
    select md5('agent ' || n)::uuid, md5(n::text), 'host-' || n, case when n % 20 = 0 then 'offline' else 'online' end, now(),
      now() - n * interval '1 s', jsonb_build_object('version', '0.1.0', 'os', 'linux', 'kernel', '6.12.1', 'metrics',
        '{"cpu_pct":12,"load1":0.5,"mem_used_bytes":1000000000,"mem_total_bytes":8000000000}'::jsonb)
    from generate_series(1, ${hosts}::int) n`;
  await sql`
    insert into collectors (agent_id, name, state, since)
    select a.id, c.name, case when c.name = 'docker' then 'absent' else 'sees' end, now()
    from agents a, unnest(array['systemd', 'docker', 'host', 'kernel', 'logs']) c (name)`;
  await sql`
    insert into figures_1h (agent_id, minute, samples, names, stats)
    select a.id, (extract(epoch from now())::bigint / 3600 - h) * 60, 120, array['cpu_pct', 'load1', 'mem_used_pct', 'disk:/'],
      array[[1, 20, 90], [0, 1, 4], [30, 40, 50], [60, 61, 62]]::real[]
    from agents a, generate_series(1, ${DAYS * 24}::int) h`;
}

async function seedIncidents(sql: Sql, { incidents, open, hosts }: Fullness): Promise<void> {
  // Of one problem at most one is open.
  const openEach = Math.max(1, Math.round(Math.min(PROBLEMS, incidents) / open));
  await sql`
    insert into incidents (agent_id, type, source, raw_error, message_chars, ai_analysis, ai_solution, analysis, status, severity,
      fingerprint, occurrences, created_at, last_seen_at, updated_at, resolved_at, reason, parent_id)
    select md5('agent ' || case when p % ${LOUD_PART} = 0 then 1 else 1 + p % ${hosts}::int end)::uuid, t.type, 'unit-' || p % 500, m.text || E'\n' || repeat('2026-01-31T00:00:00Z unit: worker ended ', 20), length(m.text),
      'unit-' || p || ' could not listen: the port is taken. Another program holds it.', 'Stop the other program.',
      jsonb_build_object('by', 'heuristic', 'confidence', 0.9, 'category', (array['port_conflict', 'timeout', 'disk_full'])[1 + p % 3]),
      case when not is_open then 'resolved' when n % 7 = 0 then 'acknowledged' when n % 11 = 0 then 'ignored' else 'analyzed' end,
      (array['critical', 'warning', 'warning', 'info', null])[1 + n / 7 % 5], md5('problem ' || p)::uuid, 25, at, at + interval '1 hour',
      at + interval '1 hour', case when not is_open then at + interval '1 hour' end,
      case when not is_open then 'resolved by the agent' end, case when n % 40 = 0 then n - 1 end
    from (
      select n, n % ${PROBLEMS} as p, n > ${incidents}::int - ${PROBLEMS} and n % ${openEach}::int = 0 as is_open,
        now() - interval '1 hour' - (${incidents}::int - n) * (${DAYS} * interval '1 day' / ${incidents}::int) as at
      from generate_series(1, ${incidents}::int) n) i,
      lateral (select (array['systemd', 'docker', 'host', 'kernel', 'app'])[1 + p / 3 % 5] as type) t,
      lateral (select 'unit-' || p % 500 || '.service failed: exit code ' || p % 200 || ', code word ' || left(md5(p::text), 6) as text) m
    order by n`;
}

/** As many of each incident, every half a minute; the last one of a resolved incident says that it is over. */
async function seedAlerts(sql: Sql, { alerts, incidents }: Fullness, from: number, to: number): Promise<void> {
  const each = Math.max(1, Math.floor(alerts / incidents));
  await sql`
    insert into alerts (uuid, agent_id, message_id, incident_id, state, severity, occurred_at, received_at, origin, type, source, raw_error)
    select md5('alert ' || n)::uuid, i.agent_id, 'message-' || n, i.id, case when is_end then 'resolved' else 'firing' end, i.severity,
      at, at, case when is_end then 'agent' end, case when is_end then i.type end, case when is_end then i.source end,
      case when k > 0 then left(i.raw_error, 200) end
    from (
      select n, (n - 1) % ${each}::int as k, least(${incidents}::int, 1 + (n - 1) / ${each}::int) as incident
      from generate_series(${from}::int, ${to}::int) n) a
    join incidents i on i.id = a.incident,
      lateral (select k = ${each}::int - 1 and k > 0 and i.status = 'resolved' as is_end, i.created_at + k * interval '30 s' as at) s
    order by n`;
}

/** What people, and outlets, did about them. */
async function seedPeople(sql: Sql, { incidents, hosts }: Fullness): Promise<void> {
  await sql`
    insert into events (at, kind, actor, agent_id, incident_id)
    select created_at, 'resolved', 'agent', agent_id, id from incidents where status = 'resolved' order by id`;
  await sql`
    insert into events (at, kind, actor, agent_id, incident_id, data)
    select created_at, (array['acknowledged', 'decided', 'command', 'silence.created'])[1 + id / 10 % 4],
      (array['api:anna@10.0.0.1', 'api:ben@10.0.0.2', 'slack:U1', 'cli:root'])[1 + id / 40 % 4], agent_id, id, '{"why":"seen"}'
    from incidents where id % 10 = 0 order by id`;
  await sql`
    insert into decisions (id, incident_id, action, actor, actor_name, outlet, state, requested_at, ended_at)
    select md5('decision ' || id)::uuid, id, 'acknowledge', 'slack:U1', 'anna', 'slack', 'done', created_at, created_at
    from incidents where id % 10 = 0`;
  await sql`
    insert into announcements (kind, incident_id, outlet, state, why, decided_at, created_at, closed_at)
    select 'incident', id, 'slack', 'withheld', 'a silence', created_at, created_at, now() from incidents order by id`;
  await sql`
    insert into model_calls (incident_id, asked_at, model, endpoint, question_hash, system, prompt, outcome, answer)
    select id, created_at, 'a/model', 'models.example', md5(id::text), 'Say why.', raw_error, 'ok', '{}' from incidents where id % 10 = 0`;
  await sql`
    insert into figure_windows (incident_id, agent_id, minute)
    select id, agent_id, extract(epoch from created_at)::bigint / 60 from incidents`;
  await sql`
    insert into commands (id, agent_id, command, params, target, actor, status, ttl_s, output, created_at, expires_at)
    select md5('command ' || n)::uuid, md5('agent ' || 1 + n % ${hosts}::int)::uuid, 'host_report', '{}', '', 'api:anna@10.0.0.1', 'done', 60,
      repeat('load 0.5 ', 100), now() - n * interval '1 min', now() from generate_series(1, ${Math.ceil(incidents / 10)}::int) n`;
  await sql`
    insert into feedback (incident_id, agent_id, fingerprint, type, source, verdict, shown_category, raw_error, message_chars, actor, actor_name, outlet)
    select id, agent_id, fingerprint, type, source, case when id % 200 = 0 then 'wrong' else 'right' end, analysis->>'category', raw_error,
      message_chars, 'slack:U1', 'anna', 'slack' from incidents where id % 100 = 0`;
  await sql`
    insert into silences (agent, type, source, ends, until, actor, ended_at)
    select 'host-' || n || '*', 'app', 'unit-' || n, 'time', now() + interval '1 day', 'api:anna@10.0.0.1', case when n > 20 then now() end
    from generate_series(1, 1000) n`;
}
