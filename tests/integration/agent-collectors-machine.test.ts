import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createDockerCollector } from "../../src/agent/collectors/docker.ts";
import type { Collector } from "../../src/agent/model.ts";
import { CollectorBench } from "../support/collectors.ts";
import { type DockerEvent, EventDocker, recordedContainer, recordedEvents } from "../support/event-docker.ts";
import { until } from "../support/until.ts";

let bench: CollectorBench;
let engine: EventDocker;
beforeEach(() => {
  bench = new CollectorBench();
});
afterEach(async () => {
  await bench.close();
  await engine.stop();
});

/** As the engines write it. */
const NEVER = "0001-01-01T00:00:00Z";

const ENGINES = [
  ["Docker", "28.5.2"],
  ["Podman", "4.3.1"],
  ["Podman", "5.8.6"],
] as const;

describe.each(ENGINES)("after a start of the machine, the collector of containers, with %s %s,", (name, version) => {
  beforeEach(() => {
    engine = new EventDocker(bench.folder, { engine: name, version });
    engine.start();
  });

  async function start(): Promise<Collector> {
    const collector = bench.start(createDockerCollector(bench.deps(), { bootWaitMs: 500 }));
    await until(() => engine.followers === 1);
    return collector;
  }

  /** As the engine describes it: it runs since this moment, or has ended. */
  function set(container: string, exitCode?: number): void {
    const web = recordedContainer("web");
    const StartedAt = engine.containers.get(container)?.State.StartedAt ?? new Date().toISOString();
    const State =
      exitCode === undefined
        ? { Status: "running", ExitCode: 0, StartedAt: new Date().toISOString() }
        : { Status: "exited", ExitCode: exitCode, StartedAt, FinishedAt: new Date().toISOString() };
    engine.containers.set(container, { ...web, Id: `id-of-${container}`, Name: `/${container}`, State });
  }

  function event(container: string, Action: string, attributes: Record<string, string> = {}): DockerEvent {
    const [pattern] = recordedEvents("web");
    const Actor = { ID: `id-of-${container}`, Attributes: { image: "box", name: container, ...attributes } };
    return { ...(pattern as DockerEvent), Action, Actor };
  }
  const dies = (container: string, exitCode: number) => event(container, "die", { exitCode: String(exitCode) });

  /** Somebody has it end: Podman says so in its own way. */
  const asks = (container: string) =>
    name === "Docker" ? event(container, "kill", { signal: "15" }) : event(container, "stop");

  /** All that happened so far is heard. */
  async function heardAll(): Promise<void> {
    engine.happen(event("mark", "start"));
    await until(() => engine.requests.some((one) => one.includes("id-of-mark/json")));
  }

  async function restartMachine(collector: Collector): Promise<void> {
    await collector.stop();
    await engine.stop();
    const path = join(bench.folder, "state/docker.json");
    const state = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(path, JSON.stringify({ ...state, boot: "another" }));
    engine.start();
  }

  /** Something that is told for certain, once all before it was. */
  async function told(): Promise<string[]> {
    set("last", 99);
    engine.happen(dies("last", 99));
    await until(() => bench.alerts.some(({ source }) => source === "last"));
    return bench.told().filter((text) => !text.startsWith("last "));
  }

  test("tells of what ran before and does not run again, whatever its exit code", async () => {
    for (const container of ["well", "killed", "bad", "new"]) set(container);
    const collector = await start();
    await restartMachine(collector);
    set("well", 0);
    set("killed", 137);
    set("bad", 1);
    set("new", 0);
    Object.assign(engine.containers.get("new")?.State ?? {}, {
      Status: "created",
      StartedAt: NEVER,
      FinishedAt: NEVER,
    });
    await start();
    await until(() => bench.alerts.length === 4);
    const text = (container: string) =>
      `${container} firing: container ${container} (box) ended with the machine, and was not started again (failures in a row: 1)`;
    expect(bench.told().sort()).toEqual(["bad", "killed", "new", "well"].map(text));
  });

  test("says nothing of what is started with the machine, though it was late, or was stopped before", async () => {
    for (const container of ["late", "stopped", "gone"]) set(container);
    const collector = await start();
    engine.happen(asks("stopped"), dies("stopped", 143));
    set("stopped", 143);
    await heardAll();
    await restartMachine(collector);
    for (const container of ["late", "gone"]) set(container, 143);
    await start();
    set("late");
    engine.happen(event("late", "start"));
    await until(() => bench.alerts.length > 0);
    expect(bench.alerts.map(({ source }) => source)).toEqual(["gone"]);
    expect(await told()).toHaveLength(1);
  });

  test("tells once of what the shutdown had ended while it still listened", async () => {
    set("web");
    const collector = await start();
    engine.happen(...(name === "Docker" ? [asks("web")] : []), dies("web", 143));
    set("web", 143);
    await heardAll();
    await restartMachine(collector);
    await start();
    await until(() => bench.alerts.length > 0);
    expect(await told()).toEqual([expect.stringContaining("web (box) ended with the machine")]);
  });
});
