import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createDockerCollector } from "../../src/agent/collectors/docker.ts";
import { createLogsCollector } from "../../src/agent/collectors/logs.ts";
import type { Collector } from "../../src/agent/model.ts";
import { parseLogRules } from "../../src/config/log-rules.ts";
import { createSettableClock, type SettableClock } from "../support/clock.ts";
import { CollectorBench } from "../support/collectors.ts";
import { type DockerEvent, EventDocker, recordedContainer, recordedEvents } from "../support/event-docker.ts";
import { until } from "../support/until.ts";

const TWO_HOURS_MS = 7_200_000;
/** Beside those that are told of, others are waited for so that what is not told is known not to come. */
const STEPS = [
  ["back", TWO_HOURS_MS],
  ["forward", -TWO_HOURS_MS],
] as const;

let bench: CollectorBench;
let clock: SettableClock;
let docker: EventDocker;
beforeEach(() => {
  bench = new CollectorBench();
  clock = createSettableClock();
});
afterEach(async () => {
  await bench.close();
  await docker.stop();
});

function run(engine: "Docker" | "Podman"): void {
  docker = new EventDocker(bench.folder, { engine, clock, ...(engine === "Podman" ? { version: "5.8.1" } : {}) });
  docker.start();
}

const [starts, dies] = recordedEvents("web") as [DockerEvent, DockerEvent];

/** A container that has run for a minute, and ended now. */
function setEnded(name: string): void {
  const web = recordedContainer("web");
  const [StartedAt, FinishedAt] = [clock.now() - 60_000, clock.now()].map((ms) => new Date(ms).toISOString());
  docker.containers.set(name, {
    ...web,
    Id: `id-${name}`,
    Name: `/${name}`,
    State: { ...web.State, StartedAt, FinishedAt },
  });
}

function die(name: string): void {
  setEnded(name);
  const Actor = { ID: `id-${name}`, Attributes: { image: "box", name, exitCode: "3" } };
  docker.happen({ ...starts, Actor }, { ...dies, Actor });
}

const sources = () => bench.alerts.filter(({ state }) => state === "firing").map(({ source }) => source);
const toldOf = (...names: string[]) => until(() => names.every((name) => sources().includes(name)), { ms: 8_000 });

describe.each(["Docker", "Podman"] as const)("containers of %s", (engine) => {
  async function start(): Promise<Collector> {
    const collector = bench.start(createDockerCollector(bench.deps({ clock, settings: { recoveryMs: 600_000 } })));
    await until(() => docker.followers === 1);
    return collector;
  }

  test.each(STEPS)("that die after the clock was put %s are told of at once, and none twice", async (_, ms) => {
    run(engine);
    await start();
    die("before");
    await toldOf("before");
    clock.setBack(ms);
    // Somebody may look at the clock first: one that follows Podman's events is not told of others before.
    await until(() => engine === "Docker" || ms < 0 || docker.requests.filter(isLive).length === 2, { ms: 8_000 });
    die("after");
    await toldOf("after");
    expect(sources()).toEqual(["before", "after"]);
  });

  test.each(STEPS)(
    "that died while the agent was away, and the clock was put %s, are told of, and none twice",
    async (_, ms) => {
      run(engine);
      const first = await start();
      die("before");
      await toldOf("before");
      await first.stop();
      clock.setBack(ms);
      die("meanwhile");
      await start();
      die("after");
      await toldOf("meanwhile", "after");
      expect(sources()).toEqual(["before", "meanwhile", "after"]);
    },
  );

  test("that died after the clock was put back, and of whose end no event is left, are told of", async () => {
    run(engine);
    const first = await start();
    die("before");
    await toldOf("before");
    await first.stop();
    clock.setBack(TWO_HOURS_MS);
    await Bun.sleep(20);
    setEnded("meanwhile");
    docker.forgetEvents();
    await start();
    await toldOf("meanwhile");
    expect(sources()).toEqual(["before", "meanwhile"]);
  });

  const isLive = (request: string) => request.includes("/events?") && !/[?&](?:until|stream)=/.test(request);
});

describe("lines of containers", () => {
  const lines = () => bench.alerts.map(({ message }) => message.replace(/^.*: (.*) \(.*$/, "$1"));
  const told = (...texts: string[]) => until(() => texts.every((text) => lines().includes(text)), { ms: 8_000 });

  function start(): Collector {
    const parsed = parseLogRules(["a", "b", "c", "d"].map((one) => `container:* /ERROR ${one}/`).join("; "));
    if ("fault" in parsed) throw new Error(parsed.fault);
    return bench.start(createLogsCollector(bench.deps({ clock, settings: { logRules: parsed.rules } })));
  }

  const follows = (times = 1) =>
    until(() => docker.requests.filter((one) => one.includes("follow=true")).length === times, { ms: 8_000 });

  function runs(name: string): void {
    const web = recordedContainer("web");
    const State = { ...web.State, Status: "running" };
    docker.containers.set(name, { ...web, Id: `id-${name}`, Name: `/${name}`, State });
  }

  function begins(name: string): void {
    runs(name);
    docker.happen({ ...starts, Actor: { ID: `id-${name}`, Attributes: { image: "box", name } } });
  }

  test.each(STEPS)("that are written after the clock was put %s are told of, and none twice", async (_, ms) => {
    run("Docker");
    runs("web");
    docker.write("web", "ERROR a of before the agent");
    start();
    await follows();
    docker.write("web", "ERROR b");
    await told("ERROR b");
    clock.setBack(ms);
    await follows(ms > 0 ? 2 : 1);
    docker.write("web", "ERROR c");
    await told("ERROR c");
    expect(lines()).toEqual(["ERROR b", "ERROR c"]);
  });

  test("of one that is started after the clock was put back are told of from its first second on", async () => {
    run("Docker");
    start();
    await until(() => docker.followers === 1);
    clock.setBack(TWO_HOURS_MS);
    docker.write("new", "ERROR a");
    begins("new");
    await told("ERROR a");
  });

  test.each(STEPS)(
    "that were written while the agent was away, and the clock was put %s, are told of once",
    async (_, ms) => {
      run("Docker");
      runs("web");
      const first = start();
      await follows();
      docker.write("web", "ERROR a");
      docker.write("web", "fine");
      await told("ERROR a");
      await first.stop();
      const failures = async () => JSON.parse(await Bun.file(join(bench.folder, "state/logs.json")).text()).episodes;
      clock.setBack(ms);
      docker.write("web", "ERROR b");
      const next = start();
      await told("ERROR b");
      docker.write("web", "ERROR c");
      await told("ERROR c");
      await next.stop();
      expect(lines()).toEqual(["ERROR a", "ERROR b", "ERROR c"]);
      expect((await failures())["web /ERROR a/"].failures).toBe(1);
    },
  );
});
