import { afterAll, beforeAll, expect, test } from "bun:test";
import { createAuditTrail } from "../../src/incidents/audit-store.ts";
import { createCountStore } from "../../src/incidents/count-store.ts";
import { createListStore } from "../../src/incidents/list-store.ts";
import type { IncidentPage } from "../../src/incidents/model.ts";
import { addAgent, addIncident } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";

/** So many that reading them would show. */
const RESOLVED = 200_000;

const OPEN = ["new", "analyzed", "acknowledged", "ignored"] as const;

let database: TestDatabase;
let oldest: number;
beforeAll(async () => {
  database = await createTestDatabase();
  const agent = await addAgent(database);
  oldest = await addIncident(database, agent, { status: "new", source: "oldest nginx" });
  const patient = database.database.createClient({ statementLimitMs: 0 });
  await patient`
    insert into incidents (agent_id, type, source, raw_error, message_chars, status, fingerprint, last_seen_at, resolved_at)
    select ${agent}, 'systemd', 'nginx', 'x', 1, 'resolved', md5(n::text)::uuid, now(), now() from generate_series(1, ${RESOLVED}::int) n`;
  await patient`analyze incidents`;
  await patient.end();
}, 180_000);
afterAll(() => database.close());

/** What a list of open incidents may be asked. */
const PAGES: [string, Omit<IncidentPage, "limit">][] = [
  ["new ones", { statuses: ["new"] }],
  ["open ones", { statuses: OPEN }],
  ["in order of urgency", { statuses: OPEN, order: "urgent" }],
  ["of a severity", { statuses: OPEN, order: "urgent", severities: ["warning"] }],
  ["by words", { statuses: OPEN, order: "urgent", words: ["nginx", "port"] }],
  ["of a host", { statuses: OPEN, host: "web-*" }],
];

test.each(PAGES)(
  "%s are listed without a look at the resolved ones",
  async (_, page) => {
    const { sql } = database.database;
    const blocks = async () => {
      await sql`select pg_stat_force_next_flush()`;
      const [row] = await sql`
      select (heap_blks_read + heap_blks_hit)::int as n from pg_statio_user_tables where relname = 'incidents'`;
      return row?.n as number;
    };
    // One session, whose figures can be asked for.
    const lister = database.database.createClient({ connections: 1 });
    const store = createListStore(lister);
    await lister`select 1`;
    const before = await blocks();
    // More than five times: from then on a prepared statement may get a plan for any status.
    for (let n = 0; n < 10; n++) expect(await store.find({ limit: 100, ...page })).toEqual({ ids: [oldest] });
    await lister`select pg_stat_force_next_flush()`;
    expect((await blocks()) - before).toBeLessThan(1_000);
    await lister.end();
  },
  180_000,
);

test("a rare word is looked for among resolved ones a part at a time, and each page says where the next one begins", async () => {
  const store = createListStore(database.database.sql);
  const page = { limit: 10, words: ["oldest"] };
  const looks: { ids: number[]; nextCursor?: string }[] = [];
  for (let cursor: string | undefined; looks.length === 0 || cursor !== undefined; ) {
    const found = await store.find({ ...page, cursor });
    looks.push(found);
    cursor = found.nextCursor;
  }
  expect(looks.length).toBeGreaterThan(5);
  expect(looks.flatMap(({ ids }) => ids)).toEqual([oldest]);
}, 180_000);

test("counts look at open ones alone, and at the last that was resolved", async () => {
  const { sql } = database.database;
  const counts = createCountStore(sql, createListStore(sql));
  const found = await counts.counts({});
  expect(found).toMatchObject({ total: 1, by_status: { resolved: null }, quiet_since: null, hosts_affected: 1 });
  const plan = await sql`
    explain (costs off) select max(resolved_at) as at from incidents
    where status = 'resolved' and not exists (select from incidents where status <> 'resolved')`;
  expect(JSON.stringify(plan)).toContain("incidents_resolved");
}, 180_000);

test("a page in order of urgency reads its own part of an index, however many are open", async () => {
  const { sql } = database.database;
  await sql`
    insert into incidents (agent_id, type, source, raw_error, message_chars, severity, fingerprint, last_seen_at)
    select agent_id, 'systemd', 'nginx', 'x', 1, (array['critical', 'warning', 'info'])[1 + n % 3], md5('open' || n)::uuid, now()
    from incidents, generate_series(1, 5000) n where id = ${oldest}`;
  await sql`analyze incidents`;
  const lister = database.database.createClient({ connections: 1 });
  const store = createListStore(lister);
  const read = async () => {
    await lister`select pg_stat_force_next_flush()`;
    const [row] =
      await sql`select idx_tup_read::int as n from pg_stat_user_indexes where indexrelname = 'incidents_urgency'`;
    return row?.n as number;
  };
  const page = { limit: 100, statuses: OPEN, order: "urgent" } as const;
  await store.find(page);
  const before = await read();
  const { ids, nextCursor } = await store.find(page);
  expect(ids).toHaveLength(100);
  expect((await store.find({ ...page, cursor: nextCursor })).ids).not.toContain(ids[99]);
  const entries = (await read()) - before;
  expect(entries).toBeGreaterThan(200);
  expect(entries).toBeLessThan(400);
  await lister.end();
}, 180_000);

/** What is rare among the 5,000 open ones of the test before. */
const RARE: [string, Omit<IncidentPage, "limit" | "order">, string][] = [
  ["a severity", { severities: ["info"] }, "severity = 'info'"],
  ["a word", { words: ["needle"] }, "source = 'needle'"],
  ["a status", { statuses: ["acknowledged"] }, "status = 'acknowledged'"],
  ["two statuses", { statuses: ["ignored", "acknowledged"] }, "status in ('ignored', 'acknowledged')"],
  ["a status and a word", { statuses: ["ignored"], words: ["needle"] }, "status = 'ignored' and source = 'needle'"],
  ["a host that there is not", { host: "nowhere" }, "false"],
];

test.each(RARE)("by %s, page after page has all that fit in their order, each once", async (_, filter, condition) => {
  const { sql } = database.database;
  await sql`
    update incidents set source = case when id % 997 = 0 then 'needle' else source end,
      status = case when id % 7 = 0 then 'acknowledged' when id % 11 = 0 then 'ignored' else 'new' end
    where status <> 'resolved' and id <> ${oldest}`;
  const store = createListStore(sql);
  const urgency = `case status when 'acknowledged' then 1 when 'ignored' then 0 else
    case severity when 'critical' then 5 when 'warning' then 4 when 'info' then 2 else 3 end end`;
  for (const [order, sorted] of [
    ["newest", "id desc"],
    ["urgent", `${urgency} desc, id desc`],
  ] as const) {
    const expected = await sql.unsafe<{ id: number }[]>(
      `select id from incidents where status <> 'resolved' and ${condition} order by ${sorted}`,
    );
    const found: number[] = [];
    for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
      const page = await store.find({ statuses: OPEN, ...filter, order, limit: 60, cursor });
      found.push(...page.ids);
      cursor = page.nextCursor;
    }
    expect(found).toEqual(expected.map(({ id }) => id));
  }
});

test("what is resolved is counted to a bound", async () => {
  const { sql } = database.database;
  const { counts } = createCountStore(sql, createListStore(sql));
  expect((await counts({ statuses: ["resolved"] })).by_status.resolved).toBe(20_000);
  expect((await counts({ statuses: ["resolved"], types: ["systemd"] })).by_status.resolved).toBe(2_000);
});

test("the audit trail is looked through a part at a time, and each page says where the next one begins", async () => {
  const { sql } = database.database;
  await sql`
    insert into events (kind, actor) select case n when 3 then 'needle' else 'hay' end, 'system' from generate_series(1, 25000) n`;
  const trail = createAuditTrail(sql);
  const pages: string[][] = [];
  for (let cursor: number | undefined; pages.length === 0 || cursor !== undefined; ) {
    const { lines, nextCursor } = await trail.find({ who: "system", what: "needle", limit: 10, cursor });
    pages.push(lines.map(({ kind }) => kind));
    cursor = nextCursor;
  }
  expect(pages).toEqual([[], [], ["needle"]]);
  expect(await trail.find({ limit: 10 })).toEqual({ lines: [] });
});
