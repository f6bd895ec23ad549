import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const LIMIT_MS = 60_000;
let database: TestDatabase;
let server: TestServer;
beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url);
  unheard = (await create({ every_s: 60 })).body;
  await server.stop();
  job = unheard;
  await age(86_400);
  server = await startTestServer(database.url);
  // From its first look on what falls due is late.
  await until(hasGrace, { ms: LIMIT_MS, what: "the server looks" });
}, 180_000);
afterAll(async () => {
  await server.stop();
  await database.close();
});

let made = 0;
let job: { id: string; name: string; url: string };
/** Which fell due while no server ran. */
let unheard: typeof job;
const sql = () => database.database.sql;
const create = (more: object) =>
  server.api("/v1/integrations", { method: "POST", body: { kind: "cron", name: `job ${++made}`, ...more } });

beforeEach(async () => {
  const { status, body } = await create({ schedule: "0 3 * * *", zone: "Europe/Berlin", limit_s: 7_200 });
  expect([status, body.url]).toEqual([201, `${server.url}/v1/ping/${body.token}`]);
  job = body;
});

async function ping(how = "", init: RequestInit = {}): Promise<number> {
  const answer = await fetch(`${job.url}${how}`, { ...init, headers: { connection: "close", ...init.headers } });
  await answer.text();
  return answer.status;
}

async function incidents(): Promise<{ status: string; occurrences: number; message: string; logs: string }[]> {
  const rows = await sql()<{ status: string; occurrences: number; raw: string; chars: number }[]>`
    select status, occurrences, raw_error as raw, message_chars as chars from incidents where agent_id = ${job.id} order by id`;
  return rows.map(({ status, occurrences, raw, chars }) => {
    const isOver = status === "resolved";
    return {
      status: isOver ? status : "open",
      occurrences,
      message: raw.slice(0, chars),
      logs: raw.slice(chars).trim(),
    };
  });
}

const view = async () => {
  const { body } = await server.api("/v1/integrations?limit=100");
  return body.find((one: { id: string }) => one.id === job.id).job;
};

async function hasGrace(): Promise<boolean> {
  const [row] = await sql()<{ has: boolean }[]>`
    select alarm_at > now() + interval '200 seconds' as has from cron_jobs where integration_id = ${job.id}`;
  return row?.has === true;
}

/** As if so much time had passed for the job. */
const age = (seconds: number) => sql()`
  update cron_jobs set alarm_at = alarm_at - make_interval(secs => ${seconds}), due_at = due_at - make_interval(secs => ${seconds}),
    started_at = started_at - make_interval(secs => ${seconds}) where integration_id = ${job.id}`;

describe("a job's pings", () => {
  test("that say that it failed are an incident with the last lines of its log, which the next good one resolves", async () => {
    expect(await ping("/start?run=a-1")).toBe(200);
    expect(await view()).toMatchObject({ running: true, trouble: null, schedule: "0 3 * * *", zone: "Europe/Berlin" });
    const lines = { method: "POST", body: "copying\nrsync: write failed: No space left on device (28)\u0000\n" };
    expect(await ping("/11?run=a-1&duration_ms=95000", lines)).toBe(200);
    expect(await incidents()).toMatchObject([
      {
        status: "open",
        occurrences: 1,
        message: `The job ${job.name} failed with exit status 11 after 95 s`,
        logs: expect.stringContaining("No space left on device"),
      },
    ]);
    expect(await view()).toMatchObject({ running: false, trouble: "failed", last_duration_ms: 95_000 });
    // A beginning that was under way when the end was told is not another one.
    expect(await ping("/start?run=a-1")).toBe(200);
    expect((await view()).running).toBe(false);
    expect(await ping("", { method: "HEAD" })).toBe(200);
    expect(await incidents()).toMatchObject([{ status: "resolved", occurrences: 1 }]);
    expect(await ping()).toBe(200);
    expect(await incidents()).toHaveLength(1);
  });

  test("are counted once each that fails, in one incident, whoever sends them at the same time", async () => {
    const all = await Promise.all(Array.from({ length: 8 }, (_, at) => ping(at % 2 === 0 ? "/fail" : "/start")));
    expect(all).toEqual(Array(8).fill(200));
    const [one, ...others] = await incidents();
    expect(others).toEqual([]);
    expect([one?.status, (one?.occurrences ?? 0) >= 4]).toEqual(["open", true]);
  });

  test("that do not come, or whose run takes too long, are an incident, once for each time that it is due", async () => {
    await age(40 * 86_400);
    await until(async () => (await incidents()).length === 1, { ms: LIMIT_MS, what: "it is late" });
    expect(await incidents()).toMatchObject([{ status: "open", message: expect.stringContaining("did not come") }]);
    expect(await view()).toMatchObject({ trouble: "late" });
    expect(await ping("/start")).toBe(200);
    await age(7_300);
    await until(async () => (await view()).trouble === "overdue", { ms: LIMIT_MS, what: "it runs too long" });
    expect(await ping("/0")).toBe(200);
    expect(await incidents()).toMatchObject([{ status: "resolved", occurrences: 2 }]);
  }, 180_000);

  test("that are good end what was told while they came, also where the job's row knows of no trouble", async () => {
    await ping("/fail");
    await sql()`update cron_jobs set trouble = null where integration_id = ${job.id}`;
    expect(await ping()).toBe(200);
    expect(await incidents()).toMatchObject([{ status: "resolved" }]);
  });

  test("are not expected while it is paused", async () => {
    expect((await server.api(`/v1/integrations/${job.id}`, { method: "PATCH", body: { paused: true } })).status).toBe(
      204,
    );
    await age(40 * 86_400);
    const [row] = await sql()`select alarm_at from cron_jobs where integration_id = ${job.id}`;
    expect([(await view()).paused, row?.alarm_at]).toEqual([true, null]);
    await server.api(`/v1/integrations/${job.id}`, { method: "PATCH", body: { paused: false } });
    expect(new Date((await view()).due_at).getTime()).toBeGreaterThan(Date.now());
  });

  test("that are none are refused, each with the field", async () => {
    expect(await ping("/maybe")).toBe(422);
    expect(await ping("/256")).toBe(422);
    expect(await ping("/0?duration_ms=x")).toBe(422);
    expect((await fetch(`${server.url}/v1/ping/opi_nobodys`)).status).toBe(401);
    await server.api(`/v1/integrations/${job.id}`, { method: "DELETE" });
    expect(await ping()).toBe(401);
  });
});

describe("a job", () => {
  test("has a schedule or an interval, and no other kind has", async () => {
    const faults = async (more: object) => {
      const { status, body } = await create(more);
      return [status, ...(body.errors ?? []).map((one: { field: string }) => one.field)];
    };
    expect(await faults({})).toEqual([422, "schedule"]);
    expect(await faults({ schedule: "0 3 * *" })).toEqual([422, "schedule"]);
    expect(await faults({ schedule: "0 3 * * *", zone: "Mars/Base" })).toEqual([422, "zone"]);
    expect(await faults({ schedule: "0 3 * * *", every_s: 600 })).toEqual([422, "schedule"]);
    expect(await faults({ every_s: 600, zone: "UTC" })).toEqual([422, "zone"]);
    expect(await faults({ kind: "generic", grace_s: 5 })).toEqual([422, "grace_s"]);
    expect(await faults({ every_s: 600, grace_s: 0 })).toEqual([201]);
  });

  test("that fell due while no server ran has its grace anew", async () => {
    job = unheard;
    expect(await hasGrace()).toBe(true);
    expect(await incidents()).toEqual([]);
  });
});
