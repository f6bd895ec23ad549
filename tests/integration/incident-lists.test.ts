import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { addAgent, addIncident, type TestIncident } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { type RestAnswer, rest } from "../support/rest.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let server: TestServer;
let web: string;
let db: string;
const ids: Record<string, number> = {};

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url);
  web = await addAgent(database);
  db = await addAgent(database);
  const { sql } = database.database;
  await sql`update agents set hostname = 'db_1', status = 'online' where id = ${db}`;
  await add("info", web, { severity: "info", source: "cron", type: "log" });
  await add("unsaid", web, { severity: null, source: "backup" });
  await add("critical", db, {
    severity: "critical",
    source: "postgres",
    rawError: "  \r\n postgres stopped at 100%\nwith a log",
  });
  await add("critical-new", web, { severity: "critical", status: "new", type: "docker" });
  await add("warning", web, { severity: "warning", source: "nginx", decisive: "x" });
  await add("acknowledged", web, { severity: "critical", status: "acknowledged" });
  await add("ignored", db, { severity: "critical", status: "ignored" });
  await add("resolved", db, { severity: "critical", resolvedAgoS: 60 });
  await add("resolved-web", web, { severity: "warning", resolvedAgoS: 30 });
}, 180_000);
afterAll(async () => {
  await server.stop();
  await database.close();
});

async function add(name: string, agent: string, incident: TestIncident): Promise<void> {
  const { rawError = `${name} failed` } = incident;
  const id = await addIncident(database, agent, { ...incident, rawError });
  const messageChars = rawError.replace(/\nwith a log$/, "").length;
  await database.database.sql`update incidents set message_chars = ${messageChars} where id = ${id}`;
  ids[name] = id;
}

const namesOf = (rows: { id: number }[]) =>
  rows.map(({ id }) => Object.entries(ids).find(([, own]) => own === id)?.[0] ?? String(id));

async function list(query: string): Promise<string[]> {
  const { status, body } = await rest(server.url, `/v1/incidents?${query}`);
  expect({ status, body: status === 200 ? "" : body }).toEqual({ status: 200, body: "" });
  return namesOf(body);
}

/** Where a list goes on; empty at its end. */
const nextOf = ({ headers }: Pick<RestAnswer, "headers">) =>
  /<(.+)>; rel="next"/.exec(headers.get("link") ?? "")?.[1] ?? "";

const NEWEST = [
  "resolved-web",
  "resolved",
  "ignored",
  "acknowledged",
  "warning",
  "critical-new",
  "critical",
  "unsaid",
  "info",
];
const OPEN = NEWEST.slice(2);
const URGENT = ["critical-new", "critical", "warning", "unsaid", "info", "acknowledged", "ignored"];

describe("the list of incidents", () => {
  test.each([
    ["", NEWEST],
    ["status=open", OPEN],
    ["status=new", ["critical-new"]],
    ["status=acknowledged,ignored", ["ignored", "acknowledged"]],
    ["status=new,resolved", ["resolved-web", "resolved", "critical-new"]],
    ["status=open,resolved", NEWEST],
    ["status=open&severity=critical", ["ignored", "acknowledged", "critical-new", "critical"]],
    ["severity=info,warning", ["resolved-web", "warning", "info"]],
    ["type=docker,log", ["critical-new", "info"]],
    ["host=db_1&status=open", ["ignored", "critical"]],
    ["host=db?1&status=open", ["ignored", "critical"]],
    ["host=DB_1", []],
    ["host=*", NEWEST],
    ["host=%25", []],
    ["host=web-*&severity=critical", ["acknowledged", "critical-new"]],
    ["q=POSTGRES", ["critical"]],
    ["q=db_1%20100%25", ["critical"]],
    ["q=100_", []],
    ["q=log", []],
    ["q=port+taken+backup", ["unsaid"]],
    ["q=other", []],
    ["q=%5C", []],
    ["order=urgent&status=open", URGENT],
    ["order=urgent", [...URGENT, "resolved-web", "resolved"]],
    ["order=urgent&status=resolved", ["resolved-web", "resolved"]],
    ["order=urgent&status=open&severity=critical", ["critical-new", "critical", "acknowledged", "ignored"]],
  ])("?%s", async (query, expected) => {
    expect(await list(query)).toEqual(expected);
    expect(await list(`view=short&${query}`)).toEqual(expected);
  });

  test("of one agent takes the same", async () => {
    const { body } = await rest(server.url, `/v1/agents/${db}/incidents?status=open&order=urgent&view=short`);
    expect(namesOf(body)).toEqual(["critical", "ignored"]);
  });

  test.each([
    ["", NEWEST],
    ["&order=urgent", [...URGENT, "resolved-web", "resolved"]],
    ["&order=urgent&status=open", URGENT],
    ["&q=failed&status=acknowledged,resolved&order=urgent", ["acknowledged", "resolved-web", "resolved"]],
  ])("goes on from page to page%s, without a gap and without a repeat", async (query, expected) => {
    for (const limit of [1, 2, 7]) {
      const found: string[] = [];
      for (let path: string | undefined = `/v1/incidents?limit=${limit}${query}`; path !== undefined; ) {
        const { body, headers }: RestAnswer = await rest(server.url, path);
        found.push(...namesOf(body));
        path = /<(.+)>; rel="next"/.exec(headers.get("link") ?? "")?.[1];
      }
      expect(found).toEqual(expected);
    }
  });

  test.each([
    ["status=broken", "status"],
    ["status=new,,resolved", "status"],
    ["severity=none", "severity"],
    ["order=oldest", "order"],
    ["view=long", "view"],
    ["view=short&limit=501", "limit"],
    ["cursor=5.7", "cursor"],
    ["cursor=9.7&order=urgent", "cursor"],
    ["q=a+b+c+d+e+f+g+h+i", "q"],
    ["type=,", "type"],
    ["host=", "host"],
  ])("refuses ?%s", async (query, field) => {
    const { status, body } = await rest(server.url, `/v1/incidents?${query}`);
    expect({ status, fields: body.errors?.map((one: { field: string }) => one.field) }).toEqual({
      status: 422,
      fields: [field],
    });
  });

  test("takes a number that no incident has for the end", async () => {
    expect(await list("cursor=9999999999")).toEqual(NEWEST);
    expect(await list("cursor=0.9999999999&order=urgent&status=open")).toEqual(["ignored"]);
  });

  test("in short says what broke, why, and what was decided", async () => {
    const { sql } = database.database;
    const cause = ids.critical as number;
    await add("consequence", db, { severity: "warning", source: "app" });
    await sql`update incidents set parent_id = ${cause} where id = ${ids.consequence as number}`;
    const press = { action: "ignore", variant: "for_good" };
    const pressed = await rest(server.url, `/v1/incidents/${cause}/decisions`, press);
    expect(pressed.status).toBe(202);
    const short = await until(
      async () => {
        const [found] = (await rest(server.url, "/v1/incidents?view=short&q=postgres")).body;
        return found.decision?.state === "done" && found;
      },
      { ms: 20_000, what: "the decision is carried out" },
    );
    expect(short).toMatchObject({
      id: cause,
      severity: "critical",
      type: "systemd",
      source: "postgres",
      origin: "agent",
      agent_id: db,
      host: "db_1",
      title: "postgres stopped at 100%",
      cause: "Port 80 is taken.",
      confidence: 0.9,
      by: "heuristic",
      occurrences: 1,
      resolved_at: null,
      parent_id: null,
      children: 1,
      status: "ignored",
      silenced: true,
      decision: {
        action: "ignore",
        variant: "for_good",
        actor_name: "somebody at 127.0.0.1",
        requested_at: expect.any(String),
      },
    });
    expect(Object.keys(short)).not.toContain("raw_error");
    expect(JSON.stringify(short).length).toBeLessThan(1_000);
    await rest(server.url, "/v1/silences", { source: "app", until: new Date(Date.now() + 60_000).toISOString() });
    const silenced = (await rest(server.url, "/v1/incidents?view=short&limit=500")).body.filter(
      (one: { silenced: boolean }) => one.silenced,
    );
    expect(namesOf(silenced)).toContain("consequence");
    expect(namesOf(silenced)).not.toContain("warning");
  });
});

test("counts are of what the same filter lists", async () => {
  const counts = async (query: string) => (await rest(server.url, `/v1/incidents/counts?${query}`)).body;
  const ofWeb = await counts("host=web-01");
  expect(ofWeb).toMatchObject({
    total: 5,
    by_status: { new: 1, analyzed: 3, acknowledged: 1, ignored: 0, resolved: null },
    by_severity: { critical: 2, warning: 1, info: 1, none: 1 },
    unacknowledged_critical: 1,
    hosts_affected: 1,
    hosts: { total: 2, online: 1, offline: 1 },
    quiet_since: null,
  });
  const { from, per_minute } = ofWeb.alerts;
  expect(per_minute).toHaveLength(60);
  expect(Date.parse(from) % 60_000).toBe(0);
  const sum = (minutes: number[]) => minutes.reduce((total, n) => total + n, 0);
  expect(sum(per_minute)).toBe(Object.keys(ids).length);
  await add("one more", web, { severity: "info" });
  const again = await counts("status=open,resolved&severity=critical,warning&host=web-*");
  expect(sum(again.alerts.per_minute)).toBe(Object.keys(ids).length);
  expect(again).toMatchObject({
    total: 4,
    by_status: { resolved: 1 },
    by_severity: { critical: 2, warning: 1, info: 0, none: 0 },
  });
  expect(await counts("status=resolved")).toMatchObject({
    total: 2,
    hosts_affected: 0,
    by_status: { new: 0, resolved: 2 },
  });
});

test("the timeline of all hosts has the newest lines first, a page at a time", async () => {
  const { sql } = database.database;
  for (const n of [1, 2, 3])
    await sql`insert into events (kind, actor, agent_id, incident_id, data) values ('noted', 'ana', ${db}, ${ids.critical as number}, ${sql.json({ n })})`;
  const { body, headers } = await rest(server.url, "/v1/timeline?limit=2");
  expect(body).toMatchObject([
    { kind: "noted", actor: "ana", agent_id: db, host: "db_1", incident_id: ids.critical, data: { n: 3 } },
    { data: { n: 2 } },
  ]);
  expect((await rest(server.url, nextOf({ headers }))).body[0]).toMatchObject({ id: body[1].id - 1, data: { n: 1 } });
  expect((await rest(server.url, "/v1/timeline")).body.length).toBeLessThanOrEqual(20);
  expect((await rest(server.url, "/v1/timeline?before=x")).status).toBe(422);
});

test("that an incident opened is one of those lines, and page after page tells each line once", async () => {
  const { sql } = database.database;
  await sql`update incidents set created_at = now() - interval '1 hour' * (100 - id)`;
  await sql`update events set at = now() - interval '96 hours' where data->>'n' = '2'`;
  const lines: { id: number; kind: string }[] = [];
  for (let path = "/v1/timeline?limit=2"; path !== ""; ) {
    const page: RestAnswer = await rest(server.url, path);
    expect(page.body.length).toBeLessThanOrEqual(2);
    lines.push(...page.body);
    path = nextOf(page);
  }
  // A line that was stored later stands above one that was stored before, whatever their clocks said.
  const noted = lines
    .filter(({ kind }) => kind === "noted" || kind === "opened")
    .map(({ id, kind }) => (id > 0 ? kind : `${kind} ${-id}`));
  expect(new Set(lines.map(({ id }) => id)).size).toBe(lines.length);
  const of = (...numbers: number[]) => numbers.map((id) => `opened ${id}`);
  expect(noted).toEqual(["noted", ...of(11, 10, 9, 8, 7, 6, 5), "noted", "noted", ...of(4, 3, 2, 1)]);
  expect(lines.find(({ id }) => id === -(ids.critical as number))).toEqual({
    id: -(ids.critical as number),
    at: expect.any(String),
    kind: "opened",
    actor: "agent",
    agent_id: db,
    host: "db_1",
    incident_id: ids.critical,
    command_id: null,
    data: { source: "postgres", severity: "critical" },
  } as never);
});

test("all is quiet since the last open incident was resolved", async () => {
  const quiet = async () => (await rest(server.url, "/v1/incidents/counts")).body.quiet_since;
  expect(await quiet()).toBeNull();
  await database.database.sql`
    update incidents set status = 'resolved', resolved_at = now() - interval '1 hour' where status <> 'resolved'`;
  const [row] = await database.database.sql`select max(resolved_at) as at from incidents`;
  expect(await quiet()).toBe(row?.at.toISOString());
});
