import { expect, test } from "bun:test";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLoops } from "../../src/lib/loops.ts";
import { createReadiness } from "../../src/server/readiness.ts";
import { quiet } from "../support/log.ts";
import { until } from "../support/until.ts";

const OK = { database: "ok", loops: "ok", server: "ok" };

test("a server is ready while the database answers, no loop is stuck and no stop has begun", async () => {
  let isAnswering = true;
  const loops = createLoops(createSystemClock(), quiet);
  const readiness = createReadiness({ ping: async () => isAnswering }, loops.late);
  expect(await readiness.check()).toEqual({ ready: true, checks: OK });

  const turns = ["presence", "decisions"].map((name) => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const loop = loops.start({ name, turn: () => promise, everyMs: 60_000, turnLimitMs: 20, failed: "failed" });
    return { loop, end: () => resolve(undefined) };
  });
  await until(() => loops.late().length === 2);
  expect(await readiness.check()).toEqual({ ready: false, checks: { ...OK, loops: "stuck: presence, decisions" } });
  for (const { end } of turns) end();
  await until(() => loops.late().length === 0);
  expect(await readiness.check()).toEqual({ ready: true, checks: OK });
  for (const { loop } of turns) await loop.stop();

  isAnswering = false;
  expect(await readiness.check()).toEqual({ ready: false, checks: { ...OK, database: "away" } });
  isAnswering = true;
  readiness.stop();
  expect(await readiness.check()).toEqual({ ready: false, checks: { ...OK, server: "stopping" } });
});
