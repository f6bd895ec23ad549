import { expect, test } from "bun:test";
import { type Api, ApiProblem } from "../../src/web/data/api.ts";
import type { Counts } from "../../src/web/data/model.ts";
import { createStore } from "../../src/web/data/store.ts";
import type { Connection } from "../../src/web/data/stream-client.ts";
import { until } from "../support/until.ts";

/** A store whose server answers each question about counts by the next of these. */
function storeOf(...answers: (() => Counts)[]) {
  const api = { get: async () => (answers.shift() ?? unreachable)() } as unknown as Api;
  const store = createStore({ api });
  const tell = (connection: Partial<Connection>) =>
    store.setConnection({ state: "live", heardMs: null, lostMs: null, nextTryMs: null, why: null, ...connection });
  return { store, tell };
}

function unreachable(): never {
  throw new ApiProblem(0, "unreachable", "away");
}

const ago = (seconds: number) => Date.now() - seconds * 1_000;

test.each([
  [0, { isKnown: true, isPast: false }],
  [43, { isKnown: true, isPast: false }],
  [44, { isKnown: false, isPast: true }],
  [60, { isKnown: false, isPast: true }],
])("what the server told %d s ago over a stream that lives: %p", (seconds, wanted) => {
  const { store, tell } = storeOf();
  tell({ heardMs: ago(seconds) });
  expect({ isKnown: store.isKnown.value, isPast: store.isPast.value }).toEqual(wanted);
});

test.each([
  [1, { isKnown: false, isPast: false }],
  [6, { isKnown: false, isPast: true }],
])("what it told %d s ago over a stream that is gone: %p", (seconds, wanted) => {
  const { store, tell } = storeOf();
  tell({ state: "waiting", heardMs: ago(seconds), lostMs: ago(seconds) });
  expect({ isKnown: store.isKnown.value, isPast: store.isPast.value }).toEqual(wanted);
});

test("the time goes on with each word of the stream, also where no clock ticks", async () => {
  const { store, tell } = storeOf();
  const beforeMs = store.now.value;
  await until(() => Date.now() > beforeMs);
  tell({});
  expect(store.now.value).toBeGreaterThan(beforeMs);
});

test("counts are asked for anew each minute of signs of life, and what fails is known", async () => {
  const counts = { total: 0 } as Counts;
  const { store } = storeOf(() => counts);
  const alive = () => store.tell({ kind: "alive", data: { at: "" } });
  for (let n = 0; n < 3; n++) alive();
  expect(store.counts.value).toBeNull();
  alive();
  await until(() => store.counts.value === counts);
  for (let n = 0; n < 4; n++) alive();
  await until(() => store.countsProblem.value !== null);
  expect(store.counts.value).toBe(counts);
});
