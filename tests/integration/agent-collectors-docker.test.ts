import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createDockerCollector } from "../../src/agent/collectors/docker.ts";
import type { Collector } from "../../src/agent/model.ts";
import { CollectorBench } from "../support/collectors.ts";
import {
  type DockerEvent,
  EventDocker,
  recordedContainer,
  recordedEvents,
  recordedLogs,
} from "../support/event-docker.ts";
import { until } from "../support/until.ts";

let bench: CollectorBench;
let docker: EventDocker;
beforeEach(() => {
  bench = new CollectorBench();
  docker = new EventDocker(bench.folder);
  docker.start();
});
afterEach(async () => {
  await bench.close();
  await docker.stop();
});

const create = () => createDockerCollector(bench.deps());

async function start(): Promise<Collector> {
  const collector = bench.start(create());
  await until(() => docker.followers === 1);
  return collector;
}

/** A container of the recording, and what its end was like. */
const [webStart, webDies, webStartsAgain] = recordedEvents("web") as [DockerEvent, DockerEvent, DockerEvent];

function setWeb(state: Record<string, unknown>): void {
  const web = recordedContainer("web");
  docker.containers.set("web", { ...web, State: { ...web.State, ...state } as never });
  docker.logs.set("web", recordedLogs("web"));
}

describe("the collector of containers", () => {
  test("tells of a container that dies, with its exit code and its last lines, and of its recovery", async () => {
    await start();
    setWeb({});
    docker.happen(webStart, webDies);
    expect(await bench.alert(0)).toMatchObject({
      type: "docker",
      source: "web",
      message: "container web (box) died with exit code 3 (failures in a row: 1)",
      logs: expect.stringMatching(/^(hello|oops)\n/),
      exitCode: 3,
      severity: "critical",
      state: "firing",
    });
    setWeb({ Status: "running", ExitCode: 0 });
    docker.happen(webStartsAgain);
    expect(await bench.alert(1)).toMatchObject({ source: "web", message: "web runs again", state: "resolved" });
  });

  test("shows what a container with a terminal wrote", async () => {
    await start();
    const tty = {
      ...recordedContainer("web"),
      Name: "/tty",
      Id: "324ba84a94936cc8c1193c6f1bb139900ddd33f4f24899bad9e2cbd05069e9c9",
      Config: { Tty: true },
    };
    docker.containers.set("tty", tty);
    docker.logs.set("tty", recordedLogs("tty"));
    docker.happen(...recordedEvents("tty"));
    expect(await bench.alert(0)).toMatchObject({ source: "tty", logs: "terminal", exitCode: 4 });
  });

  test("tells of a lack of memory once, with the end that follows it", async () => {
    await start();
    docker.containers.set("hungry", recordedContainer("hungry"));
    docker.happen(...recordedEvents("hungry"));
    expect(await bench.alert(0)).toMatchObject({
      source: "hungry",
      message:
        "container hungry (box) was killed for lack of memory (OOMKilled) with exit code 137 (failures in a row: 1)",
      exitCode: 137,
    });
    expect(bench.alerts).toHaveLength(1);
  });

  test("tells of a lack of memory that the container outlived", async () => {
    await start();
    const [starts, starves] = recordedEvents("hungry");
    if (starts && starves) docker.happen(starts, starves);
    expect((await bench.alert(0)).message).toBe(
      "container hungry (box) ran out of memory: the kernel killed a process in it (OOM) (failures in a row: 1)",
    );
  });

  test("tells of a container that becomes unhealthy, with what its check said, and of its recovery", async () => {
    await start();
    const sick = recordedContainer("sick");
    docker.containers.set("sick", sick);
    const [, unhealthy, healthy] = recordedEvents("sick");
    if (unhealthy) docker.happen(unhealthy);
    expect(await bench.alert(0)).toMatchObject({
      source: "sick",
      message: "container sick (box) is unhealthy: no file /tmp/well (failures in a row: 1)",
      severity: "warning",
    });
    docker.containers.set("sick", { ...sick, State: { ...sick.State, Health: { Status: "healthy", Log: [] } } });
    if (healthy) docker.happen(healthy);
    expect((await bench.alert(1)).message).toBe("sick is healthy again");
  });

  test("says nothing of a container that ends well, or that somebody stops", async () => {
    await start();
    docker.happen(...recordedEvents("ok"));
    const { Actor: actor, ...dies } = webDies;
    const { Attributes: attributes } = actor as { Attributes: Record<string, string> };
    docker.happen({ ...dies, Actor: { ID: "another", Attributes: { ...attributes, exitCode: "0" } } });
    setWeb({});
    docker.happen(webDies);
    expect((await bench.alert(0)).source).toBe("web");
    expect(bench.alerts).toHaveLength(1);
  });

  test("counts a container in a loop, and says how often when it is gone", async () => {
    await start();
    const loop = { ...recordedContainer("web"), Name: "/loop" };
    docker.containers.set("loop", { ...loop, State: { ...loop.State, Status: "restarting" } });
    docker.happen(...recordedEvents("loop"));
    expect((await bench.alert(0)).message).toBe("container loop (box) died with exit code 5 (failures in a row: 1)");
    docker.containers.clear();
    const deaths = recordedEvents("loop").filter(({ Action }) => Action === "die").length;
    expect((await bench.alert(1)).message).toBe(`loop is no longer there (failures in a row: ${deaths})`);
  });

  test("tells of a container that is gone with its log already", async () => {
    await start();
    docker.happen(...recordedEvents("gone"));
    expect((await bench.alert(0)).logs).toStartWith("the container's log cannot be read: No such container");
  });

  test("misses nothing and repeats nothing while it is away", async () => {
    const collector = await start();
    setWeb({});
    docker.happen(webDies);
    await bench.alert(0);
    await collector.stop();
    docker.happen(...recordedEvents("tty"));
    await start();
    expect((await bench.alert(1)).source).toBe("tty");
    expect(bench.told().filter((line) => line.startsWith("web"))).toHaveLength(1);
    // Each request goes on where the last event was.
    const sinces = docker.requests.flatMap((request) => /since=([\d.]+)/.exec(request)?.[1] ?? []);
    expect(new Set(sinces).size).toBeGreaterThan(1);
  });

  test("tells of what died while the daemon was being restarted, which has forgotten it", async () => {
    await start();
    setWeb({ Status: "running" });
    docker.happen(webStart);
    await until(() => docker.followers === 1);
    await docker.stop();
    setWeb({ FinishedAt: new Date().toISOString() });
    docker.start();
    expect(await bench.alert(0)).toMatchObject({ source: "web", exitCode: 3, state: "firing" });
    await until(() => docker.followers === 1);
  });

  test("does not tell of what ended long before it came, but of what is unhealthy then", async () => {
    setWeb({});
    docker.containers.set("sick", recordedContainer("sick"));
    await start();
    expect((await bench.alert(0)).message).toStartWith("container sick");
    expect(bench.alerts).toHaveLength(1);
  });

  test("waits for a daemon that is not there yet", async () => {
    await docker.stop();
    const collector = bench.start(create());
    expect(await collector.check()).toEqual({
      name: "docker",
      ok: false,
      absent: true,
      detail: `there is no Docker at ${bench.folder}/docker.sock; it is looked for again and again`,
    });
    docker.start();
    await until(() => docker.followers === 1);
    setWeb({});
    docker.happen(webDies);
    await bench.alert(0);
    await collector.stop();
    await until(() => docker.followers === 0);
  });

  test("says what it can see", async () => {
    setWeb({ Status: "running" });
    expect(await create().check()).toEqual({
      name: "docker",
      ok: true,
      detail: "watches all containers (1 running now) by API 1.41",
    });
  });
});
