import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDockerApi } from "../../src/agent/docker-api.ts";
import { createTestExecutor } from "../support/executor.ts";
import {
  type FakeContainer,
  type FakeDocker,
  type FakeDockerOptions,
  logFrame,
  startFakeDocker,
} from "../support/fake-docker.ts";
import { until } from "../support/until.ts";

const ID = "4fa6e0f0c1d04f5d8b1f9a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f";
let folder = "";
let docker: FakeDocker | undefined;
let web: FakeContainer;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-docker-"));
  web = { id: ID, name: "web", state: "exited" };
});
afterEach(async () => {
  await docker?.stop();
  docker = undefined;
  rmSync(folder, { recursive: true, force: true });
});

function startDocker(options: FakeDockerOptions = {}): FakeDocker {
  docker = startFakeDocker(folder, { containers: [web], ...options });
  return docker;
}
const executorWith = (allow: string) =>
  createTestExecutor({ folder, allow, searchPath: "/usr/bin", socketPath: join(folder, "docker.sock") });

describe("restart_container", () => {
  test("restarts the container, and tells its state", async () => {
    const { requests } = startDocker();
    const result = await executorWith("restart_container:web").ask("restart_container", { container: "web" });
    expect(result).toMatchObject({ status: "done", output: "web: running" });
    expect(requests).toContain(`POST /v1.47/containers/${ID}/restart`);
  });

  test.each([
    ["Docker", { stopSeconds: 120 }, "?t=120"],
    ["Docker", { stopSeconds: 0 }, "?t=0"],
    ["Docker", {}, ""],
    ["Podman", { stopSeconds: 120 }, "?t=120"],
    // Which kills at once what it is told no time for.
    ["Podman", {}, "?t=10"],
  ] as const)("by %s lets the container take as long to end as its owner has set (%j)", async (engine, own, query) => {
    web = { ...web, ...own };
    const { requests } = startDocker({ engine });
    await executorWith("restart_container:web").ask("restart_container", { container: "web" });
    expect(requests).toContain(`POST /v1.47/containers/${ID}/restart${query}`);
  });

  test("by its id needs leave for its name", async () => {
    const { requests } = startDocker();
    const byId = { container: ID.slice(0, 12) };
    expect(await executorWith(`restart_container:${ID.slice(0, 4)}*`).ask("restart_container", byId)).toMatchObject({
      status: "rejected",
      error: `restart_container:web (which ${ID.slice(0, 12)} stands for) is not allowed on this host`,
    });
    expect(requests.filter((one) => one.startsWith("POST"))).toEqual([]);
    expect(await executorWith("restart_container:*").ask("restart_container", byId)).toMatchObject({ status: "done" });
  });

  test("of none fails", async () => {
    startDocker();
    const result = await executorWith("restart_container:*").ask("restart_container", { container: "nope" });
    expect(result).toMatchObject({ status: "failed", error: "there is no container nope on this host" });
  });

  test("of one that Podman is just removing fails as of none", async () => {
    const message = `no container with ID ${ID} found in database: no such container`;
    startDocker({
      intercept: (_, path) => (path.includes(ID) ? Response.json({ message }, { status: 500 }) : undefined),
    });
    const result = await executorWith("restart_container:*").ask("restart_container", { container: "web" });
    expect(result).toMatchObject({ status: "failed", error: "there is no container web on this host" });
  });

  test("fails with Docker's own words", async () => {
    const intercept: FakeDockerOptions["intercept"] = (_, path) =>
      path.endsWith("/restart")
        ? Response.json({ message: "driver failed: port is taken" }, { status: 500 })
        : undefined;
    startDocker({ intercept });
    const result = await executorWith("restart_container:*").ask("restart_container", { container: "web" });
    expect(result).toMatchObject({ status: "failed", error: "driver failed: port is taken" });
  });

  test("without Docker says so", async () => {
    const result = await executorWith("restart_container:*").ask("restart_container", { container: "web" });
    expect(result).toMatchObject({ status: "failed", error: `there is no Docker at ${folder}/docker.sock` });
  });
});

describe("container_logs", () => {
  test("are both streams in their order, taken out of Docker's frames", async () => {
    web.logs = [logFrame(1, "one\n"), logFrame(2, "two\n"), logFrame(1, "three\n")];
    const { requests } = startDocker();
    const result = await executorWith("").ask("container_logs", { container: "web", lines: 3 });
    expect(result).toMatchObject({ status: "done", output: "one\ntwo\nthree\n" });
    expect(requests.at(-1)).toBe(`GET /v1.47/containers/${ID}/logs?stdout=true&stderr=true&tail=3`);
  });

  test("of a container with a terminal are taken as they are", async () => {
    web = { ...web, tty: true, logs: [Buffer.from("\u0001raw\n")] };
    startDocker();
    expect((await executorWith("").ask("container_logs", { container: "web" })).output).toBe("\u0001raw\n");
  });

  test("over 64 KiB keep their head and their tail", async () => {
    web.logs = [
      logFrame(1, "first\n"),
      ...Array.from({ length: 300 }, () => logFrame(1, `${"x".repeat(999)}\n`)),
      logFrame(2, "last\n"),
    ];
    startDocker();
    const { output = "" } = await executorWith("").ask("container_logs", { container: "web" });
    expect(Buffer.byteLength(output)).toBeLessThanOrEqual(64 * 1024);
    expect(output).toStartWith("first\n");
    expect(output).toEndWith("last\n");
    expect(output).toMatch(/^\[\.\.\. \d+ bytes left out \.\.\.\]$/m);
  });

  test("that break off fail", async () => {
    web.logs = [logFrame(1, "one\n"), logFrame(1, "cut short\n").subarray(0, 12)];
    startDocker();
    const result = await executorWith("").ask("container_logs", { container: "web" });
    expect(result).toMatchObject({ status: "failed", error: "Docker's log stream ended in a frame" });
  });
});

describe("container_logs with a choice", () => {
  test("are as young as is said", async () => {
    const { requests } = startDocker();
    const beforeS = Math.floor(Date.now() / 1000) - 60;
    await executorWith("").ask("container_logs", { container: "web", since_s: 60 });
    const since = Number(new URL(`http://d${requests.at(-1)?.split(" ")[1]}`).searchParams.get("since"));
    expect(since - beforeS).toBeOneOf([0, 1, 2]);
  });

  test("are the last that hold the pattern", async () => {
    web.logs = [logFrame(1, "ERROR one\nok\nerror two\n"), logFrame(2, "Error three\n")];
    startDocker();
    const params = { container: "web", lines: 2, pattern: "^error" };
    expect((await executorWith("").ask("container_logs", params)).output).toBe("error two\nError three\n");
  });

  test("by no pattern at all are refused", async () => {
    startDocker();
    const result = await executorWith("").ask("container_logs", { container: "web", pattern: "(" });
    expect(result).toMatchObject({ status: "rejected", error: "params.pattern: a ( has no )" });
  });
});

describe("container_inspect", () => {
  const inspected = JSON.parse(readFileSync(join(import.meta.dir, "../fixtures/docker/inspect-sick.json"), "utf8"));

  test("shows how a container stands and what it runs, but neither its environment nor its labels", async () => {
    const { Id: _, Name: __, ...rest } = inspected;
    const config = { ...rest.Config, Env: ["DB_PASSWORD=hunter2"], Labels: { secret: "hunter3" } };
    web = { ...web, inspect: { ...rest, Config: config, Path: "nginx", Args: ["-g", "daemon off;"] } };
    startDocker();
    const { status, output = "" } = await executorWith("").ask("container_inspect", { container: "web" });
    expect(status).toBe("done");
    expect(JSON.parse(output)).toMatchObject({
      name: "web",
      state: { status: "running", out_of_memory: false },
      health: { status: "unhealthy", failing_in_a_row: 3 },
      command: "nginx -g daemon off;",
    });
    expect(output).not.toContain("hunter");
  });

  test("of one that is not allowed by its name is refused", async () => {
    startDocker();
    const ask = { container: ID.slice(0, 12) };
    const result = await executorWith("container_inspect:other").ask("container_inspect", ask);
    expect(result).toMatchObject({ status: "rejected" });
  });
});

test("agent_facts names the containers", async () => {
  startDocker();
  const { output = "" } = await executorWith("").ask("agent_facts");
  expect(JSON.parse(output).containers).toEqual([{ name: "web", image: "web:1", state: "exited" }]);
});

describe("the client for Docker", () => {
  const api = () => createDockerApi({ socketPath: join(folder, "docker.sock") });

  test.each([
    ["1.50", "1.24", "1.47"],
    ["1.41", "1.12", "1.41"],
    ["1.60", "1.52", "1.52"],
  ])("speaks with a daemon of %s (%s at least) in %s", async (apiVersion, minApiVersion, expected) => {
    startDocker({ apiVersion, minApiVersion });
    expect(await api().version()).toBe(expected);
  });

  test("takes nobody for Docker who does not answer like it", async () => {
    startDocker({ intercept: () => Response.json({ hello: "world" }) });
    expect(await reasonOf(api().get("/containers/json"))).toBe("broken");
  });

  test("follows events that come in pieces, until it is told to stop", async () => {
    const daemon = startDocker();
    const stopping = new AbortController();
    const seen: unknown[] = [];
    const following = (async () => {
      for await (const event of api().stream("/events", { signal: stopping.signal })) seen.push(event);
    })();
    await until(() => daemon.followers() === 1);
    daemon.emit({ Action: "die", Actor: { Attributes: { exitCode: "137" } } });
    daemon.emit({ Action: "start" });
    await until(() => seen.length === 2);
    expect(seen).toEqual([{ Action: "die", Actor: { Attributes: { exitCode: "137" } } }, { Action: "start" }]);
    stopping.abort();
    expect(await reasonOf(following)).toBe("aborted");
    await until(() => daemon.followers() === 0, { what: "Docker is left alone" });
  });

  test("leaves Docker alone when whoever follows has seen enough", async () => {
    const daemon = startDocker();
    const following = (async () => {
      for await (const event of api().stream("/events")) return event;
    })();
    await until(() => daemon.followers() === 1);
    daemon.emit({ Action: "die" });
    expect(await following).toEqual({ Action: "die" });
    await until(() => daemon.followers() === 0);
  });

  test("fails when Docker ends, and finds it again when it is back as another version", async () => {
    const daemon = startDocker();
    const client = api();
    const following = (async () => {
      for await (const _ of client.stream("/events"));
    })();
    await until(() => daemon.followers() === 1);
    await daemon.stop();
    expect(await reasonOf(following)).toBe("broken");
    expect(await reasonOf(client.version())).toBe("absent");
    startDocker({ apiVersion: "1.43" });
    expect(await client.version()).toBe("1.43");
  });

  test("gives up in time what Docker does not answer", async () => {
    startDocker({ intercept: (_, path) => (path === "/version" ? undefined : new Promise<Response>(() => undefined)) });
    expect(await reasonOf(api().get("/info", { limitMs: 50 }))).toBe("timeout");
  });

  test.each([
    ["nothing is there", "none.sock", "absent"],
    ["a file is there", "file", "absent"],
  ])("where %s says that there is no Docker", async (_, name, reason) => {
    await Bun.write(join(folder, "file"), "");
    const client = createDockerApi({ socketPath: join(folder, name) });
    expect(await reasonOf(client.version())).toBe(reason);
  });
});

async function reasonOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "no failure";
  } catch (error) {
    return error instanceof Error && "reason" in error ? String(error.reason) : String(error);
  }
}
