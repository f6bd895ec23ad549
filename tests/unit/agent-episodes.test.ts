import { describe, expect, test } from "bun:test";
import { createEpisodes, type Episode, episodesIn } from "../../src/agent/collectors/episodes.ts";
import { createSteadyWatch } from "../../src/agent/collectors/steady.ts";
import type { HostAlert } from "../../src/agent/model.ts";
import { createTestClock } from "../support/clock.ts";

const MINUTE_MS = 60_000;

function bench(initial: Record<string, Episode> = {}) {
  const clock = createTestClock();
  const alerts: HostAlert[] = [];
  const report = async (alert: HostAlert) => void alerts.push(alert);
  const givenUp: string[] = [];
  const gaveUp = (source: string) => void givenUp.push(source);
  const episodes = createEpisodes({ type: "systemd", clock, report, recoveryMs: 10_000, initial, gaveUp });
  const fail = (source = "web.service", what = "web.service failed") =>
    episodes.fail({ source, what, atMs: clock.now(), severity: "critical", key: "k", logs: async () => "its log" });
  return { clock, alerts, episodes, givenUp, fail, steady: createSteadyWatch(episodes, clock) };
}

describe("what is broken", () => {
  test("is told at once, with its log", async () => {
    const { alerts, fail, clock } = bench();
    await fail();
    expect(alerts).toEqual([
      {
        type: "systemd",
        source: "web.service",
        message: "web.service failed (failures in a row: 1)",
        logs: "its log",
        severity: "critical",
        state: "firing",
        atMs: clock.now(),
        key: "k",
      },
    ]);
  });

  test("is counted in a loop: a sum after a minute, and then one every four minutes", async () => {
    const { alerts, episodes, fail, clock } = bench();
    const toldAtMinutes: number[] = [];
    for (let second = 0; second < 15 * 60; second++) {
      const before = alerts.length;
      await (second % 2 === 0 ? fail() : episodes.tick());
      if (alerts.length > before) toldAtMinutes.push(second / 60);
      await clock.advance(1_000);
    }
    expect(toldAtMinutes).toEqual([0, 1, 5, 9, 13]);
    expect(alerts.map(({ message }) => message.replace(/\D+/, ""))).toEqual(["1)", "31)", "151)", "271)", "391)"]);
  });

  test("keeps the text of its first failure, so that it stays one problem", async () => {
    const { alerts, fail, clock } = bench();
    await fail();
    await clock.advance(2 * MINUTE_MS);
    await fail("web.service", "web.service failed otherwise");
    expect(alerts[1]?.message).toBe("web.service failed (failures in a row: 2)");
    expect(alerts[1]?.key).toBeUndefined();
  });

  test("tells the rest when nothing starts it any more, and nothing when there is none", async () => {
    const { alerts, episodes, fail } = bench();
    await fail();
    await episodes.giveUp("web.service");
    expect(alerts).toHaveLength(1);
    await fail();
    await episodes.giveUp("web.service");
    expect(alerts[1]?.message).toEndWith("(failures in a row: 2)");
  });

  test("is known after a restart of the agent", async () => {
    const first = bench();
    await first.fail();
    await first.fail();
    const saved = episodesIn(JSON.parse(JSON.stringify(first.episodes.toJson())));
    const { alerts, episodes } = bench(saved);
    await episodes.recover("web.service", "is active again");
    expect(alerts).toMatchObject([
      { state: "resolved", message: "web.service is active again (failures in a row: 2)" },
    ]);
  });

  test.each([[null], [7], [[]], [{ a: 1 }], [{ a: { what: "x" } }]])(
    "is nothing when what was saved is %j",
    (saved) => {
      expect(episodesIn(saved)).toEqual({});
    },
  );

  test("is not without end: what failed longest ago is given up, and never the news", async () => {
    const { alerts, episodes, fail, clock, givenUp } = bench();
    for (let at = 0; at < 1000; at++) await fail(`job-${at}.service`);
    await clock.advance(1_000);
    await fail("job-0.service");
    for (let at = 1000; at < 1200; at++) await fail(`job-${at}.service`);
    expect(alerts).toHaveLength(1200);
    expect(episodes.sources()).toHaveLength(1000);
    expect(givenUp).toEqual(Array.from({ length: 200 }, (_, at) => `job-${at + 1}.service`));
  });
});

describe("when the clock was put back", () => {
  test("what fails now is not given up for what failed before", async () => {
    const { episodes, fail, clock, givenUp } = bench();
    for (let at = 0; at < 999; at++) await fail(`job-${at}.service`);
    clock.setBack(7_200_000);
    await clock.advance(1_000);
    await fail("new.service");
    await fail("newer.service");
    expect(givenUp).toEqual(["job-0.service"]);
    expect(episodes.has("new.service")).toBe(true);
  });

  test("nothing is told to happen in a time that is still to come", async () => {
    const { alerts, episodes, fail, clock } = bench();
    await fail();
    clock.setBack(7_200_000);
    await clock.advance(2 * MINUTE_MS);
    await fail();
    await clock.advance(MINUTE_MS);
    await episodes.recover("web.service", "is active again");
    expect(alerts.slice(1).map(({ atMs }) => clock.now() - atMs)).toEqual([MINUTE_MS, 0]);
  });
});

describe("a recovery", () => {
  const well = (identity: string) => ({ state: "well", identity, how: "is active again" }) as const;

  test("is believed after the hold time, and not before", async () => {
    const { alerts, fail, steady, clock } = bench();
    await fail();
    for (let second = 0; second < 10; second++) {
      await steady.look("web.service", well("a"));
      await clock.advance(1_000);
    }
    expect(alerts).toHaveLength(1);
    await steady.look("web.service", well("a"));
    expect(alerts[1]?.state).toBe("resolved");
    expect(alerts[1]?.atMs).toBe(clock.now());
  });

  test("begins anew with each restart, and with each time it looks broken", async () => {
    const { alerts, fail, steady, clock } = bench();
    await fail();
    for (const look of [well("a"), well("b"), { state: "broken" } as const, well("b")]) {
      await steady.look("web.service", look);
      await clock.advance(9_000);
    }
    expect(alerts).toHaveLength(1);
  });

  test("is believed later each time that the last one was none, up to a quarter of an hour", async () => {
    const { alerts, episodes, fail, steady, clock } = bench();
    const holds: number[] = [];
    for (let turn = 0; turn < 9; turn++) {
      await fail();
      holds.push(episodes.holdMs("web.service"));
      await steady.look("web.service", well("a"));
      await clock.advance(holds.at(-1) ?? 0);
      await steady.look("web.service", well("a"));
    }
    expect(holds.map((ms) => ms / 1000)).toEqual([10, 20, 40, 80, 160, 320, 640, 900, 900]);
    expect(alerts).toHaveLength(18);
    await clock.advance(60 * MINUTE_MS);
    expect(episodes.holdMs("web.service")).toBe(10_000);
  });
});
