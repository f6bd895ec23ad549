import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createDockerCollector, type DockerCollectorOptions } from "../../src/agent/collectors/docker.ts";
import type { Collector } from "../../src/agent/model.ts";
import { CollectorBench } from "../support/collectors.ts";
import {
  type DockerEvent,
  EventDocker,
  type EventDockerOptions,
  type Inspected,
  recordedContainer,
  recordedEvents,
} from "../support/event-docker.ts";
import { logFrame } from "../support/fake-docker.ts";
import { until } from "../support/until.ts";

let bench: CollectorBench;
let docker: EventDocker;
beforeEach(() => {
  bench = new CollectorBench();
  begin({});
});
afterEach(async () => {
  await bench.close();
  await docker.stop();
});

function begin(options: EventDockerOptions): void {
  docker = new EventDocker(bench.folder, options);
  docker.start();
}

async function start(options?: DockerCollectorOptions): Promise<Collector> {
  const collector = bench.start(createDockerCollector(bench.deps(), options));
  await until(() => docker.followers === 1);
  return collector;
}

type State = Partial<Omit<Inspected, "State">> & { State?: Record<string, unknown> };

/** A container as Docker describes it: it runs, unless something else is said. */
function set(name: string, { State, ...more }: State = {}): void {
  const before = docker.containers.get(name) ?? running(name);
  docker.containers.set(name, { ...before, ...more, State: { ...before.State, ...State } });
}

function running(name: string): Inspected {
  const web = recordedContainer("web");
  const started = { Status: "running", ExitCode: 0, StartedAt: new Date().toISOString() };
  return { ...web, Id: `id-of-${name}`, Name: `/${name}`, State: { ...web.State, ...started } };
}

/** That it ended just now. */
const ended = (exitCode: number, more: Record<string, unknown> = {}) => ({
  State: { Status: "exited", ExitCode: exitCode, FinishedAt: new Date().toISOString(), ...more },
});

/** An event of a container that was set, as Docker words it. */
function event(name: string, Action: string, attributes: Record<string, string> = {}): DockerEvent {
  const [pattern] = recordedEvents("web");
  const labels = docker.containers.get(name)?.Config.Labels as Record<string, string> | undefined;
  const Actor = { ID: `id-of-${name}`, Attributes: { image: "box", name, ...labels, ...attributes } };
  return { ...(pattern as DockerEvent), Action, Actor };
}
const dies = (name: string, exitCode: number) => event(name, "die", { exitCode: String(exitCode) });
const killed = (name: string, signal: number) => event(name, "kill", { signal: String(signal) });

/** Something that is told for certain, once all before it was heard. */
async function told(name = "last"): Promise<string[]> {
  set(name, ended(99));
  docker.happen(dies(name, 99));
  await until(() => bench.alerts.some(({ source }) => source === name), { ms: 4_000 });
  return bench.alerts.filter(({ source }) => source !== name).map(({ state, message }) => `${state}: ${message}`);
}

const savedState = () => readFileSync(join(bench.folder, "state/docker.json"), "utf8");

describe("a restart loop", () => {
  const LOOP = "container web (box) ends again and again with exit code 0, and is started again (a restart loop)";

  async function turn(restarts: number): Promise<void> {
    docker.happen(dies("web", 0));
    set("web", { RestartCount: restarts, State: { StartedAt: new Date().toISOString() } });
    docker.happen(event("web", "start"));
    const asked = () => docker.requests.filter((one) => one.includes("id-of-web/json")).length;
    const before = asked();
    await until(() => asked() > before);
  }

  test("whose turns all end well is told", async () => {
    set("web");
    await start();
    for (const restarts of [1, 2, 3, 4]) await turn(restarts);
    expect(await bench.alert(0)).toMatchObject({
      source: "web",
      message: `${LOOP} (failures in a row: 3)`,
      exitCode: 0,
      severity: "critical",
    });
  });

  test("is none when a person starts it again and again", async () => {
    set("web");
    await start();
    for (let times = 0; times < 5; times++) await turn(0);
    expect(await told()).toEqual([]);
  });

  test("that turns slower than a recovery is believed is one problem", async () => {
    set("web", { State: { StartedAt: new Date(Date.now() - 700).toISOString() } });
    await start();
    docker.happen(dies("web", 1));
    set("web", { RestartCount: 1, State: { StartedAt: new Date().toISOString() } });
    const startMs = performance.now();
    docker.happen(event("web", "start"));
    expect((await bench.alert(0)).state).toBe("firing");
    expect((await bench.alert(1)).state).toBe("resolved");
    // It has run for longer than before, not only for the 200 ms of the setting.
    expect(performance.now() - startMs).toBeGreaterThan(1_400);
  });
});

describe("an end that somebody wants", () => {
  test.each([
    ["by SIGTERM", 15, {}, 143],
    ["by the signal that its owner has set", 28, { StopSignal: "SIGWINCH" }, 1],
    ["by the signal that its owner has set, as a number", 10, { StopSignal: "10" }, 1],
  ])("%s is none to tell", async (_, signal, config, exitCode) => {
    set("web", { Config: { Tty: false, ...config } });
    await start();
    docker.happen(killed("web", signal), dies("web", exitCode));
    expect(await told()).toEqual([]);
  });

  test("is not asked for by SIGHUP, which has settings read anew", async () => {
    set("web");
    await start();
    docker.happen(killed("web", 1), dies("web", 129));
    expect((await bench.alert(0)).message).toStartWith("container web (box) died with exit code 129");
  });

  test("is not told after the agent's restart either", async () => {
    set("web");
    const collector = await start();
    docker.happen(killed("web", 15), killed("web", 9), dies("web", 137));
    set("web", ended(137));
    await told();
    await collector.stop();
    docker.forgetEvents();
    await start();
    expect(await told("later")).toHaveLength(1);
  });
});

describe("while the agent is away", () => {
  async function away(change: () => void): Promise<void> {
    await (await start()).stop();
    change();
    // Docker remembers 256 events, of which each health check is three.
    docker.forgetEvents();
    await start();
  }

  test.each([130, 137, 143])("an end with exit code %d is told as any other", async (exitCode) => {
    set("web");
    await away(() => set("web", ended(exitCode)));
    expect(await bench.alert(0)).toMatchObject({
      message: `container web (box) died with exit code ${exitCode} (failures in a row: 1)`,
      exitCode,
    });
  });

  test("an end after which Docker would have started it again was a person's", async () => {
    set("web", { HostConfig: { RestartPolicy: { Name: "always", MaximumRetryCount: 0 } } });
    await away(() => set("web", ended(137)));
    expect(await told()).toEqual([]);
  });

  test("an end after Docker's last try to start it again is told", async () => {
    set("web", { HostConfig: { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 2 } } });
    await away(() => set("web", { RestartCount: 2, ...ended(143) }));
    expect((await bench.alert(0)).exitCode).toBe(143);
  });

  test("ends after which it runs again are counted", async () => {
    set("web", { RestartCount: 1 });
    await away(() => set("web", { RestartCount: 4, State: { StartedAt: new Date(Date.now() + 1).toISOString() } }));
    expect(await bench.alert(0)).toMatchObject({
      message: "container web (box) died while nobody listened, and was started again (failures in a row: 3)",
    });
    expect((await bench.alert(1)).message).toStartWith("web runs again");
  });

  test("what was found has the words of what is heard, so that both are one problem", async () => {
    set("web");
    await away(() => set("web", ended(3)));
    const { message } = await bench.alert(0);
    set("web", { State: { Status: "running", ExitCode: 0 } });
    await bench.alert(1);
    docker.happen(event("web", "start"), dies("web", 3));
    expect((await bench.alert(2)).message).toBe(message);
  });

  test("a container that is only restarted is none to tell", async () => {
    set("web");
    await away(() => set("web", { State: { StartedAt: new Date(Date.now() + 1).toISOString() } }));
    expect(await told()).toEqual([]);
  });
});

describe("a container", () => {
  test("that is renamed is still there", async () => {
    set("web", ended(1));
    await start();
    docker.happen(dies("web", 1));
    await bench.alert(0);
    const web = docker.containers.get("web") as Inspected;
    docker.containers.clear();
    docker.containers.set("old", { ...web, Name: "/old" });
    const asked = () => docker.requests.filter((one) => one.includes("id-of-web/json")).length;
    const before = asked();
    await until(() => asked() > before + 3);
    expect(bench.alerts).toHaveLength(1);
    docker.containers.set("old", { ...web, Name: "/old", State: { ...web.State, Status: "running", ExitCode: 0 } });
    expect((await bench.alert(1)).message).toBe("web runs again");
  });

  test("whose successor has its name is well when that runs", async () => {
    set("web", ended(1));
    await start();
    docker.happen(dies("web", 1));
    await bench.alert(0);
    docker.containers.set("web", { ...running("web"), Id: "another" });
    expect((await bench.alert(1)).message).toBe("web runs again");
  });

  test("of Docker Compose is told with its service and its project", async () => {
    const Labels = { "com.docker.compose.project": "shop", "com.docker.compose.service": "web" };
    set("shop-web-1", { Config: { Tty: false, Image: "nginx:1.27@sha256:4ff102c5d78d254a6f0da062b3cf39ea", Labels } });
    await start();
    docker.happen(
      event("shop-web-1", "die", { exitCode: "1", image: "nginx:1.27@sha256:4ff102c5d78d254a6f0da062b3cf39ea" }),
    );
    expect((await bench.alert(0)).message).toStartWith(
      "container shop-web-1 (nginx:1.27, service web of shop) died with exit code 1",
    );
  });

  test("whose image has but an id is told without one", async () => {
    set("web", ended(1));
    await start();
    docker.happen(event("web", "die", { exitCode: "1", image: `sha256:${"0a".repeat(32)}` }));
    expect((await bench.alert(0)).message).toStartWith("container web died with exit code 1");
  });

  test("that is removed when it ends is told with what it wrote last", async () => {
    set("job", { HostConfig: { AutoRemove: true } });
    docker.followed.set("job", [logFrame(1, "step 1\n"), logFrame(2, "disk on fire\n")]);
    await start();
    docker.happen(event("job", "start"));
    await until(() => docker.requests.some((one) => one.includes("id-of-job/logs") && one.includes("follow")));
    docker.containers.delete("job");
    docker.happen(dies("job", 5));
    expect(await bench.alert(0)).toMatchObject({ source: "job", logs: "step 1\ndisk on fire", exitCode: 5 });
  });

  test("that cannot be started is told with Docker's reason", async () => {
    const reason = 'exec: "/nonesuch": stat /nonesuch: no such file or directory';
    set("web", { State: { Status: "created", ExitCode: 127, Error: reason, StartedAt: "0001-01-01T00:00:00Z" } });
    await start({ startWaitMs: 100 });
    docker.happen(event("web", "create"));
    expect(await bench.alert(0)).toMatchObject({
      message: `container web (box) could not be started: ${reason} (failures in a row: 1)`,
      severity: "critical",
      exitCode: 127,
    });
  });

  test("that is only made is none to tell", async () => {
    set("web", { State: { Status: "created", Error: "" } });
    await start({ startWaitMs: 100 });
    docker.happen(event("web", "create"));
    const asked = () => docker.requests.some((one) => one.includes("id-of-web/json"));
    await until(asked);
    expect(await told()).toEqual([]);
  });
});

describe("thirty containers that die at once", () => {
  const names = Array.from({ length: 30 }, (_, at) => `web${at}`);

  test("are told within seconds, though one's log hangs", async () => {
    for (const name of names) set(name, ended(1));
    docker.hanging.add("web0");
    const collector = await start();
    const startMs = performance.now();
    docker.happen(...names.map((name) => dies(name, 1)));
    await until(() => bench.alerts.length === 29, { ms: 4_000 });
    expect(performance.now() - startMs).toBeLessThan(3_000);
    expect(bench.alerts.map(({ source }) => source)).not.toContain("web0");
    await collector.stop();
    expect(bench.alerts.map(({ source }) => source)).toContain("web0");
  });

  test("are told after a crash of the agent in their midst", async () => {
    set("web0", ended(1));
    docker.hanging.add("web0");
    await start();
    docker.happen(dies("web0", 1), ...names.slice(1, 3).map((name) => dies(name, 1)));
    await bench.alert(1);
    // What is on disk now is what another process begins with.
    const { since } = JSON.parse(savedState());
    const [first] = docker.happened.filter(({ Action }) => Action === "die");
    expect(Number(since) * 1e9).toBeLessThan(first?.timeNano ?? 0);
  });
});

describe("an engine", () => {
  /** All that happened so far is heard. */
  async function heardAll(): Promise<void> {
    docker.happen(event("mark", "start"));
    await until(() => docker.requests.some((one) => one.includes("id-of-mark/json")));
  }

  test("that answers no question while it ends its containers, and not how the last one ended, has left them down", async () => {
    for (const name of ["web", "db"]) set(name);
    await start();
    docker.refusing = "/containers/id-of-web/json";
    docker.happen(killed("web", 15), killed("db", 15), dies("web", 0));
    await heardAll();
    await docker.stop();
    docker.refusing = "";
    set("web", ended(0));
    set("db", ended(137));
    docker.start();
    await until(() => bench.alerts.length === 2, { ms: 8_000 });
    expect(bench.told().sort()).toEqual([
      expect.stringContaining("container db (box) ended with its engine (exit code 137), and was not started again"),
      expect.stringContaining("container web (box) ended with its engine (exit code 0), and was not started again"),
    ]);
  }, 180_000);

  test("that ends its containers in order, and does not start them again, has left them down", async () => {
    for (const name of ["web", "db", "kept"]) set(name);
    await start();
    docker.happen(
      killed("web", 15),
      killed("db", 15),
      killed("kept", 15),
      dies("web", 0),
      dies("db", 143),
      dies("kept", 0),
    );
    await heardAll();
    await docker.stop();
    set("web", ended(0));
    set("db", ended(143));
    docker.start();
    await until(() => bench.alerts.length === 2, { ms: 8_000 });
    expect(bench.told().sort()).toEqual([
      "db firing: container db (box) ended with its engine (exit code 143), and was not started again (failures in a row: 1)",
      "web firing: container web (box) ended with its engine (exit code 0), and was not started again (failures in a row: 1)",
    ]);
    set("web", { State: { Status: "running", StartedAt: new Date().toISOString() } });
    docker.happen(event("web", "start"));
    expect((await bench.alert(2)).message).toBe("web runs again");
  }, 180_000);

  test("that answers no call any more while it ends its containers has left them down", async () => {
    for (const name of ["web", "broken"]) set(name);
    const { docker: api, ...deps } = bench.deps();
    const get: typeof api.get = (path, options) => api.get(path, { ...options, limitMs: 100 });
    const inTime = {
      get,
      engine: api.engine,
      version: api.version,
      post: api.post,
      stream: api.stream,
      logs: api.logs,
    };
    bench.start(createDockerCollector({ ...deps, docker: { ...inTime, socketPath: api.socketPath } }));
    await until(() => docker.followers === 1);
    docker.happen(dies("broken", 3));
    set("broken", ended(3));
    await bench.alert(0);
    docker.isDeaf = true;
    docker.happen(killed("web", 15), dies("web", 0));
    // One look was not answered in time, and another one is begun.
    const before = docker.requests.length;
    await until(() => docker.requests.length > before + 1);
    await docker.stop();
    docker.isDeaf = false;
    set("web", ended(0));
    docker.start();
    expect((await bench.alert(1)).message).toStartWith("container web (box) ended with its engine (exit code 0)");
  });

  test("whose containers outlive it takes nothing down with it", async () => {
    await docker.stop();
    begin({ liveRestore: true });
    set("job");
    await start();
    await docker.stop();
    set("job", ended(0));
    docker.start();
    await until(() => docker.followers === 1);
    expect(await told()).toEqual([]);
  });

  test("that is only slow has taken nothing down that somebody stopped", async () => {
    for (const name of ["web", "db"]) set(name);
    await start();
    docker.refusing = "/containers/id-of-db/json";
    docker.happen(killed("web", 15), dies("web", 143), event("db", "start"), killed("db", 15), dies("db", 143));
    await until(() => docker.followers === 0);
    set("web", ended(143));
    set("db", ended(143));
    docker.refusing = "";
    await until(() => docker.followers === 1);
    expect(await told()).toEqual([]);
    await until(() => JSON.parse(savedState()).containers["id-of-db"]?.state === "stopped");
    expect(JSON.parse(savedState()).containers["id-of-web"].state).toBe("stopped");
  });

  test("that stays away is told, and when it is back", async () => {
    await start({ engineAwayMs: 300 });
    await docker.stop();
    expect(await bench.alert(0)).toMatchObject({
      source: "Docker (engine)",
      message: expect.stringMatching(/^Docker does not answer at .*docker\.sock: its containers may be down/),
      severity: "critical",
      state: "firing",
    });
    docker.start();
    expect(await bench.alert(1)).toMatchObject({ source: "Docker (engine)", message: "Docker answers again" });
    expect(bench.alerts).toHaveLength(2);
  }, 180_000);

  test("that stays away is told soon after its minute is over, however long it stays away", async () => {
    const { clock, ...deps } = bench.deps();
    let elapsedMs = 0;
    // Time passes while the collector waits, and only then.
    const sleep = async (ms: number) => {
      const untilMs = elapsedMs + ms;
      await Bun.sleep(1);
      elapsedMs = Math.max(elapsedMs, untilMs);
    };
    const hurried = { now: clock.now, monotonicMs: () => elapsedMs, sleep };
    bench.start(createDockerCollector({ ...deps, clock: hurried }));
    await until(() => docker.followers === 1);
    await docker.stop();
    const stoppedMs = elapsedMs;
    await bench.alert(0);
    expect(elapsedMs - stoppedMs).toBeWithin(60_000, 90_000);
  });

  test("that never was there is not missed", async () => {
    await docker.stop();
    let tries = 0;
    const { docker: api, ...deps } = bench.deps();
    const engine = (signal?: AbortSignal) => {
      tries++;
      return api.engine(signal);
    };
    bench.start(createDockerCollector({ ...deps, docker: { ...api, engine } }, { engineAwayMs: 0 }));
    await until(() => tries === 3);
    expect(bench.alerts).toEqual([]);
  });
});
