import { describe, expect, test } from "bun:test";
import { createDatabaseClock } from "../../src/ingest/writer.ts";
import { createBatcher } from "../../src/lib/batcher.ts";
import { backoffMs, createSystemClock, DeadlineError, withDeadline } from "../../src/lib/clock.ts";
import { errorMessage } from "../../src/lib/errors.ts";
import { createLineWriter } from "../../src/lib/log.ts";
import { repeat } from "../../src/lib/loops.ts";
import { parseDurationMs, parseSizeBytes } from "../../src/lib/units.ts";
import { until } from "../support/until.ts";

describe("units", () => {
  test.each([
    ["250ms", 250],
    ["90s", 90_000],
    ["5m", 300_000],
    ["2h", 7_200_000],
    ["30d", 2_592_000_000],
    ["5", undefined],
    ["-5s", undefined],
    ["1.5h", undefined],
    ["5 weeks", undefined],
    ["", undefined],
  ])("the duration %p is %p ms", (text, expected) => {
    expect(parseDurationMs(text)).toBe(expected);
  });

  test.each([
    ["512B", 512],
    ["64MiB", 67_108_864],
    ["1GiB", 1_073_741_824],
    ["64MB", undefined],
    ["64", undefined],
  ])("the size %p is %p bytes", (text, expected) => {
    expect(parseSizeBytes(text)).toBe(expected);
  });
});

describe("an error's text", () => {
  const cause = new Error("permission denied for table agents");
  test.each([
    ["is its message", cause, "permission denied for table agents"],
    [
      "of a failed query is the cause, without what was put into it",
      new Error("Failed query: select 1 where $1\nparams: hunter2", { cause }),
      "permission denied for table agents (failed query: select 1 where $1)",
    ],
    ["of several at once is that of each", new AggregateError([cause, new Error("b")], ""), `${cause.message}; b`],
    ["of one whose cleaning up fails is both", new SuppressedError(new Error("b"), cause), `${cause.message}; then b`],
    ["of an object made of one is its message", { ...cause, message: cause.message, queue: "q" }, cause.message],
    ["of anything else says what it is", { state: 3 }, /state: 3/],
    ["of a string is itself", "no", "no"],
  ])("%s", (_, error, text) => {
    expect(errorMessage(error)).toMatch(text);
  });
});

describe("a log that cannot be written", () => {
  const full = () => Object.assign(new Error("no space left on device"), { code: "ENOSPC" });

  test("waits, and says how much was lost once there is room", async () => {
    let room = 5;
    let text = "";
    const writer = createLineWriter((bytes) => {
      if (room === 0) throw full();
      const written = Math.min(room, bytes.length);
      room -= written;
      text += Buffer.from(bytes.subarray(0, written)).toString();
      return written;
    });
    writer.write("first line\n");
    writer.write(`${"x".repeat(1_000_000)}\n`);
    for (let n = 0; n < 3; n++) writer.write(`${"y".repeat(100_000)}\n`);
    expect(text).toBe("first");
    room = Number.POSITIVE_INFINITY;
    await until(() => text.includes("could not be written"));
    const lines = text.trim().split("\n");
    expect(lines.map((line) => line[0])).toEqual(["f", "x", "{"]);
    expect(JSON.parse(lines[2] ?? "")).toMatchObject({ level: "warn", lines: 3 });
    writer.write("last\n");
    expect(text).toEndWith("}\nlast\n");
  });

  test("keeps nothing where nobody will read it", () => {
    let tries = 0;
    const writer = createLineWriter(() => {
      tries++;
      throw Object.assign(new Error("broken pipe"), { code: "EPIPE" });
    });
    writer.write("one\n");
    writer.write("two\n");
    expect(tries).toBe(1);
  });
});

describe("back-off", () => {
  test("doubles up to its ceiling and keeps at least half of the wait", () => {
    for (let attempt = 0; attempt < 50; attempt++) {
      const ceiling = Math.min(2_000, 50 * 2 ** attempt);
      const wait = backoffMs(attempt, { minMs: 50, maxMs: 2_000 });
      expect(wait).toBeGreaterThanOrEqual(ceiling / 2);
      expect(wait).toBeLessThanOrEqual(ceiling);
    }
  });
});

describe("a batcher", () => {
  test("makes one call of what is asked in one turn, and answers each its own", async () => {
    const calls: number[] = [];
    const double = createBatcher(
      async (items: readonly number[]) => {
        calls.push(items.length);
        return items.map((item) => item * 2);
      },
      { max: 4 },
    );
    expect(await Promise.all([1, 2, 3, 4, 5, 6].map(double))).toEqual([2, 4, 6, 8, 10, 12]);
    expect(calls).toEqual([4, 2]);
  });

  test("hands a failure to each that asked, and works again afterwards", async () => {
    let isBroken = true;
    const echo = createBatcher(
      async (items: readonly number[]) => {
        if (isBroken) throw new Error("away");
        return items;
      },
      { max: 10 },
    );
    const both = await Promise.allSettled([echo(1), echo(2)]);
    expect(both.map((one) => one.status)).toEqual(["rejected", "rejected"]);
    isBroken = false;
    expect(await echo(3)).toBe(3);
  });
});

describe("a deadline", () => {
  const ignore = () => undefined;

  test("gives the outcome of what is in time", async () => {
    expect(await withDeadline(Promise.resolve(1), 1_000, "it", ignore)).toBe(1);
    expect(withDeadline(Promise.reject(new Error("broken")), 1_000, "it", ignore)).rejects.toThrow("broken");
  });

  test("gives up what is not, and hands a later failure on", async () => {
    const work = Promise.withResolvers<void>();
    const late = Promise.withResolvers<unknown>();
    const outcome = withDeadline(work.promise, 5, "the query", late.resolve);
    expect(outcome).rejects.toBeInstanceOf(DeadlineError);
    await outcome.catch(ignore);
    work.reject(new Error("too late"));
    expect(await late.promise).toMatchObject({ message: "too late" });
  });
});

describe("a repeated task", () => {
  test("goes on after a failure, runs one at a time, and stops when told", async () => {
    const failures: unknown[] = [];
    const ran = Promise.withResolvers<void>();
    let runs = 0;
    let atOnce = 0;
    const running = repeat(
      createSystemClock(),
      1,
      async () => {
        expect(++atOnce).toBe(1);
        await Promise.resolve();
        atOnce--;
        if (++runs === 3) ran.resolve();
        if (runs === 1) throw new Error("first");
      },
      (error) => failures.push(error),
    );
    await ran.promise;
    await running.stop();
    await running.stop();
    const after = runs;
    expect(failures).toHaveLength(1);
    expect(runs).toBe(after);
  });
});

describe("the database's clock", () => {
  test("never dates what came later earlier, however long the answers take", () => {
    const clock = createDatabaseClock();
    let lastMs = Number.NEGATIVE_INFINITY;
    for (let monotonicMs = 0; monotonicMs < 1_000; monotonicMs += 10) {
      const answerTookMs = (monotonicMs * 7) % 90;
      clock.observe(1_700_000_000_000 + monotonicMs - answerTookMs, monotonicMs - answerTookMs, monotonicMs);
      const atMs = clock.at(monotonicMs - 50);
      expect(atMs).toBeGreaterThanOrEqual(lastMs);
      lastMs = atMs;
    }
  });

  test("is followed when it is set back", () => {
    const clock = createDatabaseClock();
    clock.observe(1_700_000_100_000, 0, 0);
    clock.observe(1_700_000_000_000, 10, 10);
    expect(clock.at(10)).toBe(1_700_000_000_000);
  });

  test("is vague until one answer came quickly, also after it was set back", () => {
    const clock = createDatabaseClock();
    expect(clock.isVague()).toBe(true);
    clock.observe(1_700_000_001_000, 0, 3_000);
    expect(clock.isVague()).toBe(true);
    clock.observe(1_700_000_003_005, 3_000, 3_010);
    expect(clock.isVague()).toBe(false);
    expect(clock.at(3_010)).toBe(1_700_000_003_005);
    clock.observe(1_600_000_000_000, 4_000, 6_000);
    expect(clock.isVague()).toBe(true);
  });
});
