import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import type { TransactionSql } from "postgres";
import { checkDatabase } from "../../src/doctor/database.ts";
import { deleteQuarantined } from "../../src/ingest/batch-store.ts";
import type { AcceptedAlert, TimedFrame } from "../../src/ingest/model.ts";
import type { TestAgent } from "../support/agent.ts";
import { type FleetServer, startFleetServer } from "../support/fleet-server.ts";
import { alertOf } from "../support/frames.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

type Fault = (tx: TransactionSql, alerts: readonly TimedFrame<AcceptedAlert>[]) => unknown;

const SECRET = "hunter2-in-the-logs";

let database: TestDatabase;
let server: FleetServer;
let socket: TestAgent;
/** What goes wrong in a batch, before its alerts are written. */
let fault: Fault;
let tries: number;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startFleetServer(database, {
    wrapAlerts: (recorder) => ({
      async record(tx, alerts) {
        tries++;
        await fault(tx, alerts);
        await recorder.record(tx, alerts);
      },
    }),
    results: {
      record: async () => {
        throw new Error("assertion failed: one outcome for each result");
      },
    },
  });
  socket = await server.connect();
});

beforeEach(async () => {
  fault = () => undefined;
  tries = 0;
  await sql()`truncate quarantine`;
});

afterAll(async () => {
  await server.stop();
  await database.close();
});

const sql = () => database.database.sql;
const acks = (prefix: string) =>
  socket.frames.filter((frame) => frame.type === "ack" && frame.id.startsWith(prefix)).length;
const errors = () => socket.frames.filter(({ type }) => type === "error");
const frameOf = (id: string, alert: Record<string, unknown> = {}) => ({
  ver: "1.1",
  ts: Date.now() / 1000,
  token: "the-token",
  type: "alert",
  id,
  data: JSON.stringify(alertOf(alert)),
});
const hasSource = (alerts: Parameters<Fault>[1], source: string) =>
  alerts.some(({ frame }) => frame.alert.source === source);

function send(prefix: string, count: number, source: (n: number) => string): void {
  for (let n = 0; n < count; n++) socket.send(frameOf(`${prefix}${n}`, { source: source(n), logs: SECRET }));
}

async function countStored(prefix: string): Promise<number> {
  const [row] = await sql()`select count(*)::int as count from alerts where message_id like ${`${prefix}%`}`;
  return row?.count;
}

describe("a fault of our own", () => {
  test("that one frame always meets costs none: that one is in quarantine, the others are stored, all acknowledged", async () => {
    fault = (_, alerts) => {
      if (hasSource(alerts, "odd")) throw new Error("assertion failed: an even source");
    };
    send("one-", 300, (n) => (n === 137 ? "odd" : `source-${n}`));
    await until(() => acks("one-") === 300, { ms: 15_000, what: "300 acks" });
    expect(errors()).toEqual([]);
    expect(await countStored("one-")).toBe(299);
    const rows = await sql()`select agent_id::text, message_id, kind, payload, error from quarantine`;
    expect([...rows]).toEqual([
      {
        agent_id: expect.any(String),
        message_id: "one-137",
        kind: "alert",
        payload: {
          origin: "agent",
          age_ms: 0,
          alert: { type: "systemd", source: "odd", message: "nginx crashed", logs: SECRET },
        },
        error: expect.stringMatching(/^Error: assertion failed: an even source\n/),
      },
    ]);
    expect(await server.metrics()).toContain('opspilot_frames_quarantined_total{kind="alert"} 1\n');

    // The agent heard of no ack, say, and sends it again.
    socket.send(frameOf("one-137", { source: "odd" }));
    await until(() => acks("one-137") === 2, { ms: 15_000, what: "the second ack" });
    expect(await sql()`select from quarantine`).toHaveLength(1);
  }, 180_000);

  test("that finds something there already never has the frame refused", async () => {
    fault = async (tx, alerts) => {
      if (hasSource(alerts, "twice")) await tx`insert into agents select * from agents limit 1`;
    };
    send("there-", 3, (n) => (n === 1 ? "twice" : `source-${n}`));
    await until(() => acks("there-") === 3, { ms: 15_000, what: "3 acks" });
    expect(errors()).toEqual([]);
    expect(await countStored("there-")).toBe(2);
    expect([...(await sql()`select message_id from quarantine`)]).toEqual([{ message_id: "there-1" }]);
  });

  test("that passes keeps nothing from being stored", async () => {
    let left = 3;
    fault = () => {
      if (left-- > 0) throw new TypeError("undefined is not a function");
    };
    send("pass-", 50, (n) => `pass-${n}`);
    await until(() => acks("pass-") === 50, { ms: 15_000, what: "50 acks" });
    expect(errors()).toEqual([]);
    expect(await countStored("pass-")).toBe(50);
    expect([...(await sql()`select from quarantine`)]).toEqual([]);
  }, 180_000);

  test("loses no frame without an id", async () => {
    fault = (tx) => tx`select * from a_queue_that_does_not_exist`;
    for (let n = 0; n < 5; n++) socket.send({ ...frameOf("x", { source: `mute-${n}` }), ver: "1.0", id: undefined });
    const sources = () => sql()`select payload->'alert'->>'source' as source from quarantine order by source`;
    await until(async () => (await sources()).length === 5, { ms: 15_000, what: "5 rows" });
    expect((await sources()).map(({ source }) => source)).toEqual([0, 1, 2, 3, 4].map((n) => `mute-${n}`));
    expect(errors()).toEqual([]);
  }, 180_000);

  test("in a result puts that in quarantine", async () => {
    const result = { command_id: crypto.randomUUID(), status: "done" };
    socket.send({ ...frameOf("result-1"), type: "result", data: JSON.stringify(result) });
    await until(() => acks("result-1") === 1, { ms: 15_000, what: "the ack" });
    expect([...(await sql()`select kind, payload from quarantine`)]).toEqual([{ kind: "result", payload: { result } }]);
  }, 180_000);

  test("stays for later while not even the quarantine can be written", async () => {
    fault = (_, alerts) => {
      if (hasSource(alerts, "stays")) throw new Error("assertion failed");
    };
    await sql()`alter table quarantine rename to away`;
    const before = tries;
    send("stays-", 1, () => "stays");
    await until(() => tries - before > 6, { ms: 15_000, what: "it is tried on and on" });
    expect([acks("stays-"), ...errors()]).toEqual([0]);
    await sql()`alter table away rename to quarantine`;
    await until(() => acks("stays-") === 1, { ms: 15_000, what: "the ack" });
    expect(await sql()`select from quarantine`).toHaveLength(1);
  }, 180_000);
});

test("a deadlock is tried again on the same connection", async () => {
  const before = server.clients();
  let left = 3;
  fault = async (tx) => {
    if (left-- > 0) await tx`do $$ begin raise exception 'deadlock detected' using errcode = '40P01'; end $$`;
  };
  send("dead-", 20, (n) => `dead-${n}`);
  await until(() => acks("dead-") === 20, { ms: 15_000, what: "20 acks" });
  expect(await countStored("dead-")).toBe(20);
  expect(server.clients()).toBe(before);
}, 180_000);

describe("the quarantine", () => {
  const findings = async () =>
    (await checkDatabase({ database: { url: database.url, directUrl: null }, dataDir: "/nonexistent" }, quiet))
      .findings;
  const put = (error: string, daysAgo: number) => sql()`
    insert into quarantine (uuid, at, agent_id, kind, payload, error)
    values (gen_random_uuid(), now() - ${daysAgo} * interval '1 day', gen_random_uuid(), 'alert',
      ${JSON.stringify({ alert: { logs: SECRET } })}::text::jsonb, ${error})`;

  test("is seen by doctor: how many, and the newest fault, but no payload", async () => {
    expect((await findings()).map(({ name }) => name)).not.toContain("quarantine");
    await put("Error: an older one", 2);
    await put("Error: assertion failed: the newest\n    at record (recorder.ts:1)", 1);
    const found = (await findings()).find(({ name }) => name === "quarantine");
    expect(found).toMatchObject({
      status: "warn",
      text: expect.stringMatching(/^2 frames .*Error: assertion failed: the newest$/),
    });
    expect(JSON.stringify(found)).not.toContain(SECRET);
  });

  test("forgets what is old", async () => {
    await put("Error: old", 40);
    await put("Error: young", 1);
    expect(await deleteQuarantined(sql(), 30 * 86_400_000)).toBe(1);
    expect((await sql()`select error from quarantine`).map(({ error }) => error)).toEqual(["Error: young"]);
  });
});
