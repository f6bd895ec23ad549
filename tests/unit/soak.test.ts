import { expect, test } from "bun:test";
import type { FaultOutcome } from "../soak/process-faults.ts";
import { createRandom } from "../soak/random.ts";
import { tableOf } from "../soak/table.ts";

const FAULTS: FaultOutcome = {
  kills: { server: 3, database: 2, agents: 4 },
  serverStarts: 4,
  seconds: 10,
  alertsKept: 99,
  alertsAcknowledged: 100,
  alertsStored: 100,
  incidents: 8,
  toldAlone: 6,
  toldInStorms: 2,
  lost: [],
  doubled: [],
  wrong: [],
};

test("what is chosen by a seed is chosen by it again", () => {
  const [one, same, other] = [createRandom(7), createRandom(7), createRandom(8)].map((random) =>
    Array.from({ length: 100 }, random),
  );
  expect(one).toEqual(same as number[]);
  expect(one).not.toEqual(other as number[]);
  expect(one?.every((value) => value >= 0 && value < 1)).toBeTrue();
});

test("a soak that lost and doubled nothing is as promised", () => {
  const { text, isAsPromised } = tableOf({ seed: 7, faults: FAULTS });
  expect(isAsPromised).toBeTrue();
  expect(text).toContain("3 kills of the server, 2 of PostgreSQL, 4 of agents in 10 s; 4 starts");
  expect(text).toMatch(/^lost +0\ndoubled +0$/m);
});

test.each(["lost", "doubled", "wrong"] as const)("a thing that is %s is said, and fails it", (kind) => {
  const { text, isAsPromised } = tableOf({ seed: 7, faults: { ...FAULTS, [kind]: ["service-1:x:3 is not stored"] } });
  expect(isAsPromised).toBeFalse();
  expect(text).toContain("wrong: service-1:x:3 is not stored");
});

test("whatever else is wrong fails it, too", () => {
  const fuzz = {
    decoded: 2,
    requests: 3,
    routes: 1,
    frames: 1,
    memoryMibBefore: 1,
    memoryMibAfter: 1,
    wrong: ["a 500"],
  };
  expect(tableOf({ seed: 7, fuzz }).isAsPromised).toBeFalse();
  expect(tableOf({ seed: 7, crowds: { rows: [], wrong: ["sent away"] } }).isAsPromised).toBeFalse();
});
