import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { LockKey } from "../../src/db/lock-keys.ts";
import type { Figures } from "../../src/figures/model.ts";
import { createFigureStore } from "../../src/figures/store.ts";
import { createUpkeepStore } from "../../src/figures/upkeep-store.ts";
import { createTestClock } from "../support/clock.ts";
import { addMinutes, createTestFigures, presentMinute, range } from "../support/figures.ts";
import { addAgent, addIncident } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

const MINUTE_MS = 60_000;

let database: TestDatabase;
const stops: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  await sql()`
    truncate agents, incidents, alerts, figures_1m, figures_5m, figures_1h, figures_kept, figure_windows, figures_rolled cascade`;
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});
afterAll(() => database.close());

const sql = () => database.database.sql;

/** What the API shows of a host. */
async function shown(agentId: string, asked: Parameters<ReturnType<typeof createTestFigures>["ofAgent"]>[1] = {}) {
  const outcome = await createTestFigures(database).ofAgent(agentId, asked);
  if (!outcome.ok) throw new Error(outcome.message);
  return outcome.figures;
}

/** The points of a series that are there, with their minutes counted back from the present one. */
function points({ series }: Figures, name: string, minute: number) {
  return (series[name] ?? []).flatMap((point) => (point ? [[point[0] / 60 - minute, ...point.slice(1)]] : []));
}

async function count(table: string): Promise<number> {
  const [row] = await sql()<{ rows: number }[]>`select count(*)::int as rows from ${sql()(table)}`;
  return row?.rows ?? 0;
}

/** Tells `seen` of each statement that writes figures; what that returns is answered, and the database not asked. */
function onWrites(seen: (agentIds: readonly string[]) => object[] | undefined) {
  return new Proxy(sql(), {
    apply(target, self, parts: [readonly string[], ...unknown[]]) {
      const query = () => Reflect.apply(target as never, self, parts);
      if (!Array.isArray(parts[0]) || !parts[0].join("").includes("into figures_1m")) return query();
      const answer = seen(parts.slice(1).find(Array.isArray) ?? []);
      return answer ? Promise.resolve(answer) : query();
    },
  });
}

/** Rolls up and forgets, as a node does when it starts, until `done`. */
async function keepUp(done: () => Promise<boolean>, what: string): Promise<void> {
  const figures = createTestFigures(database);
  figures.start();
  stops.push(figures.stop);
  await until(done, { ms: 20_000, what });
}

describe("what hosts measure", () => {
  test("is kept by minutes as least, mean and most, and what was not heard is a gap", async () => {
    const agentId = await addAgent(database);
    const figures = createTestFigures(database);
    for (const cpu of [10, 20, 60]) figures.heard(agentId, { cpu_pct: cpu, load1: 0.5 });
    figures.clock.leap(2 * MINUTE_MS);
    figures.heard(agentId, {
      cpu_pct: 5,
      mem_used_bytes: 1,
      mem_total_bytes: 4,
      swap_used_bytes: 1,
      swap_total_bytes: 3,
      disks: [{ mount: '/srv/"a\\b" {c}', used_bytes: 9, total_bytes: 10 }],
    });
    await figures.stop();
    const minute = await presentMinute(database);
    const all = await shown(agentId);
    expect(all.step_s).toBe(60);
    expect(all.to - all.from).toBe(180 * 60);
    const cpu = all.series.cpu_pct ?? [];
    expect(cpu).toHaveLength(180);
    const last = cpu.findLastIndex((point) => point !== null);
    expect(cpu.slice(last - 2, last + 1)).toEqual([
      [(all.from / 60 + last - 2) * 60, 10, 30, 60],
      null,
      [(all.from / 60 + last) * 60, 5, 5, 5],
    ]);
    expect(last).toBeGreaterThanOrEqual(178);
    expect(points(all, "mem_used_pct", minute)[0]?.slice(1)).toEqual([25, 25, 25]);
    expect(points(all, "swap_used_pct", minute)[0]?.slice(1)).toEqual([33.33, 33.33, 33.33]);
    expect(points(all, 'disk:/srv/"a\\b" {c}', minute)[0]?.slice(1)).toEqual([90, 90, 90]);
    expect(points(all, "load1", minute)[0]?.slice(1)).toEqual([0.5, 0.5, 0.5]);
  });

  test("is written once for each minute, soon after its end, and nothing where nobody says anything", async () => {
    const agentId = await addAgent(database);
    const writes: number[] = [];
    const clock = createTestClock(Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS + 20_000);
    // The database's clock goes with the test's.
    const sqlOfClock = onWrites(() => {
      writes.push(clock.now());
      return [{ now: clock.now() }];
    });
    const figures = createTestFigures(database, { clock, sql: sqlOfClock });
    figures.start();
    stops.push(figures.stop);
    let heard = 0;
    for (const seconds of range(1, 301)) {
      await clock.advance(1_000);
      if (seconds % 10 !== 0) continue;
      figures.heard(agentId, { cpu_pct: seconds });
      heard = Math.floor(clock.now() / MINUTE_MS);
    }
    expect(writes.length).toBeGreaterThanOrEqual(4);
    const minutes = writes.map((at) => Math.floor(at / MINUTE_MS));
    expect(new Set(minutes).size).toBe(minutes.length);
    for (const at of writes.slice(1)) expect(at % MINUTE_MS).toBeLessThanOrEqual(6_000);
    await clock.advance(2 * MINUTE_MS);
    expect(Math.floor((writes.at(-1) ?? 0) / MINUTE_MS)).toBe(heard + 1);
    const before = writes.length;
    await clock.advance(20 * MINUTE_MS);
    expect(writes.length).toBe(before);
  });

  test("of which no number can be made hinders nobody else's", async () => {
    const [agentId, other] = [await addAgent(database), await addAgent(database)];
    const figures = createTestFigures(database);
    const disks = range(0, 80).map((at) => ({ mount: `/d${at}`, used_bytes: 1, total_bytes: 2 }));
    figures.heard(agentId, { cpu_pct: 1e308, load1: -1, mem_used_bytes: 1, mem_total_bytes: 0, disks });
    figures.heard(agentId, { disks: [{ mount: "/x".repeat(200), used_bytes: 1, total_bytes: 2 }] });
    figures.heard(agentId, { disks: [{ mount: "/tiny", used_bytes: 1e-300, total_bytes: 1e300 }] });
    figures.heard(agentId, undefined);
    figures.heard(other, { cpu_pct: 7 });
    figures.heard(crypto.randomUUID(), { cpu_pct: 7 });
    await figures.stop();
    const { series } = await shown(agentId);
    expect(Object.keys(series)).toHaveLength(51);
    expect(series.cpu_pct).toBeUndefined();
    expect((await shown(other)).series.cpu_pct?.some((point) => point?.[2] === 7)).toBe(true);
    expect(await count("figures_1m")).toBe(2);
  });

  test("of thousands of hosts is written a thousand at a time", async () => {
    const ids = range(0, 2_300).map(() => crypto.randomUUID());
    await sql()`insert into agents (id, token_hash) select id, id::text from unnest(${ids}::uuid[]) id`;
    const sizes: number[] = [];
    const figures = createTestFigures(database, {
      sql: onWrites((agentIds) => {
        sizes.push(agentIds.length);
        return undefined;
      }),
    });
    for (const id of ids) figures.heard(id, { cpu_pct: 50, load1: 1 });
    await figures.stop();
    expect(await count("figures_1m")).toBe(2_300);
    expect(sizes.toSorted((a, b) => b - a)).toEqual([1_000, 1_000, 300]);
  });

  test("that cannot be written now is written later, once", async () => {
    const agentId = await addAgent(database);
    const figures = createTestFigures(database);
    figures.heard(agentId, { cpu_pct: 50 });
    figures.clock.leap(MINUTE_MS);
    figures.heard(agentId, { cpu_pct: 70 });
    await sql()`alter table figures_1m rename to figures_away`;
    await expect(figures.stop()).rejects.toThrow("figures_1m");
    await sql()`alter table figures_away rename to figures_1m`;
    figures.heard(agentId, { cpu_pct: 90 });
    await figures.stop();
    const minute = await presentMinute(database);
    const found = points(await shown(agentId), "cpu_pct", minute).map((point) => point.slice(1));
    expect(found).toEqual([
      [50, 50, 50],
      [70, 80, 90],
    ]);
  });

  test("is merged where several nodes hear a host within a minute, and none waits for another for good", async () => {
    const ids = (await Promise.all(range(0, 40).map(() => addAgent(database)))).toSorted();
    const store = createFigureStore(sql());
    const row = (agentId: string, samples: number, value: number, ...more: string[]) => {
      const names = ["cpu_pct", ...more];
      return { agentId, samples, names, stats: names.map(() => [value - 1, value, value + 1]) };
    };
    const ageMs = 10 * MINUTE_MS;
    await Promise.all(
      range(0, 12).flatMap((at) => [
        store.write(
          ageMs,
          ids.map((id) => row(id, 1, 10)),
        ),
        store.write(
          ageMs,
          ids.toReversed().map((id) => row(id, 3, 50, ...(at === 0 ? ["disk:/"] : []))),
        ),
      ]),
    );
    for (const id of [ids[0], ids[7], ids[39]]) {
      const { series } = await shown(id ?? "");
      const found = (name: string) => (series[name] ?? []).filter((point) => point !== null);
      // A minute may have ended meanwhile.
      for (const [, least, , most] of found("cpu_pct").slice(0, 1)) expect([least, most]).toEqual([9, 51]);
      if (found("cpu_pct").length === 1) expect(found("cpu_pct")[0]?.[2]).toBeCloseTo(40, 1);
      expect(found("disk:/").map((point) => point.slice(1))).toEqual([[49, 50, 51]]);
    }
  });
});

describe("minutes that are older", () => {
  /** An hour that is over for good, whatever the time is now. */
  const pastHour = async (hours: number) => (Math.floor((await presentMinute(database)) / 60) - hours) * 60;

  test("are rolled up to five minutes and hours, and forgotten after three hours", async () => {
    const agentId = await addAgent(database);
    const hour = await pastHour(5);
    // Nothing in the second five minutes.
    const minutes = range(hour, hour + 60).filter((minute) => minute < hour + 5 || minute >= hour + 10);
    await addMinutes(database, agentId, minutes, (minute) => minute - hour);
    await addMinutes(database, agentId, [hour + 60], () => 99);
    const young = await presentMinute(database);
    await addMinutes(database, agentId, [young - 2], () => 5);
    await keepUp(async () => (await count("figures_1m")) === 1, "old minutes are forgotten");
    const fives = await shown(agentId, { fromS: hour * 60, toS: (hour + 60) * 60 });
    expect(fives.step_s).toBe(300);
    expect(fives.series.cpu_pct).toHaveLength(12);
    expect(fives.series.cpu_pct?.slice(0, 3)).toEqual([[hour * 60, -1, 2, 5], null, [(hour + 10) * 60, 9, 12, 15]]);
    const hours = await shown(agentId, { fromS: hour * 60, toS: (hour + 120) * 60, stepS: 3_600 });
    const mean = minutes.reduce((sum, minute) => sum + minute - hour, 0) / minutes.length;
    expect(hours.series.cpu_pct).toEqual([
      [hour * 60, -1, Math.round(mean * 100) / 100, 60],
      [(hour + 60) * 60, 98, 99, 100],
    ]);
    // What is not rolled up yet is shown all the same.
    const now = await shown(agentId, { fromS: (young - 300) * 60, stepS: 3_600 });
    expect(now.series.cpu_pct?.findLast((point) => point !== null)?.slice(1)).toEqual([4, 5, 6]);
  });

  test("are forgotten only once they are rolled up, and around incidents not before it is known where these are", async () => {
    const agentId = await addAgent(database);
    const hour = await pastHour(5);
    await addMinutes(database, agentId, range(hour, hour + 60));
    const store = createUpkeepStore(sql());
    const { signal } = new AbortController();
    await store.prune1m(signal);
    expect(await count("figures_1m")).toBe(60);
    const incident = await addIncident(database, agentId);
    await sql()`update incidents set created_at = to_timestamp((${hour}::int + 30) * 60.0) where id = ${incident}`;
    await sql()`delete from alerts`;
    expect(await store.rollHour()).toBe(true);
    expect(await store.rollHour()).toBe(false);
    // While another node is at it there is nothing to do.
    await sql().begin(async (tx) => {
      await tx`select pg_advisory_xact_lock(${LockKey.figures})`;
      await store.prune1m(signal);
      await store.forgetAgents(signal, 1);
      expect([await store.rollHour(), await store.forgetIncidents(1)]).toEqual([false, 0]);
    });
    expect(await count("figures_1m")).toBe(60);
    await store.prune1m(signal);
    expect([await count("figures_1m"), await count("figures_kept")]).toEqual([0, 60]);
  });

  test("are rolled up again with one that was written late", async () => {
    const agentId = await addAgent(database);
    const hour = await pastHour(2);
    await addMinutes(database, agentId, range(hour, hour + 10));
    await keepUp(async () => (await count("figures_1h")) === 1, "the hour is rolled up");
    for (const stop of stops.splice(0)) await stop();
    const minute = hour + 59;
    const ageMs = Date.now() - (minute * 60 + 30) * 1_000;
    const row = { agentId, samples: 10, names: ["cpu_pct"], stats: [[80, 90, 100]] };
    await createFigureStore(sql()).write(ageMs, [row]);
    const asked = { fromS: hour * 60, toS: (hour + 60) * 60, stepS: 3_600 } as const;
    const expected = [[hour * 60, 9, Math.round(((20 * 10 + 10 * 90) / 30) * 100) / 100, 100]];
    expect((await shown(agentId, asked)).series.cpu_pct).toEqual(expected as never);
    await keepUp(async () => {
      const [stored] = await sql()<{ samples: number }[]>`select samples from figures_1h`;
      return stored?.samples === 30;
    }, "the hour is rolled up again");
    expect((await shown(agentId, asked)).series.cpu_pct).toEqual(expected as never);
  });

  test("that lie ahead of a clock that was put back are not shown, and go", async () => {
    const agentId = await addAgent(database);
    const minute = await presentMinute(database);
    await addMinutes(database, agentId, [minute + 60, minute + 120]);
    await sql()`insert into figures_rolled (id, until_minute) values (1, ${minute + 600})`;
    for (const table of ["figures_5m", "figures_1h"])
      await sql()`
        insert into ${sql()(table)} (agent_id, minute, samples, names, stats)
        select agent_id, minute / 60 * 60 + 60, samples, names, stats from figures_1m`;
    expect((await shown(agentId, { toS: (minute + 600) * 60 })).series).toEqual({});
    const young = await addAgent(database);
    await addMinutes(database, young, [minute], () => 7);
    expect((await shown(young, { stepS: 3_600 })).series.cpu_pct?.at(-1)?.slice(1)).toEqual([6, 7, 8]);
    const figures = createTestFigures(database);
    figures.heard(agentId, { cpu_pct: 33 });
    figures.clock.leap(2 * MINUTE_MS);
    await figures.stop();
    expect(await count("figures_1m")).toBe(2);
    const hours = await shown(agentId, { stepS: 3_600 });
    expect(hours.series.cpu_pct?.findLast((point) => point !== null)?.slice(1)).toEqual([33, 33, 33]);
    const ahead = async () => (await count("figures_5m")) + (await count("figures_1h"));
    expect(await ahead()).toBe(4);
    await keepUp(async () => (await ahead()) === 0, "what lies ahead is forgotten");
  });

  test("of a host that is removed are forgotten, but not those of its incidents", async () => {
    const [agentId, other] = [await addAgent(database), await addAgent(database)];
    const hour = await pastHour(2);
    for (const id of [agentId, other]) await addMinutes(database, id, range(hour, hour + 60));
    const minute = await presentMinute(database);
    const incident = await addIncident(database, agentId, { occurredAgoS: (minute - hour - 20) * 60 });
    await keepUp(async () => (await count("figures_1h")) === 2, "the hour is rolled up");
    for (const stop of stops.splice(0)) await stop();
    await sql()`update agents set deleted_at = now() where id = ${agentId}`;
    await keepUp(async () => (await count("figures_1h")) === 1, "its hours are forgotten");
    await until(async () => (await count("figures_5m")) === 12, { what: "its five minutes are forgotten" });
    for (const table of ["figures_1m", "figures_5m", "figures_1h"])
      expect(await sql()`select distinct agent_id as id from ${sql()(table)}`).toMatchObject([{ id: other }]);
    const kept = await createTestFigures(database).ofIncident(incident);
    expect(kept?.series.cpu_pct?.filter((point) => point !== null).length).toBeGreaterThanOrEqual(49);
    const figures = createTestFigures(database);
    figures.heard(agentId, { cpu_pct: 1 });
    await figures.stop();
    expect(await sql()`select from figures_1m where agent_id = ${agentId}`).toHaveLength(0);
  });
});

describe("the minutes around an incident", () => {
  test("are shown while they are young, and kept when others go, until it is deleted", async () => {
    const agentId = await addAgent(database);
    const minute = await presentMinute(database);
    const first = minute - 240;
    await addMinutes(database, agentId, range(first - 60, first + 60), (at) => at - first + 100);
    const incidentAt = async (at: number) => {
      const id = await addIncident(database, agentId);
      await sql()`update alerts set occurred_at = to_timestamp(${at}::int * 60.0 + 59) where incident_id = ${id}`;
      await sql()`update incidents set created_at = to_timestamp(${at}::int * 60.0 + 61) where id = ${id}`;
      return id;
    };
    const [one, shared, elsewhere] = [
      await incidentAt(first),
      await incidentAt(first + 15),
      await incidentAt(minute - 60),
    ];
    const before = await createTestFigures(database).ofIncident(one);
    await keepUp(async () => (await count("figures_1m")) === 0, "minutes are forgotten");
    expect(await count("figures_kept")).toBe(76);
    const after = await createTestFigures(database).ofIncident(one);
    expect(after).toEqual(before);
    expect(after).toMatchObject({ step_s: 60, from: (first - 30) * 60, to: (first + 31) * 60 });
    expect(after?.series.cpu_pct).toHaveLength(61);
    expect(after?.series.cpu_pct?.at(0)).toEqual([(first - 30) * 60, 69, 70, 71]);
    expect(after?.series.cpu_pct?.at(-1)).toEqual([(first + 30) * 60, 129, 130, 131]);
    expect((await createTestFigures(database).ofIncident(elsewhere))?.series).toEqual({});

    // More alerts move nothing, and its first one may be forgotten before it is.
    await sql()`update incidents set last_seen_at = now() where id = ${one}`;
    await sql()`delete from alerts where incident_id = ${one}`;
    expect(await createTestFigures(database).ofIncident(one)).toEqual(after);

    const forget = () => createTestFigures(database, { retentionMs: 1 }).deleteOld(60_000);
    expect(await forget()).toBe(0);
    await sql()`delete from incidents where id = ${one}`;
    expect(await forget()).toBe(1);
    expect(await count("figures_kept")).toBe(61);
    expect(await createTestFigures(database).ofIncident(one)).toBeUndefined();
    expect((await createTestFigures(database).ofIncident(shared))?.series.cpu_pct?.at(0)?.[2]).toBe(85);
    await sql()`delete from incidents`;
    expect(await forget()).toBe(2);
    expect([await count("figures_kept"), await count("figure_windows")]).toEqual([0, 0]);
  });

  test("are those of its first alert, though it was sent later", async () => {
    const agentId = await addAgent(database);
    const minute = await presentMinute(database);
    await addMinutes(database, agentId, range(minute - 100, minute));
    const incident = await addIncident(database, agentId, { occurredAgoS: 70 * 60 });
    const found = await createTestFigures(database).ofIncident(incident);
    expect(Math.abs((found?.from ?? 0) / 60 - (minute - 100))).toBeLessThanOrEqual(1);
  });
});
