import type { Sql } from "postgres";

/** What the dashboard and the API ask for, by what it is called in the table. */
export type Routes = Readonly<Record<string, string>>;

const SHORT = "/v1/incidents?view=short&limit=60";
const HOUR_S = 3_600;

/** Every list, with each filter: of hosts and incidents that are there. */
export async function routesOf(sql: Sql): Promise<Routes> {
  const [loud] = await sql<{ id: string }[]>`
    select agent_id as id from incidents group by 1 order by count(*) desc limit 1`;
  const [incident] = await sql<{ id: number; parent: number }[]>`
    select id, (select max(parent_id) from incidents) as parent from incidents where status <> 'resolved' order by id desc limit 1`;
  const hosts = await sql<{ id: string }[]>`select id from agents order by created_at desc limit 100`;
  const [agent, id] = [loud?.id ?? "", incident?.id ?? 0];
  const nowS = Math.floor(Date.now() / 1_000);
  const all = "new,analyzed,acknowledged,ignored,resolved";
  const daysAgo = (days: number) => new Date((nowS - days * 24 * HOUR_S) * 1_000).toISOString();
  return {
    "counts, open": "/v1/incidents/counts?status=open",
    "counts, open, a word": "/v1/incidents/counts?status=open&q=port",
    "counts, resolved": "/v1/incidents/counts?status=resolved",
    "counts, resolved, a word": "/v1/incidents/counts?status=resolved&q=port",
    "open, urgent": `${SHORT}&status=open&order=urgent`,
    "open, newest": `${SHORT}&status=open&order=newest`,
    undecided: `${SHORT}&status=new,analyzed&order=urgent`,
    acknowledged: `${SHORT}&status=acknowledged&order=urgent`,
    ignored: `${SHORT}&status=ignored&order=urgent`,
    "ignored, newest": `${SHORT}&status=ignored&order=newest`,
    "resolved, newest": `${SHORT}&status=resolved&order=newest`,
    "resolved, urgent": `${SHORT}&status=resolved&order=urgent`,
    "all, newest": `${SHORT}&status=${all}&order=newest`,
    "all, urgent": `${SHORT}&status=${all}&order=urgent`,
    "open, critical": `${SHORT}&status=open&order=urgent&severity=critical`,
    "open, info, newest": `${SHORT}&status=open&order=newest&severity=info`,
    "resolved, critical": `${SHORT}&status=resolved&order=newest&severity=critical`,
    "open, a type": `${SHORT}&status=open&order=urgent&type=docker`,
    "open, no such type": `${SHORT}&status=open&order=urgent&type=none`,
    "resolved, a type": `${SHORT}&status=resolved&order=newest&type=docker`,
    "resolved, no such type": `${SHORT}&status=resolved&order=newest&type=none`,
    "open, hosts": `${SHORT}&status=open&order=urgent&host=host-7*`,
    "open, no such host": `${SHORT}&status=open&order=urgent&host=none`,
    "resolved, hosts": `${SHORT}&status=resolved&order=newest&host=host-77`,
    "resolved, no such host": `${SHORT}&status=resolved&order=newest&host=none`,
    "open, a word of all": `${SHORT}&status=open&order=urgent&q=port`,
    "open, a word of few": `${SHORT}&status=open&order=urgent&q=unit-77`,
    "open, a word of none": `${SHORT}&status=open&order=urgent&q=xyzzy`,
    "open, two words": `${SHORT}&status=open&order=newest&q=exit+host-7`,
    "resolved, a word of all": `${SHORT}&status=resolved&order=newest&q=port`,
    "resolved, a word of few": `${SHORT}&status=resolved&order=newest&q=unit-77`,
    "resolved, a word of none": `${SHORT}&status=resolved&order=newest&q=xyzzy`,
    "all, a word of none": `${SHORT}&status=${all}&order=urgent&q=xyzzy`,
    "a host's, all": `${SHORT}&status=${all}&order=newest&agent_id=${agent}`,
    "a host's, open": `/v1/incidents?view=short&status=open&order=urgent&limit=20&agent_id=${agent}`,
    "a host's, resolved": `${SHORT}&status=resolved&order=newest&agent_id=${agent}`,
    "a host's, a word of none": `${SHORT}&status=${all}&order=newest&agent_id=${agent}&q=xyzzy`,
    "a host's, critical": `${SHORT}&status=${all}&order=newest&agent_id=${agent}&severity=critical`,
    "a quiet host's, all": `${SHORT}&status=${all}&order=newest&agent_id=${hosts[7]?.id}`,
    "a quiet host's, no such type": `${SHORT}&status=${all}&order=newest&agent_id=${hosts[7]?.id}&type=none`,
    "what follows from one": `/v1/incidents?view=short&parent_id=${incident?.parent}&limit=50`,
    "in full": "/v1/incidents?limit=100",
    "a host's, in full": `/v1/agents/${agent}/incidents?limit=100`,
    "an incident": `/v1/incidents/${id}`,
    "its history": `/v1/incidents/${id}/history`,
    "its analysis": `/v1/incidents/${id}/analysis`,
    "its figures": `/v1/incidents/${id}/metrics`,
    hosts: "/v1/agents?limit=100",
    "silent hosts": "/v1/agents?status=offline&limit=8",
    "hosts in sight": `/v1/agents?limit=100&ids=${hosts.map((host) => host.id).join(",")}`,
    "a host": `/v1/agents/${agent}`,
    "its commands": `/v1/agents/${agent}/commands?limit=10`,
    "its figures, 3 hours": `/v1/agents/${agent}/metrics?from=${nowS - 3 * HOUR_S}&to=${nowS}`,
    "its figures, 30 days": `/v1/agents/${agent}/metrics?from=${nowS - 720 * HOUR_S}&to=${nowS}`,
    timeline: "/v1/timeline?limit=20",
    audit: "/v1/audit?limit=100",
    "audit, a person": "/v1/audit?limit=100&who=anna",
    "audit, no such person": "/v1/audit?limit=100&who=nobody",
    "audit, agents": "/v1/audit?limit=100&who=agent",
    "audit, a kind": "/v1/audit?limit=100&what=silence.*",
    "audit, no such kind": "/v1/audit?limit=100&what=none.*",
    "audit, agents, no such kind": "/v1/audit?limit=100&who=agent&what=none",
    "audit, no such address": "/v1/audit?limit=100&from=10.9.9.9",
    "audit, a host": `/v1/audit?limit=100&agent_id=${agent}`,
    "audit, a quiet host": `/v1/audit?limit=100&agent_id=${hosts[7]?.id}`,
    "audit, an incident": `/v1/audit?limit=100&incident_id=${id}`,
    "audit, three weeks ago": `/v1/audit?limit=100&since=${daysAgo(22)}&until=${daysAgo(21)}`,
    "audit, agents, three weeks ago": `/v1/audit?limit=100&who=agent&since=${daysAgo(22)}&until=${daysAgo(21)}`,
    silences: "/v1/silences?limit=200",
    "silences, ended": "/v1/silences?limit=200&ended=true",
    "what a silence would fit": "/v1/silences/fit?source=unit-7*",
    tokens: "/v1/tokens",
  };
}

/** How long a route takes. */
export interface Timed {
  readonly name: string;
  readonly path: string;
  /** What it takes while nothing else is in the way. */
  readonly leastMs: number;
  /** Of a processor, for the server and its database. */
  readonly cpuMs: number;
  readonly medianMs: number;
  readonly mostMs: number;
  readonly rows: number;
  readonly bytes: number;
}

/** Who is asked, and the processor time that it and its database have taken so far. */
export interface Asked {
  readonly url: string;
  cpuSeconds(): number;
}

/** Asks for each route so many times, and where there is a next page for that, too. */
export async function timeRoutes(server: Asked, routes: Routes, requests: number): Promise<Timed[]> {
  const timed: Timed[] = [];
  for (const [name, path] of Object.entries(routes)) {
    const { next, ...first } = await timeRoute(server, name, path, requests);
    timed.push(first);
    if (next !== undefined) timed.push((await timeRoute(server, `${name}: next page`, next, requests)) as Timed);
  }
  return timed;
}

async function timeRoute({ url, cpuSeconds }: Asked, name: string, path: string, requests: number) {
  const took: number[] = [];
  let [rows, bytes] = [0, 0];
  let next: string | undefined;
  let cpuS = 0;
  // The first request of a kind also plans its statement.
  for (let n = -2; n < requests; n++) {
    if (n === 0) cpuS = cpuSeconds();
    const startMs = performance.now();
    const answer = await fetch(url + path);
    const text = await answer.text();
    const tookMs = performance.now() - startMs;
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
    if (n >= 0) took.push(tookMs);
    const body = JSON.parse(text);
    rows = Array.isArray(body) ? body.length : 1;
    bytes = text.length;
    next = /<([^>]+)>; rel="next"/.exec(answer.headers.get("link") ?? "")?.[1];
  }
  const cpuMs = ((cpuSeconds() - cpuS) * 1_000) / requests;
  took.sort((a, b) => a - b);
  return {
    name,
    path,
    cpuMs,
    leastMs: took[0] ?? 0,
    medianMs: took[requests >> 1] ?? 0,
    mostMs: took.at(-1) ?? 0,
    rows,
    bytes,
    next,
  };
}
