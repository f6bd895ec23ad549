import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { acquireDatabase } from "../../src/db/open.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { StartupError } from "../../src/lib/errors.ts";
import { startDatabaseProxy } from "../support/database-proxy.ts";
import { freePort } from "../support/executable.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase, urlOf } from "../support/postgres.ts";
import { until } from "../support/until.ts";

let own: TestDatabase;
beforeAll(async () => {
  own = await createTestDatabase();
});
afterAll(() => own.close());

const acquire = (url: string, directUrl: string | null = null, clock = createSystemClock()) =>
  acquireDatabase({
    config: { database: { url, directUrl }, dataDir: "/nowhere" },
    clock,
    log: quiet,
    role: "command",
  });

/** Waits are over at once, and count ten times: few tries are enough here. */
function fastClock() {
  let nowMs = 0;
  return {
    ...createSystemClock(),
    monotonicMs: () => nowMs,
    sleep: async (ms: number) => {
      nowMs += 10 * ms;
    },
  };
}

async function refusal(url: string, directUrl: string | null = null): Promise<StartupError> {
  const error = await acquire(url, directUrl, fastClock()).catch((caught) => caught);
  expect(error).toBeInstanceOf(StartupError);
  return error as StartupError;
}

describe("the database that DATABASE_URL names", () => {
  test("is opened, and described without a secret", async () => {
    const acquired = await acquire(own.url, own.url);
    expect(await acquired.database.sql`select 1 as one`).toEqual([{ one: 1 }] as never);
    expect(acquired.description).toContain(own.target.database);
    expect(acquired.description).not.toContain(own.target.password);
    await acquired.stop();
    await acquired.stop();
  });

  test("is waited for when it is not up yet: a proxy hangs up at once", async () => {
    const proxy = await startDatabaseProxy(own.target);
    proxy.cut();
    let waits = 0;
    const clock = createSystemClock();
    const counting = { ...clock, sleep: (ms: number) => clock.sleep(ms).then(() => void waits++) };
    const acquiring = acquire(proxy.url, null, counting);
    await until(() => waits > 1);
    proxy.mend();
    await (await acquiring).stop();
    await proxy.stop();
  });

  const changed = (change: Partial<TestDatabase["target"]>) => urlOf({ ...own.target, ...change });
  test.each([
    ["a wrong password", () => changed({ password: "hunter2" }), 69, "password authentication failed"],
    ["a wrong name", () => changed({ database: "nowhere" }), 69, '"nowhere" does not exist'],
    ["no socket", () => changed({ host: "/nowhere" }), 69, "/nowhere"],
    ["a URL with a hole", () => "postgres://me:hunter2@db", 78, ": names no database"],
  ])(
    "%s is told in one line",
    async (_, url, exitCode, message) => {
      for (const [pool, direct] of [
        [url(), null],
        [own.url, url()],
      ] as const) {
        const error = await refusal(pool, direct);
        expect(error.exitCode).toBe(exitCode);
        expect(error.message).toContain(message);
        expect(error.message).toContain(direct === null ? "DATABASE_URL" : "DATABASE_URL_DIRECT");
        expect(error.message).not.toMatch(/hunter2|\n/);
      }
    },
    180_000,
  );

  test("that nothing listens for is given up", async () => {
    const url = `postgres://me:hunter2@127.0.0.1:${await freePort()}/ops`;
    const error = await refusal(url);
    expect(error.exitCode).toBe(69);
    expect(error.message).toContain("ops on 127.0.0.1");
    expect(error.message).not.toContain("hunter2");
  });
});
