import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createDockerCollector } from "../../src/agent/collectors/docker.ts";
import { createDockerApi } from "../../src/agent/docker-api.ts";
import type { Collector } from "../../src/agent/model.ts";
import type { CollectorName } from "../../src/config/agent-collectors.ts";
import { CollectorBench } from "../support/collectors.ts";
import {
  type DockerEvent,
  EventDocker,
  type Inspected,
  recordedContainer,
  recordedEvents,
} from "../support/event-docker.ts";
import { logFrame, startFakeDocker } from "../support/fake-docker.ts";
import { FakeSystemd } from "../support/fake-systemd.ts";
import { until } from "../support/until.ts";

/** The words for states that it takes; for another it refuses the whole list. */
const STATUSES = ["created", "running", "paused", "exited", "stopped", "removing", "initialized"];

interface Actor {
  readonly ID: string;
  readonly Attributes: Record<string, string>;
}

let bench: CollectorBench;
let podman: EventDocker;
beforeEach(() => {
  bench = new CollectorBench();
  podman = new EventDocker(bench.folder, { engine: "Podman", version: "5.8.6" });
});
afterEach(async () => {
  await bench.close();
  await podman.stop();
});

describe.each(["4.3", "5.8"] as const)("the collector of containers, with Podman %s", (version) => {
  beforeEach(() => {
    const options = { engine: "Podman", version: `${version}.1`, statuses: STATUSES } as const;
    podman = new EventDocker(bench.folder, options);
    podman.start();
  });

  const create = () => createDockerCollector(bench.deps());
  async function start(): Promise<Collector> {
    const collector = bench.start(create());
    await until(() => podman.followers === 1);
    return collector;
  }

  /** A container as Podman describes it once these events have happened. */
  function set(name: string, state: Record<string, unknown>, more: Partial<Inspected> = {}): void {
    const web = recordedContainer("web");
    const [first] = recordedEvents(name, version);
    if (!first) throw new Error(`nothing was recorded of ${name}`);
    const { ID: Id, Attributes: Labels } = first.Actor as Actor;
    const Config = { Tty: false, Image: "localhost/box:1", Labels };
    const State = { ...web.State, Status: "exited", StartedAt: new Date().toISOString(), ...state };
    podman.containers.set(name, { ...web, Id, Name: `/${name}`, State, Config, ...more });
  }
  const happen = (name: string, ...actions: string[]) => {
    const events = recordedEvents(name, version);
    podman.happen(...events.filter(({ Action }) => actions.includes(String(Action))));
  };

  function stateOf(name: string): unknown {
    const { containers } = JSON.parse(readFileSync(join(bench.folder, "state/docker.json"), "utf8"));
    return containers[podman.containers.get(name)?.Id ?? ""]?.state;
  }

  /** Something that is told for certain, after all before it. */
  async function quietUpTo(name: string): Promise<void> {
    set("die3", { ExitCode: 3 });
    happen("die3", "start", "die");
    await until(() => bench.alerts.some(({ source }) => source === "die3"));
    expect(bench.alerts.map(({ source }) => source)).not.toContain(name);
  }

  test("tells of a container that dies", async () => {
    set("die3", { ExitCode: 3 });
    await start();
    happen("die3", "create", "init", "start", "die", "cleanup");
    expect(await bench.alert(0)).toMatchObject({
      source: "die3",
      message: "container die3 (localhost/box:1) died with exit code 3 (failures in a row: 1)",
      exitCode: 3,
    });
  });

  test("tells of what died while the agent was away", async () => {
    const collector = await start();
    await collector.stop();
    set("die3", { ExitCode: 3 });
    happen("die3", "create", "init", "start", "die", "cleanup");
    await start();
    expect((await bench.alert(0)).exitCode).toBe(3);
    await quietUpTo("none");
    expect(bench.alerts).toHaveLength(1);
  });

  test("tells of a restart loop whose turns all end well", async () => {
    await start();
    set("loop0", { Status: "running", ExitCode: 0 });
    for (const [at, event] of recordedEvents("loop0", version).entries()) {
      if (event.Action === "restart") set("loop0", { Status: "running", ExitCode: 0 }, { RestartCount: at });
      podman.happen(event);
      await Bun.sleep(1);
    }
    expect((await bench.alert(0)).message).toStartWith(
      "container loop0 (localhost/box:1) ends again and again with exit code 0",
    );
  });

  test.each([["st1", 143], ["st2", 137], ...(version === "5.8" ? [["st1", 1] as const] : [])])(
    "says nothing of %s that somebody stops, though no signal is told before its end",
    async (name, exitCode) => {
      set(name, { ExitCode: exitCode }, { stoppedByUser: version === "5.8" });
      await start();
      happen(name, "create", "init", "start", "die", "cleanup");
      await quietUpTo(name);
      // Podman 4 says nothing more; one that had ended by itself would have been started again, where that is wanted.
      await until(() => stateOf(name) === "stopped");
      expect(bench.alerts.map(({ source }) => source)).not.toContain(name);
    },
    180_000,
  );

  test("tells of one that was killed and is started again by its policy", async () => {
    set("polkill", { ExitCode: 0, Status: "running" }, { RestartCount: 1 });
    await start();
    podman.happen(...recordedEvents("polkill", version).slice(0, 7));
    expect(await bench.alert(0)).toMatchObject({ source: "polkill", exitCode: 137 });
  });

  test("tells of one that was killed and is started again no more", async () => {
    const HostConfig = { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 2 } };
    set("st2", { ExitCode: 137 }, { RestartCount: 2, HostConfig });
    await start();
    happen("st2", "create", "init", "start", "die", "cleanup");
    expect(await bench.alert(0)).toMatchObject({ source: "st2", state: "firing", exitCode: 137 });
  });

  test("tells of one that ends by a signal that asked for no end", async () => {
    set("hup", { ExitCode: 9 }, { stoppedByUser: version === "5.8" });
    await start();
    happen("hup", "create", "init", "start", "kill", "die", "cleanup");
    expect(await bench.alert(0)).toMatchObject({ source: "hup", exitCode: 9 });
  });

  test("tells of a lack of health once, and of its end", async () => {
    const Health = { Status: "unhealthy", Log: [{ ExitCode: 1, Output: "bad\n" }] };
    set("hea", { Status: "running", ExitCode: 0 });
    await start();
    set("hea", { Status: "running", ExitCode: 0, Health });
    happen("hea", "create", "init", "start", "health_status");
    const { message, severity } = await bench.alert(0);
    expect({ message, severity }).toEqual({
      message: "container hea (localhost/box:1, service web of shop) is unhealthy: bad (failures in a row: 1)",
      severity: "warning",
    });
    set("hea", { Status: "running", ExitCode: 0, Health: { Status: "healthy", Log: [] } });
    expect((await bench.alert(1)).message).toBe("hea is healthy again");
  });

  test("tells of one that cannot be started", async () => {
    set("nostart", { Status: "created", ExitCode: 0, Error: version === "5.8" ? "no such file" : "" });
    bench.start(createDockerCollector(bench.deps(), { startWaitMs: 100 }));
    await until(() => podman.followers === 1);
    happen("nostart", "create", "cleanup");
    const reason = version === "5.8" ? ": no such file" : "";
    expect((await bench.alert(0)).message).toBe(
      `container nostart (localhost/box:1) could not be started${reason} (failures in a row: 1)`,
    );
  });

  test("says which Podman it is, and what that cannot tell", async () => {
    const detail = (await create().check()).detail;
    expect(detail).toStartWith(`watches all containers (0 running now) by Podman ${version}.1`);
    expect(detail.includes("does not say who ends a container")).toBe(version === "4.3");
  });
});

describe("the collector of containers, with a Podman that says who ends a container,", () => {
  function set(name: string, state: Record<string, unknown>): void {
    const web = recordedContainer("web");
    podman.containers.set(name, {
      ...web,
      Id: name,
      Name: `/${name}`,
      State: { ...web.State, Status: "running", ...state },
    });
  }

  /** Killed by nobody that Podman knows of. */
  function dies(name: string): void {
    set(name, { Status: "exited", ExitCode: 137, FinishedAt: new Date().toISOString() });
    const died = recordedEvents("st2", "5.8").find(({ Action }) => Action === "die") as DockerEvent;
    const { Attributes } = died.Actor as Actor;
    podman.happen({ ...died, Actor: { ID: name, Attributes: { ...Attributes, name } } });
  }

  async function start(): Promise<Collector> {
    const collector = bench.start(createDockerCollector(bench.deps()));
    await until(() => podman.followers === 1);
    return collector;
  }

  test("counts once what nobody had asked to end while the agent was away", async () => {
    podman.start();
    for (const name of ["web", "later"]) set(name, { StartedAt: new Date().toISOString() });
    await (await start()).stop();
    dies("web");
    const collector = await start();
    expect(await bench.alert(0)).toMatchObject({ source: "web", exitCode: 137 });
    // Is doubted for as long, and later.
    dies("later");
    expect((await bench.alert(1)).source).toBe("later");
    await collector.stop();
    const { episodes } = JSON.parse(readFileSync(join(bench.folder, "state/docker.json"), "utf8"));
    expect(episodes.web.failures).toBe(1);
  });
});

describe("the collector of containers, with a container that a unit of systemd's runs,", () => {
  const unit = "web.service";
  let systemd: FakeSystemd;
  beforeEach(() => {
    systemd = new FakeSystemd(bench.folder);
    podman.start();
  });

  async function start(enabled: CollectorName[]): Promise<void> {
    bench.start(createDockerCollector(bench.deps({ searchPath: systemd.searchPath, settings: { enabled } })));
    await until(() => podman.followers === 1);
  }

  function happen(action: string, State: Record<string, unknown>): void {
    const Labels = { PODMAN_SYSTEMD_UNIT: unit };
    const web = recordedContainer("web");
    const Config = { Tty: false, Image: "box", Labels };
    podman.containers.set("web", { ...web, Id: "web", Name: "/web", Config, State: { ...web.State, ...State } });
    const [event] = recordedEvents("die3", "5.8").filter(({ Action }) => Action === action);
    const [check] = recordedEvents("hea", "5.8").filter(({ Action }) => Action === action);
    const Attributes = { ...Labels, name: "web", image: "box", exitCode: "3" };
    podman.happen({ ...((event ?? check) as DockerEvent), Actor: { ID: "web", Attributes } });
  }
  const dies = () => happen("die", { Status: "exited", ExitCode: 3 });

  test("leaves its end to the unit, and tells of its health", async () => {
    systemd.setUnit(unit, { ActiveState: "failed" });
    await start(["docker", "systemd"]);
    dies();
    happen("health_status", { Status: "running", Health: { Status: "unhealthy", Log: [] } });
    expect(await bench.alert(0)).toMatchObject({ source: "web", message: expect.stringContaining("is unhealthy") });
  });

  test.each<[string, CollectorName[], boolean]>([
    ["it is a unit of a user's own", ["docker", "systemd"], false],
    ["units are not watched", ["docker"], true],
  ])("tells of its end where %s", async (_, enabled, isSystems) => {
    if (isSystems) systemd.setUnit(unit, { ActiveState: "failed" });
    await start(enabled);
    dies();
    expect(await bench.alert(0)).toMatchObject({ source: "web", exitCode: 3 });
  });

  test("tells of its end where systemd does not answer", async () => {
    systemd.setAway(true);
    await start(["docker", "systemd"]);
    dies();
    expect(await bench.alert(0)).toMatchObject({ source: "web", exitCode: 3 });
  });
});

describe("the collector of containers, with a Podman that tells of all users' containers", () => {
  const [made, , started, died] = recordedEvents("die3", "4.3");
  const quiet = recordedEvents("hup", "4.3").at(-2);
  if (!made || !started || !died || !quiet) throw new Error("nothing was recorded");
  const Id = String((made.Actor as Actor).ID);
  const job = { ...recordedContainer("web"), Id, Name: "/die3", HostConfig: { AutoRemove: true } };

  async function start(version: string): Promise<void> {
    podman = new EventDocker(bench.folder, { engine: "Podman", version, statuses: STATUSES });
    podman.start();
    bench.start(createDockerCollector(bench.deps()));
    await until(() => podman.followers === 1);
  }
  /** Whatever was heard before it is told, or is not. */
  const last = async () => {
    const Actor = {
      ...(quiet.Actor as Actor),
      ID: "last",
      Attributes: { ...(quiet.Actor as Actor).Attributes, name: "last" },
    };
    podman.containers.set("last", { ...job, Id: "last", Name: "/last", State: { Status: "exited", ExitCode: 5 } });
    podman.happen({ ...died, Actor: { ...Actor, Attributes: { ...Actor.Attributes, exitCode: "5" } } });
    await until(() => bench.alerts.some(({ source }) => source === "last"));
    return bench.alerts.map(({ source }) => source);
  };

  test("says nothing of another user's, which it does not know when it is asked", async () => {
    await start("4.3.1");
    podman.happen(made, started, died);
    expect(await last()).toEqual(["last"]);
  });

  test("tells of its own that was gone as soon as it had died", async () => {
    await start("4.3.1");
    podman.containers.set("die3", { ...job, State: { Status: "created", ExitCode: 0 } });
    podman.happen(made);
    await until(() => podman.requests.some((one) => one.includes(`${Id}/json`)));
    podman.containers.delete("die3");
    podman.happen(started, died);
    expect(await last()).toContain("die3");
  });

  test("tells, since it tells of its own alone, of one that was gone before it was asked", async () => {
    await start("4.5.0");
    podman.happen(made, started, died);
    expect(await last()).toContain("die3");
  });
});

test.each([
  ["4.6.2", true],
  ["4.7.0", false],
  ["4.9.3", false],
  ["5.4.2", false],
])("the check says of Podman %s whether it knows who ends a container", async (version, isLimited) => {
  podman = new EventDocker(bench.folder, { engine: "Podman", version, statuses: STATUSES });
  podman.start();
  const { detail } = await createDockerCollector(bench.deps()).check();
  expect(detail.includes("does not say who ends a container")).toBe(isLimited);
});

describe("the client for Docker", () => {
  test("finds Podman where there is no Docker, and Docker once it is there", async () => {
    podman = new EventDocker(join(bench.folder, "podman"), { engine: "Podman", version: "5.8.6" });
    mkdirSync(podman.folder);
    podman.start();
    const [own, other] = [join(bench.folder, "docker.sock"), join(podman.folder, "docker.sock")];
    const api = createDockerApi({ socketPath: own, otherSocketPaths: [join(bench.folder, "none.sock"), other] });
    expect(await api.engine()).toMatchObject({ name: "Podman", version: "5.8.6" });
    expect(api.socketPath).toBe(other);
    const docker = startFakeDocker(bench.folder);
    expect(await api.get("/version")).toMatchObject({ Version: "28.5.2" });
    expect(api.socketPath).toBe(own);
    await docker.stop();
  });

  test("reads what a container has written that is gone before it can be asked about", async () => {
    const gone = () => Response.json({ message: "No such container: job" }, { status: 404 });
    const intercept = (_: Request, path: string) =>
      path.endsWith("/logs") ? new Response(logFrame(2, "last words\n")) : path === "/version" ? undefined : gone();
    const docker = startFakeDocker(bench.folder, { intercept });
    const api = createDockerApi({ socketPath: docker.socketPath });
    const pieces: string[] = [];
    for await (const { stream, bytes } of api.logs("job")) pieces.push(`${stream} ${Buffer.from(bytes)}`);
    expect(pieces).toEqual(["stderr last words\n"]);
    await docker.stop();
  });

  test("waits for as long as a follower's container is quiet", async () => {
    podman = new EventDocker(bench.folder, { engine: "Podman", version: "4.3.1" });
    podman.start();
    podman.containers.set("web", recordedContainer("web"));
    podman.hanging.add("web");
    const ending = new AbortController();
    const api = createDockerApi({ socketPath: join(bench.folder, "docker.sock") });
    const follow = async () => {
      for await (const _ of api.logs("web", { follow: true, limitMs: 20, signal: ending.signal }));
    };
    let outcome: unknown = "waits";
    const followed = follow().catch((error: unknown) => {
      outcome = error;
    });
    await until(() => podman.requests.some((one) => one.includes("/logs")));
    const bounded = api.logs("web", { limitMs: 20 });
    expect(await bounded.next().catch((error: unknown) => error)).toBeInstanceOf(Error);
    expect(outcome).toBe("waits");
    ending.abort();
    await followed;
    expect(outcome).toMatchObject({ reason: "aborted" });
  });
});
