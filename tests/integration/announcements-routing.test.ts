import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import type { TransactionSql } from "postgres";
import type { RoutedOutlet } from "../../src/announcements/routing.ts";
import { readRouting } from "../../src/config/routing.ts";
import { createIncidentWriter } from "../../src/incidents/write-store.ts";
import { parseDaily } from "../../src/lib/hours.ts";
import {
  createNode,
  createTestOutlet,
  type TestNode,
  type TestNodeOptions,
  type TestOutlet,
} from "../support/announcements.ts";
import { addAgent, addIncident } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let agent: string;
const started: TestNode[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  agent = await addAgent(database);
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((node) => node.stop()));
  await database.database.sql`truncate announcements, events, alerts, incidents, agents, outlets cascade`;
});
afterAll(() => database.close());

const MINUTE_MS = 60_000;
const writer = createIncidentWriter();

function route(name: string, params = "", escalatesAfterMin: number | null = null): RoutedOutlet {
  const { routing, mistakes } = readRouting(new URLSearchParams(params));
  expect(mistakes).toEqual([]);
  return { name, routing, escalatesAfterMs: escalatesAfterMin === null ? null : escalatesAfterMin * MINUTE_MS };
}

/** A node with an outlet for each route. */
const nodeOf = (routes: readonly RoutedOutlet[], options: TestNodeOptions = {}, outlets = outletsOf(routes)) =>
  createNode(database, outlets, { ...options, routes });
const outletsOf = (routes: readonly RoutedOutlet[], edits = true) =>
  routes.map(({ name }) => createTestOutlet({ outlet: name, edits }));

/** The same, which leads and posts. */
function start(routes: readonly RoutedOutlet[], options: TestNodeOptions = {}, outlets?: TestOutlet[]): TestNode {
  const node = nodeOf(routes, options, outlets);
  node.start();
  started.push(node);
  return node;
}

/** Which outlets are told of an incident, or why not. */
async function told(id: number): Promise<Record<string, string>> {
  const rows = await database.database.sql`
    select outlet, state, why from announcements where incident_id = ${id} and kind = 'incident' order by id`;
  return Object.fromEntries(rows.map(({ outlet, state, why }) => [outlet, state === "withheld" ? why : state]));
}
const toldNames = async (id: number) =>
  Object.entries(await told(id))
    .flatMap(([name, state]) => (/^(waiting|sent)$/.test(state) ? [name] : []))
    .sort();
const change = (work: (tx: TransactionSql) => Promise<unknown>) => database.database.sql.begin(work);
const touch = (id: number) => change((tx) => writer.touch(tx, [id]));
const setStatus = (id: number, status: "acknowledged" | "ignored" | "resolved") =>
  change((tx) => writer.setStatus(tx, [{ incidentId: id, status, actor: "ana" }]));
/** As if that many minutes had passed since all of this. */
const pass = (minutes: number) => database.database.sql`
  with a as (update alerts set received_at = received_at - make_interval(mins => ${minutes}))
  update announcements set decided_at = decided_at - make_interval(mins => ${minutes}), sent_at = sent_at - make_interval(mins => ${minutes}),
    created_at = created_at - make_interval(mins => ${minutes}), next_attempt_at = next_attempt_at - make_interval(mins => ${minutes})`;
/** When it is decided again by its time alone, minutes from now; null when it is not. */
async function againInMin(id: number, outlet: string): Promise<number | null> {
  const [row] = await database.database.sql`
    select case when next_attempt_at < 'infinity' then round(extract(epoch from next_attempt_at - now()) / 60)::int end as minutes
    from announcements where incident_id = ${id} and outlet = ${outlet} and kind = 'incident'`;
  return row?.minutes ?? null;
}

describe("routing", () => {
  const routes = [
    route("first", "min=critical"),
    route("db", "hosts=DB-*,*-standby"),
    route("box", "types=docker,kub*&min=warning"),
  ];

  test.each([
    ["what only the first takes", { severity: "critical" }, ["first"]],
    ["what several take", { severity: "critical", type: "docker" }, ["box", "first"]],
    ["what another takes, by a pattern", { severity: "warning", type: "kubernetes" }, ["box"]],
    ["what has no severity, as a warning", { severity: null, type: "docker" }, ["box"]],
    ["what nobody takes: it goes to the first", { severity: "info", type: "docker" }, ["first"]],
  ])("%s", async (_, incident, names) => {
    const id = await addIncident(database, agent, incident);
    await nodeOf(routes).decide([id]);
    expect(await toldNames(id)).toEqual(names);
  });

  test("by the host's name in whatever case, or its agent's id; who is left out has a reason, and the timeline is quiet", async () => {
    await database.database.sql`update agents set hostname = 'db-01'`;
    const id = await addIncident(database, agent);
    await nodeOf(routes).decide([id]);
    expect(await told(id)).toEqual({
      first: "not for first: severity below critical",
      db: "waiting",
      box: "not for box: another type",
    });
    const byId = await addIncident(database, agent, { severity: "info" });
    await nodeOf([route("first", "types=x"), route("one", `hosts=${agent}`)]).decide([byId]);
    expect(await toldNames(byId)).toEqual(["one"]);
    expect(await database.database.sql`select kind from events where incident_id in (${id}, ${byId})`).toHaveLength(0);
  });

  test("is decided again when the incident gets worse, and the first is not told of what another was told of", async () => {
    const id = await addIncident(database, agent, { severity: "info", type: "docker" });
    const node = nodeOf(routes);
    await node.decide([id]);
    await database.database.sql`update incidents set severity = 'warning', revision = revision + 1 where id = ${id}`;
    await node.sweep();
    expect(await toldNames(id)).toEqual(["box", "first"]);
    const other = await addIncident(database, agent, { severity: "warning", type: "docker" });
    await node.decide([other]);
    await touch(other);
    await nodeOf([route("first", "min=critical"), route("db", "min=critical"), route("box", "min=critical")]).sweep();
    expect(await toldNames(other)).toEqual(["box"]);
  });

  test("outside its hours an outlet takes nothing, and once they begin it is told of what is still open", async () => {
    const [now] = await database.database.sql`
      select to_char(now() at time zone 'UTC' + interval '90 min', 'HH24:MI') as soon,
        to_char(now() at time zone 'UTC' + interval '300 min', 'HH24:MI') as late,
        to_char(now() at time zone 'UTC' - interval '60 min', 'HH24:MI') as before`;
    const away = [route("first", "min=critical"), route("day", `hours=${now?.soon}-${now?.late} UTC`)];
    const there = [route("first", "min=critical"), route("day", `hours=${now?.before}-${now?.late} UTC`)];
    const [id, over] = [await addIncident(database, agent), await addIncident(database, agent)];
    await nodeOf(away).decide([id, over]);
    expect(await told(id)).toEqual({ first: "waiting", day: "not for day: outside its hours" });
    expect(await againInMin(id, "day")).toBeWithin(88, 91);
    await setStatus(over, "resolved");
    await pass(91);
    await nodeOf(there).sweep();
    expect(await toldNames(id)).toEqual(["day", "first"]);
    expect(await toldNames(over)).toEqual(["first"]);

    // Who is told within its hours is told alone, and the first looks again when they end.
    const within = await addIncident(database, agent);
    await nodeOf(there).decide([within]);
    expect(await toldNames(within)).toEqual(["day"]);
    expect(await againInMin(within, "first")).toBeWithin(298, 301);
    await pass(301);
    await nodeOf(away).sweep();
    expect(await toldNames(within)).toEqual(["day"]);
  });

  test("leaves nobody out where hours end between two outlets' decisions", async () => {
    const [now] = await database.database.sql`
      select to_char(now() at time zone 'UTC' + interval '300 min', 'HH24:MI') as late,
        to_char(now() at time zone 'UTC' - interval '60 min', 'HH24:MI') as before,
        to_char(now() at time zone 'UTC' - interval '120 min', 'HH24:MI') as early`;
    const open = [route("first", "min=critical"), route("day", `hours=${now?.before}-${now?.late} UTC`)];
    const closed = [route("first", "min=critical"), route("day", `hours=${now?.early}-${now?.before} UTC`)];
    const id = await addIncident(database, agent);
    const onlyFirst = createNode(database, [createTestOutlet({ outlet: "first" })], { routes: open });
    await onlyFirst.decide([id]);
    expect(await toldNames(id)).toEqual([]);
    await nodeOf(closed).decide([id]);
    await pass(301);
    await nodeOf(closed).sweep();
    expect(await toldNames(id)).toEqual(["first"]);
  });
});

describe("escalation", () => {
  const routes = [route("chat"), route("phone", "hosts=web-*&hours=mon 00:00-00:01", 15), route("pager", "", 30)];
  const critical = (changes = {}) => addIncident(database, agent, { severity: "critical", ...changes });

  test("goes on to the next while nobody acknowledges, each once, by the database's clock", async () => {
    const id = await critical();
    const node = nodeOf(routes);
    await node.decide([id]);
    expect(await told(id)).toEqual({
      chat: "waiting",
      phone: "phone is told unless somebody acknowledges it within 15 min",
      pager: "pager is told unless somebody acknowledges it within 30 min",
    });
    expect([await againInMin(id, "phone"), await againInMin(id, "pager")]).toEqual([15, 30]);
    await pass(10);
    // What happens to it meanwhile moves nothing.
    await touch(id);
    await node.sweep();
    expect([await againInMin(id, "phone"), await againInMin(id, "pager")]).toEqual([5, 20]);
    await pass(6);
    await Promise.all([node.sweep(), nodeOf(routes).sweep()]);
    expect(await toldNames(id)).toEqual(["chat", "phone"]);
    const [phone] = await database.database.sql`select why from announcements where outlet = 'phone'`;
    expect(phone?.why).toBe("critical, and nobody has acknowledged it for 15 min");
    await setStatus(id, "acknowledged");
    await pass(60);
    await node.sweep();
    expect(await toldNames(id)).toEqual(["chat", "phone"]);
    expect(await againInMin(id, "pager")).toBeNull();
  });

  test.each([
    ["is not critical", { severity: "warning" }, undefined],
    ["is of a host that its routing leaves out", { severity: "critical" }, "db-01"],
  ])("leaves out what %s", async (_, incident, hostname) => {
    if (hostname) await database.database.sql`update agents set hostname = ${hostname}`;
    const id = await addIncident(database, agent, incident);
    const node = nodeOf(routes.slice(0, 2));
    await node.decide([id]);
    await pass(60);
    await touch(id);
    await node.sweep();
    expect(await toldNames(id)).toEqual(["chat"]);
  });

  test("begins anew to count where an incident only becomes critical later", async () => {
    const id = await addIncident(database, agent);
    const node = nodeOf(routes);
    await node.decide([id]);
    await pass(60);
    await database.database
      .sql`insert into alerts (uuid, agent_id, incident_id, state, severity, occurred_at, received_at)
      values (${crypto.randomUUID()}, ${agent}, ${id}, 'firing', 'critical', now(), now())`;
    await database.database.sql`update incidents set severity = 'critical', revision = revision + 1 where id = ${id}`;
    await node.sweep();
    expect([await toldNames(id), await againInMin(id, "phone")]).toEqual([["chat"], 15]);
    await pass(16);
    await node.sweep();
    expect(await toldNames(id)).toEqual(["chat", "phone"]);
  });

  test("waits while it is silenced, and counts from when people were told", async () => {
    const id = await critical();
    let why: string | undefined = "silenced by ana";
    const node = nodeOf(routes, { silenced: () => why });
    await node.decide([id]);
    await pass(60);
    await node.sweep();
    why = undefined;
    await touch(id);
    await node.sweep();
    expect([await toldNames(id), await againInMin(id, "phone")]).toEqual([["chat"], 15]);
  });

  test("comes of what was told in a storm's message, too", async () => {
    const ids = await Promise.all(Array.from({ length: 25 }, () => critical()));
    const node = nodeOf(routes.slice(0, 2));
    await node.decide(ids);
    await pass(16);
    await node.sweep();
    const rows = await database.database.sql`
      select count(*)::int as all, (count(storm_id))::int as together from announcements
      where outlet = 'phone' and kind = 'incident' and (state = 'waiting' or storm_id is not null)`;
    expect([...rows]).toEqual([{ all: 25, together: 5 }]);
  });

  test("is not posted once somebody acknowledged it, though it was due while the outlet was away", async () => {
    const id = await critical();
    const node = nodeOf(routes.slice(0, 2));
    await node.decide([id]);
    await pass(16);
    await node.sweep();
    await setStatus(id, "acknowledged");
    const outlets = outletsOf(routes.slice(0, 2));
    start(routes.slice(0, 2), {}, outlets);
    await until(async () => (await told(id)).chat === "sent" && (await told(id)).phone !== "waiting");
    expect((await told(id)).phone).toBe("somebody acknowledged it before, or it ended");
    expect(outlets[1]?.calls).toEqual([]);
  });

  test("is a message of its own even where the incident flaps, since nobody hears of an edit", async () => {
    const before = await critical({ resolvedAgoS: 30 });
    await database.database.sql`
      insert into announcements (kind, incident_id, outlet, state, why, external_id, sent_at) values
        ('incident', ${before}, 'chat', 'sent', 'new', 'm1', now()), ('incident', ${before}, 'phone', 'sent', 'new', 'm1', now())`;
    const id = await critical({ previousId: before });
    await database.database.sql`insert into events (kind, actor, incident_id) values ('flapping', 'system', ${id})`;
    const node = nodeOf(routes.slice(0, 2));
    await node.decide([id]);
    await pass(16);
    await node.sweep();
    expect(await told(id)).toEqual({ chat: "sent", phone: "waiting" });
  });
});

describe("what nobody acknowledges is said again", () => {
  const routes = [route("chat")];
  const HOURS_4 = 240 * MINUTE_MS;
  const rows = () => database.database.sql`
    select kind, subject, state, content from announcements where subject like 'remind-%' order by id`;

  /** Told four hours ago. */
  async function toldBefore(changes = {}): Promise<number> {
    const id = await addIncident(database, agent, { severity: "critical", ...changes });
    await database.database.sql`
      insert into announcements (kind, incident_id, outlet, state, why, external_id, sent_at, decided_at, decided_revision, shown_revision)
      values ('incident', ${id}, 'chat', 'sent', 'new', ${`m${id}`}, now() - interval '241 min', now(), 1, 1)`;
    return id;
  }

  test("beneath its message, for everybody to hear, once over two nodes, and again after as long", async () => {
    const id = await toldBefore();
    const outlets = outletsOf(routes);
    const options = { remindMs: HOURS_4 };
    start(routes, options, outlets);
    start(routes, options, outlets);
    const replies = () => outlets[0]?.calls.filter(({ what }) => what === "reply") ?? [];
    await until(() => replies().length === 1);
    expect(replies()[0]).toMatchObject({
      externalId: `m${id}`,
      text: "Still open after 4 h, and nobody has acknowledged it.",
    });
    expect((await rows())[0]?.content).toMatchObject({ isLoud: true });
    await pass(241);
    const third = start(routes, options, outlets);
    await Promise.all(started.splice(0, 2).map((node) => node.stop()));
    await until(() => replies().length === 2);
    expect(replies()[1]?.text).toStartWith("Still open after 8 h");
    third.wake();
    await until(async () => (await rows()).every(({ state }) => state === "sent"));
    expect((await rows()).map(({ subject }) => subject)).toEqual(["remind-1", "remind-2"]);
  });

  test("of the last, too, behind hundreds that are silenced", async () => {
    const muted = new Set<number>();
    for (let n = 0; n < 201; n++) muted.add(await toldBefore());
    const last = await toldBefore();
    const outlets = outletsOf(routes);
    start(routes, { remindMs: HOURS_4, silenced: (one) => (muted.has(one) ? "silenced by ana" : undefined) }, outlets);
    await until(() => outlets[0]?.calls.some(({ what }) => what === "reply") === true);
    expect(outlets[0]?.calls.map(({ externalId }) => externalId)).toEqual([`m${last}`]);
  });

  test("as a notice where there are no threads; not what is acknowledged, silenced, no longer critical, or was not told", async () => {
    const id = await toldBefore();
    const silenced = await toldBefore();
    await toldBefore({ status: "acknowledged" });
    await toldBefore({ severity: "warning" });
    await toldBefore({ resolvedAgoS: 60 });
    const outlets = outletsOf(routes, false);
    start(
      routes,
      { remindMs: HOURS_4, silenced: (one) => (one === silenced ? "silenced by ana" : undefined) },
      outlets,
    );
    const notices = () =>
      outlets[0]?.posts().flatMap(({ view }) => (view?.kind === "notice" ? [view.notice] : [])) ?? [];
    await until(() => notices().length === 1);
    expect(notices()[0]).toMatchObject({
      title: "Still open after 4 h: nginx (systemd) on web-01",
      lines: ["It is critical, and nobody has acknowledged it."],
      incidentId: id,
      url: `https://ops.example.com/app/incidents/${id}`,
    });
    expect(await rows()).toHaveLength(1);
  });

  test("unless somebody acknowledges it while the outlet is away", async () => {
    const id = await toldBefore();
    await database.database.sql`
      insert into announcements (kind, incident_id, outlet, subject, state, why, content)
      values ('reply', ${id}, 'chat', 'remind-1', 'waiting', 'x', '{"text": "Still open", "file": null}')`;
    await setStatus(id, "ignored");
    const outlets = outletsOf(routes);
    start(routes, { remindMs: HOURS_4 }, outlets);
    await until(async () => (await rows())[0]?.state === "withheld");
    expect(outlets[0]?.calls.filter(({ what }) => what === "reply")).toEqual([]);
  });
});

describe("the daily digest", () => {
  /** Due a minute ago. */
  async function justDue(): Promise<NonNullable<ReturnType<typeof parseDaily>>> {
    const [row] = await database.database.sql`
      select to_char(now() at time zone 'Europe/Berlin' - interval '1 min', 'HH24:MI') as time`;
    const daily = parseDaily(`${row?.time} Europe/Berlin`);
    if (!daily) throw new Error("no time");
    return daily;
  }
  const noticesOf = (outlets: readonly TestOutlet[]) =>
    outlets.map((one) => one.posts().flatMap(({ view }) => (view?.kind === "notice" ? [view.notice] : [])));

  test("says what is open, acknowledged, ignored, what came back most and who is lost, once over nodes and restarts", async () => {
    const lost = await addAgent(database);
    const { sql } = database.database;
    await sql`update agents set hostname = 'db-03', lost_since = now() - interval '2 hours' where id = ${lost}`;
    const grave = await addIncident(database, agent, { severity: "critical" });
    await addIncident(database, agent);
    const known = await addIncident(database, agent, { status: "acknowledged" });
    const ignored = await addIncident(database, agent, { status: "ignored", severity: null });
    const fingerprint = crypto.randomUUID();
    for (let times = 0; times < 3; times++)
      await addIncident(database, agent, { resolvedAgoS: 60, fingerprint, source: "php" });
    const byAna = await addIncident(database, agent);
    await setStatus(byAna, "resolved");
    await sql`update incidents set created_at = now() - interval '3 hours' where id in (${grave}, ${known}, ${ignored})`;

    const routes = [route("pager", "", 15), route("chat"), route("mail")];
    const outlets = outletsOf(routes);
    const digest = await justDue();
    start(routes, { digest }, outlets);
    start(routes, { digest }, outlets);
    await until(() => noticesOf(outlets).flat().length > 0);
    const [pager, chat = [], mail] = noticesOf(outlets);
    expect([pager, mail]).toEqual([[], []]);
    const { title, lines, incidentId, url } = chat[0] ?? {};
    expect({ title, incidentId, url }).toEqual({
      title: "Daily digest: 4 open, 1 critical",
      incidentId: null,
      url: "https://ops.example.com/app/incidents",
    });
    expect(lines?.[0]).toMatch(
      /^Since \d{4}-\d\d-\d\d \d\d:\d\d \(Europe\/Berlin\): 8 opened, 4 ended, 3 of them by themselves\.$/,
    );
    expect(lines?.slice(1)).toEqual([
      "",
      "Open, nobody has acknowledged: 2 (1 critical, 1 warning)",
      `• #${grave} critical: nginx (systemd) on web-01, for 3 h`,
      `• #${grave + 1} warning: nginx (systemd) on web-01, for 1 min`,
      "",
      "Open, acknowledged: 1 (1 warning)",
      `• #${known} warning: nginx (systemd) on web-01, for 3 h`,
      "",
      "Open, ignored: 1",
      `• #${ignored} nginx (systemd) on web-01, for 3 h`,
      "",
      "Came back most:",
      "• 3 times: php (systemd) on web-01",
      "",
      "Hosts that are lost: 1",
      "• db-03, for 2 h",
    ]);
    await Promise.all(started.splice(0).map((node) => node.stop()));
    await sql`update announcements set created_at = now() - interval '2 days', sent_at = now() - interval '2 days' where kind = 'notice'`;
    const again = start(routes, { digest }, outlets);
    while ((await again.deleteOld(1)) > 0);
    const [lead] = await sql`select max(lead)::int as lead from outlets`;
    await until(
      async () => (await sql`select from outlets where outlet = 'chat' and lead >= ${lead?.lead}`).length === 1,
    );
    await again.decide([await addIncident(database, agent)]);
    await until(() => (outlets[1]?.posts().length ?? 0) >= 2);
    expect(noticesOf(outlets).flat()).toHaveLength(1);
  });

  test("of a quiet day is one line, and goes to who asks for it", async () => {
    const routes = [route("chat"), route("mail", "digest=yes"), route("box", "digest=yes&min=critical")];
    const outlets = outletsOf(routes);
    start(routes, { digest: await justDue() }, outlets);
    await until(() => noticesOf(outlets).flat().length === 2);
    const [chat, mail = [], box = []] = noticesOf(outlets);
    expect(chat).toEqual([]);
    for (const { title, lines } of [...mail, ...box]) {
      expect(title).toBe("Daily digest: nothing is open");
      expect(lines).toEqual([expect.stringMatching(/^Nothing happened since .*, and no host is lost\.$/)]);
    }
  });

  test("that is not due, or was missed for long, is not said", async () => {
    const [row] = await database.database.sql`
      select to_char(now() at time zone 'UTC' - interval '7 hours', 'HH24:MI') as missed,
        to_char(now() at time zone 'UTC' + interval '1 hour', 'HH24:MI') as soon`;
    for (const time of [row?.missed, row?.soon]) {
      const outlets = outletsOf([route("chat")]);
      const digest = parseDaily(time);
      if (!digest) throw new Error("no time");
      const node = start([route("chat")], { digest }, outlets);
      await node.decide([await addIncident(database, agent)]);
      await until(() => outlets[0]?.posts().length === 1);
      await Promise.all(started.splice(0).map((one) => one.stop()));
      expect(noticesOf(outlets).flat()).toEqual([]);
    }
  });
});
