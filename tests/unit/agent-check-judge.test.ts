import { describe, expect, test } from "bun:test";
import { createJudge } from "../../src/agent/checks/judge.ts";
import type { Outcome } from "../../src/agent/checks/model.ts";
import { createStandings } from "../../src/agent/checks/standing.ts";
import { createEpisodes } from "../../src/agent/collectors/episodes.ts";
import { createSteadyWatch } from "../../src/agent/collectors/steady.ts";
import type { HostAlert } from "../../src/agent/model.ts";
import { checkOf } from "../support/checks.ts";
import { createTestClock } from "../support/clock.ts";

const DAY_MS = 86_400_000;
const well: Outcome = { isWell: true, text: "connected", tookMs: 5 };
const failed: Outcome = { isWell: false, text: "connection refused (ECONNREFUSED)", tookMs: 1 };

function bench(text: string) {
  const clock = createTestClock();
  const alerts: HostAlert[] = [];
  const report = async (alert: HostAlert) => void alerts.push(alert);
  const episodes = createEpisodes({
    type: "check",
    clock,
    report,
    recoveryMs: 10_000,
    counted: "failed checks in a row",
  });
  const steady = createSteadyWatch(episodes, clock);
  const judge = createJudge({ check: checkOf(text), clock, episodes, steady, report, toldLevel: undefined });
  return {
    clock,
    judge,
    told: () => alerts.map(({ source, state, message }) => `${source} ${state}: ${message}`),
    /** Takes the outcome at each time at which the check would be tried, for so long. Resolves with how often. */
    async goesOn(outcome: Outcome, ms: number): Promise<number> {
      const endMs = clock.monotonicMs() + ms;
      let times = 0;
      for (; clock.monotonicMs() < endMs; times++) {
        await judge.take(outcome);
        clock.leap(judge.waitMs());
      }
      return times;
    },
  };
}

describe("a check's outcomes", () => {
  test("are looked at sooner while it is not clear what they mean", async () => {
    const { judge } = bench("tcp://db:5432 1h for=3");
    const waits: number[] = [];
    for (const outcome of [well, failed, failed, failed, failed, well]) {
      await judge.take(outcome);
      waits.push(judge.waitMs() / 1000);
    }
    expect(waits).toEqual([3600, 15, 15, 3600, 3600, 15]);
  });

  test("that go on failing are summed up while the server takes that as the same", async () => {
    const often = bench("tcp://db:5432 1m");
    await often.goesOn(failed, 10 * 60_000);
    const counts = often.told().map((text) => Number(/row: (\d+)\)$/.exec(text)?.[1]));
    expect(counts).toEqual([2, 3, 7, 11]);
    const seldom = bench("tcp://db:5432 10m");
    await seldom.goesOn(failed, 100 * 60_000);
    expect(seldom.told()).toEqual([
      "tcp://db:5432 firing: tcp://db:5432: connection refused (ECONNREFUSED) (failed checks in a row: 2)",
    ]);
  });

  test("are believed to be well again after as many of them, and later each time that was too early", async () => {
    const { goesOn, told } = bench("tcp://db:5432 1m for=3");
    const heals: number[] = [];
    for (let round = 0; round < 3; round++) {
      await goesOn(failed, 60_000);
      let tries = 0;
      for (; !told().at(-1)?.includes(" resolved: "); tries++) await goesOn(well, 1);
      heals.push(tries);
    }
    // 30 s by the number of tries, then 20 s and 40 s by the hold time.
    expect(heals).toEqual([3, 3, 4]);
    expect(told().filter((text) => text.includes(" resolved: "))).toHaveLength(3);
  });

  test("say of a certificate once that it ends, once more that it is urgent, and when it is another", async () => {
    const { goesOn, clock, told } = bench("tls://shop.example.com 20d 1h name=shop");
    const ends = (days: number): Outcome => {
      const certificate = { subject: "shop.example.com", isOwn: true, endMs: clock.now() + days * DAY_MS };
      return { ...well, certificate };
    };
    for (const days of [21, 19.5, 18, 6, 4.5, 3, -1, 6, 80]) await goesOn(ends(days), 1);
    expect(told().map((text) => text.replace(/: tls:.* in (\d+ days).*$/, " $1"))).toEqual([
      "shop (certificate) firing 19 days",
      "shop (certificate) firing 4 days",
      "shop (certificate) resolved 80 days",
    ]);
  });
});

describe("how checks stand", () => {
  test("fits into a heartbeat, those that fail first", () => {
    const clock = createTestClock();
    const standings = createStandings(clock);
    for (let n = 0; n < 50; n++)
      standings.note(`${"x".repeat(190)}${n}`, n === 49 ? failed : { ...well, text: "y".repeat(500) });
    clock.leap(90_000);
    const reports = standings.reports();
    expect(reports[0]).toEqual({
      name: `${"x".repeat(190)}49`,
      up: false,
      for_s: 90,
      took_ms: 1,
      at: 1_706_140_800,
      said: "connection refused (ECONNREFUSED)",
    });
    expect(reports.length).toBeGreaterThan(25);
    expect(Buffer.byteLength(JSON.stringify(reports))).toBeLessThan(13 * 1024);
  });
});
