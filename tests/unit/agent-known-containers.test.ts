import { describe, expect, test } from "bun:test";
import { createKnownContainers, type KnownContainer } from "../../src/agent/collectors/docker-known.ts";

const RUNNING: KnownContainer = { state: "running", startedAt: "2026-11-29T08:00:00Z", restarts: 0 };

/** Containers that run, and a clock that a test sets. */
function begin(...ids: string[]) {
  let nowMs = 100_000;
  const initial = Object.fromEntries(ids.map((id) => [id, RUNNING]));
  const known = createKnownContainers(initial, () => nowMs);
  return {
    known,
    pass(ms: number): number {
      nowMs += ms;
      return nowMs;
    },
  };
}

describe("the end of an engine", () => {
  test("has taken down what it had asked together, though some took their time, and not what somebody had stopped before", () => {
    const { known, pass } = begin("before", "quick", "slow", "last");
    known.stopped("before", pass(0));
    const askedMs = pass(15_000);
    known.stopped("quick", askedMs);
    pass(10_000);
    known.stopped("slow", askedMs + 1_000);
    known.engineEnded((id) => (id === "last" ? askedMs : undefined));
    expect(["before", "quick", "slow"].map(known.wasTakenDown)).toEqual([false, true, true]);
  });

  test("has taken nothing down where something was left running that nobody had asked", () => {
    const { known, pass } = begin("stopped", "left");
    known.stopped("stopped", pass(0));
    known.engineEnded(() => undefined);
    expect(known.wasStopped("stopped")).toBe(true);
  });

  test("has nothing to do with what was stopped long before", () => {
    const { known, pass } = begin("stopped");
    known.stopped("stopped", pass(0));
    pass(60_000);
    expect(known.endedInOrder(() => undefined)).toEqual([]);
  });
});
