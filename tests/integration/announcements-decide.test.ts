import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import type { TransactionSql } from "postgres";
import { createIncidentWriter } from "../../src/incidents/write-store.ts";
import { createNode, createTestOutlet } from "../support/announcements.ts";
import { addAgent, addIncident } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";

let database: TestDatabase;
let agent: string;

beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  agent = await addAgent(database);
});
afterEach(async () => {
  await database.database.sql`truncate announcements, events, alerts, incidents, agents cascade`;
});
afterAll(() => database.close());

const outlets = [createTestOutlet({ outlet: "one" }), createTestOutlet({ outlet: "two" })];
const node = (silenced?: (id: number) => string | undefined) =>
  createNode(database, outlets, silenced ? { silenced } : {});
const rows = () => database.database.sql`
  select incident_id, kind, outlet, state, why, storm_id::int from announcements order by incident_id nulls last, outlet, id`;
const writer = createIncidentWriter();
const change = (changing: (tx: TransactionSql) => Promise<unknown>) => database.database.sql.begin(changing);
const resolve = (id: number) =>
  change((tx) => writer.setStatus(tx, [{ incidentId: id, status: "resolved", actor: "system" }]));
const stateOf = async (id: number) =>
  (await rows()).filter((row) => row.incident_id === id).map((row) => `${row.outlet} ${row.state}`);
const whyOf = async (id: number) => (await rows()).find((row) => row.incident_id === id)?.why;
const timeline = async (id: number) =>
  (await database.database.sql`select kind, data from events where incident_id = ${id} order by id`).map((row) => [
    row.kind,
    row.data.why,
  ]);
const incident = async (id: number) => {
  const [row] = await database.database.sql`select *, updated_at::text as updated from incidents where id = ${id}`;
  return row;
};

describe("an incident", () => {
  test("has one row for each outlet, and a second decision changes nothing", async () => {
    const id = await addIncident(database, agent);
    await node().decide([id]);
    const before = await database.database.sql`select * from announcements order by id`;
    await node().decide([id, id]);
    expect(await database.database.sql`select * from announcements order by id`).toEqual(before);
    expect(await stateOf(id)).toEqual(["one waiting", "two waiting"]);
    expect(await whyOf(id)).toBe("a new problem on this host");
  });

  test("is decided once by two nodes at once", async () => {
    const ids = await Promise.all(Array.from({ length: 10 }, () => addIncident(database, agent)));
    await Promise.all([node().decide(ids), node().decide(ids), node().decide(ids.slice(5))]);
    expect(await rows()).toHaveLength(20);
  });

  test("that came back says so", async () => {
    const first = await addIncident(database, agent, { resolvedAgoS: 60 });
    const id = await addIncident(database, agent, { previousId: first });
    await node().decide([id]);
    expect(await whyOf(id)).toBe(`it is back: incident #${first} was the same problem`);
  });

  test("that was over before it was decided is withheld, unless it is critical", async () => {
    const plain = await addIncident(database, agent, { resolvedAgoS: 1 });
    const critical = await addIncident(database, agent, { resolvedAgoS: 1, severity: "critical" });
    await node().decide([plain, critical]);
    expect(await stateOf(plain)).toEqual(["one withheld", "two withheld"]);
    expect(await timeline(plain)).toEqual([["withheld", "it was resolved before anybody was told"]]);
    expect(await stateOf(critical)).toEqual(["one waiting", "two waiting"]);
  });

  test("that is silenced is withheld with the silence's reason, and told when the silence is over", async () => {
    const id = await addIncident(database, agent);
    await node(() => "silenced by ana until noon").decide([id]);
    await node(() => "silenced by ana until noon").decide([id]);
    expect(await stateOf(id)).toEqual(["one withheld", "two withheld"]);
    expect(await timeline(id)).toEqual([["withheld", "silenced by ana until noon"]]);
    await change((tx) => writer.touch(tx, [id]));
    await node().decide([id]);
    expect(await stateOf(id)).toEqual(["one waiting", "two waiting"]);
  });
});

describe("a consequence of a lost agent", () => {
  const silence = (resolvedAgoS: number | null) =>
    addIncident(database, agent, {
      origin: "server",
      type: "host",
      source: "agent",
      category: "unknown",
      severity: "critical",
      occurredAgoS: 600,
      resolvedAgoS,
    });

  test.each([
    ["in the minute before the silence", 659, true],
    ["earlier than that", 662, false],
    ["during the silence", 300, true],
    ["after the return, as when a host has started anew", 5, false],
  ])("is what occurred %s", async (_, occurredAgoS, isConsequence) => {
    const cause = await silence(120);
    const id = await addIncident(database, agent, { occurredAgoS });
    await node().decide([cause, id]);
    expect((await incident(id))?.parent_id).toBe(isConsequence ? cause : null);
    expect(await stateOf(id)).toEqual(
      isConsequence ? ["one withheld", "two withheld"] : ["one waiting", "two waiting"],
    );
    expect(await stateOf(cause)).toEqual(["one waiting", "two waiting"]);
  });

  test("is not what occurred later, nor what another agent told", async () => {
    const cause = await silence(200);
    const late = await addIncident(database, agent);
    const other = await addIncident(database, await addAgent(database), { occurredAgoS: 400 });
    await node().decide([cause, late, other]);
    expect([(await incident(late))?.parent_id, (await incident(other))?.parent_id]).toEqual([null, null]);
  });

  test("changes its cause, so that the cause's message is edited, and names the reason everywhere", async () => {
    const cause = await silence(null);
    await node().decide([cause]);
    const before = (await incident(cause))?.updated;
    const id = await addIncident(database, agent, { occurredAgoS: 10 });
    await node().decide([id]);
    expect((await incident(cause))?.updated).not.toBe(before);
    const reason = (await incident(id))?.reason;
    expect(reason).toStartWith(`consequence of incident #${cause}: the agent has been silent since `);
    expect(await whyOf(id)).toBe(reason);
    expect(await timeline(id)).toEqual([
      ["consequence", reason],
      ["withheld", reason],
    ]);
  });
});

describe("a consequence of a full disk", () => {
  test.each(["disk_full", "data_corruption", "crash", "lock_conflict"])("is %s on the same host", async (category) => {
    const cause = await addIncident(database, agent, { category: "disk_full" });
    const id = await addIncident(database, agent, { category });
    const elsewhere = await addIncident(database, await addAgent(database), { category });
    await node().decide([cause, id, elsewhere]);
    expect([(await incident(id))?.parent_id, (await incident(elsewhere))?.parent_id]).toEqual([cause, null]);
    expect((await incident(cause))?.parent_id).toBeNull();
  });

  test.each([
    ["a disk that is nearly full", { type: "host", source: "/", severity: "warning" }, {}],
    ["what a program said of it half an hour ago", { occurredAgoS: 1_800 }, {}],
    ["a problem that was there before it", {}, { occurredAgoS: 600 }],
    ["a person's quota", { rawError: "write error: Disk quota exceeded" }, {}],
  ] as const)("is not that of %s", async (_, full, effect) => {
    const cause = await addIncident(database, agent, { category: "disk_full", ...full });
    const id = await addIncident(database, agent, { category: "crash", ...effect });
    await node().decide([cause, id]);
    expect((await incident(id))?.parent_id).toBeNull();
    expect(await stateOf(id)).toEqual(["one waiting", "two waiting"]);
  });

  test("is what happens for as long as the disk itself is full", async () => {
    const full = { type: "host", source: "/", severity: "critical", occurredAgoS: 86_400 } as const;
    const cause = await addIncident(database, agent, { category: "disk_full", ...full });
    const id = await addIncident(database, agent, { category: "crash" });
    await node().decide([cause, id]);
    expect((await incident(id))?.parent_id).toBe(cause);
  });

  describe("on one of several file systems", () => {
    const disk = { type: "host", source: "/var", severity: "critical" } as const;
    beforeEach(async () => {
      const disks = ["/", "/srv", "/var"].map((mount) => ({ mount, used_bytes: 1, total_bytes: 2 }));
      const { sql } = database.database;
      await sql`update agents set meta = ${sql.json({ metrics: { disks } })} where id = ${agent}`;
    });
    const parentOf = async (full: object, effect: object) => {
      const cause = await addIncident(database, agent, { category: "disk_full", ...full });
      const id = await addIncident(database, agent, { category: "disk_full", ...effect });
      await node().decide([cause, id]);
      return (await incident(id))?.parent_id === cause;
    };

    test.each([
      ["cannot write there", disk, { decisive: "open /var/lib/app/x.tmp: no space left on device" }],
      [
        "cannot make a file there",
        { ...disk, source: "/var (inodes)" },
        { decisive: "mkdir /var/x: No space left on device" },
      ],
      ["does not say where", disk, { decisive: "write: No space left on device" }],
      ["names its program alone", disk, { category: "crash", decisive: "/usr/sbin/app: Segmentation fault" }],
      [
        "is a container, whose paths are its own",
        disk,
        { type: "docker", decisive: "/data/x: No space left on device" },
      ],
      [
        "is on the disk of which a program said so",
        { decisive: "/srv/a: disk full" },
        { decisive: "'/srv/b/c' is full" },
      ],
    ])("is what %s", async (_, full, effect) => expect(await parentOf(full, effect)).toBe(true));

    test.each([
      ["cannot write elsewhere", disk, { decisive: "write error: /srv/db/1: No space left on device" }],
      ["is beside it by name", disk, { decisive: "/var-data/x: No space left on device" }],
      ["is in memory", { ...disk, source: "/" }, { decisive: "fallocate(/run/app.pid): No space left on device" }],
      ["breaks elsewhere", disk, { category: "data_corruption", decisive: 'file="/srv/db/7": bad checksum' }],
      [
        "is not on the disk of which a program said so",
        { decisive: "/srv/a: disk full" },
        { decisive: "/var/b: full" },
      ],
    ])("is not what %s", async (_, full, effect) => expect(await parentOf(full, effect)).toBe(false));
  });

  test.each(["port_conflict", "timeout", "unknown"])("is not %s", async (category) => {
    const cause = await addIncident(database, agent, { category: "disk_full" });
    const id = await addIncident(database, agent, { category });
    await node().decide([cause, id]);
    expect(await stateOf(id)).toEqual(["one waiting", "two waiting"]);
  });

  test("is nothing once the disk has room again", async () => {
    const cause = await addIncident(database, agent, { category: "disk_full", resolvedAgoS: 1 });
    const id = await addIncident(database, agent, { category: "crash" });
    await node().decide([cause, id]);
    expect((await incident(id))?.parent_id).toBeNull();
  });

  test("is told when it is still open 5 minutes after the cause was resolved, and not before", async () => {
    const { sql } = database.database;
    const cause = await addIncident(database, agent, { category: "disk_full" });
    const [open, ended] = [
      await addIncident(database, agent, { category: "crash" }),
      await addIncident(database, agent, { category: "crash" }),
    ];
    const decider = node();
    await decider.decide([cause, open, ended]);
    await resolve(cause);
    await resolve(ended);
    await sql`update incidents set resolved_at = now() - interval '290 s' where id = ${cause}`;
    await decider.sweep();
    expect(await stateOf(open)).toEqual(["one withheld", "two withheld"]);
    const [due] = await sql`
      select extract(epoch from next_attempt_at - now())::float8 as in_s from announcements where incident_id = ${open}`;
    expect(due?.in_s).toBeGreaterThan(8);
    expect(due?.in_s).toBeLessThan(11);
    await sql`update incidents set resolved_at = now() - interval '301 s' where id = ${cause}`;
    await sql`update announcements set next_attempt_at = now() where incident_id = any(${[open, ended]})`;
    await decider.sweep();
    await decider.sweep();
    await decider.decide([open, ended]);
    expect(await stateOf(open)).toEqual(["one waiting", "two waiting"]);
    expect(await whyOf(open)).toBe(`still open 5 minutes after its cause, incident #${cause}, was resolved`);
    expect(await stateOf(ended)).toEqual(["one withheld", "two withheld"]);
  });
});

describe("a storm", () => {
  const many = async (count: number) => {
    const ids: number[] = [];
    for (let n = 0; n < count; n++) ids.push(await addIncident(database, agent));
    return ids;
  };
  const kinds = async () => {
    const mine = (await rows()).filter((row) => row.outlet === "one");
    return {
      messages: mine.filter((row) => row.state === "waiting" && row.kind === "incident").length,
      storms: mine.filter((row) => row.kind === "storm").length,
      members: mine.filter((row) => row.storm_id !== null).length,
    };
  };

  test("begins with the 21st incident of a minute, over all agents and batches", async () => {
    const ids = await many(20);
    await node().decide(ids.slice(0, 15));
    await node().decide(ids.slice(15));
    expect(await kinds()).toEqual({ messages: 20, storms: 0, members: 0 });
    await node().decide(await many(3));
    expect(await kinds()).toEqual({ messages: 20, storms: 1, members: 3 });
  });

  test("of 500 incidents, decided by two nodes, is 20 messages and one storm, and none is lost", async () => {
    const ids = await many(500);
    const batches = Array.from({ length: 20 }, (_, at) => ids.slice(at * 25, at * 25 + 25));
    await Promise.all(batches.map((batch) => node().decide(batch)));
    expect(await kinds()).toEqual({ messages: 20, storms: 1, members: 480 });
    const told = (await rows()).filter((row) => row.outlet === "one" && row.incident_id !== null);
    expect(new Set(told.map((row) => row.incident_id)).size).toBe(500);
  }, 180_000);

  test("lasts while incidents keep coming, and ends after a minute within the limit; the next has its own message", async () => {
    const { sql } = database.database;
    await node().decide(await many(25));
    await sql`update announcements set created_at = created_at - interval '40 s', decided_at = decided_at - interval '40 s'`;
    await node().decide(await many(1));
    expect(await kinds()).toEqual({ messages: 20, storms: 1, members: 6 });
    await sql`update announcements set created_at = created_at - interval '61 s', decided_at = decided_at - interval '61 s'`;
    await node().sweep();
    await node().decide(await many(1));
    expect(await kinds()).toEqual({ messages: 21, storms: 1, members: 6 });
    await node().decide(await many(20));
    expect(await kinds()).toEqual({ messages: 40, storms: 2, members: 7 });
  });
});

test("without an outlet, causes are told from consequences all the same", async () => {
  const cause = await addIncident(database, agent, { category: "disk_full" });
  const id = await addIncident(database, agent, { category: "crash" });
  await createNode(database, []).decide([cause, id]);
  await createNode(database, []).decide([cause, id]);
  expect(await timeline(id)).toHaveLength(1);
  expect((await incident(id))?.parent_id).toBe(cause);
  expect(await rows()).toHaveLength(0);
});
