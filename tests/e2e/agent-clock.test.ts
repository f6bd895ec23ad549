import { afterEach, beforeEach, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSettableClock, type SettableClock } from "../support/clock.ts";
import { spawnOpspilot } from "../support/command-line.ts";
import { emptyFolder, removeFolder } from "../support/e2e.ts";
import { type DockerEvent, EventDocker, recordedContainer, recordedEvents } from "../support/event-docker.ts";
import { StreamServer } from "../support/stream-server.ts";
import { until } from "../support/until.ts";

const TWO_HOURS_MS = 7_200_000;
const LIMITS = { ms: 20_000 };

let folder = "";
let clock: SettableClock;
let docker: EventDocker;
let server: StreamServer;
let agent: ReturnType<typeof spawnOpspilot> | undefined;
beforeEach(async () => {
  folder = await emptyFolder();
  clock = createSettableClock();
  docker = new EventDocker(folder, { clock });
  docker.start();
  server = new StreamServer();
});
afterEach(async () => {
  await stopAgent();
  await server.stop();
  await docker.stop();
  await removeFolder(folder);
});

async function startAgent(): Promise<void> {
  const env = {
    PATH: folder,
    OPSPILOT_DATA_DIR: folder,
    OPSPILOT_DOCKER_SOCKET: join(folder, "docker.sock"),
    OPSPILOT_COLLECTORS: "docker,logs",
    OPSPILOT_PATTERNS: "container:web /ERROR a/; container:web /ERROR b/; container:web /ERROR c/",
  };
  agent = spawnOpspilot(["agent", "--server", server.url, "--token", "token-of-a-test"], { cwd: folder, env });
  await until(() => docker.followers === 2, LIMITS);
}

async function stopAgent(): Promise<void> {
  agent?.kill("SIGTERM");
  await agent?.exited;
  agent = undefined;
  await until(() => docker.followers === 0, LIMITS);
}

const [starts, dies] = recordedEvents("web") as [DockerEvent, DockerEvent];

function set(name: string, state: Record<string, unknown>) {
  const web = recordedContainer("web");
  const [StartedAt, FinishedAt] = [clock.now() - 60_000, clock.now()].map((ms) => new Date(ms).toISOString());
  const State = { ...web.State, StartedAt, FinishedAt, ...state };
  docker.containers.set(name, { ...web, Id: `id-${name}`, Name: `/${name}`, State });
  return { ID: `id-${name}`, Attributes: { image: "box", name, exitCode: "3" } };
}

function die(name: string): void {
  const Actor = set(name, { Status: "exited", ExitCode: 3 });
  docker.happen({ ...starts, Actor }, { ...dies, Actor });
}

const told = (...parts: string[]) =>
  until(() => parts.every((part) => server.messages.some((message) => message.includes(part))), {
    ...LIMITS,
    what: `${parts.join(", ")}; so far ${server.messages.join("\n")}`,
  });

/** What the agent noted by its own clock: the process has the machine's, which a test cannot set. */
function noteAhead(file: string): void {
  const path = join(folder, "agent/collectors", file);
  const wallMs = (_: string, ms: string) => `"wallMs":${Number(ms) + TWO_HOURS_MS}`;
  writeFileSync(path, readFileSync(path, "utf8").replaceAll(/"wallMs":(\d+)/g, wallMs));
}

test("after the host's clock was put back, nothing that happens is lost on the agent, and nothing is told twice", async () => {
  clock.setBack(-TWO_HOURS_MS);
  const Actor = set("web", { Status: "running" });
  await startAgent();
  docker.happen({ ...starts, Actor });
  await until(() => docker.requests.some((one) => one.includes("id-web/logs")), LIMITS);
  die("first");
  docker.write("web", "ERROR a");
  await told("container first", "ERROR a");
  await stopAgent();
  for (const file of ["docker.json", "logs.json"]) noteAhead(file);

  clock.setBack(TWO_HOURS_MS);
  die("second");
  docker.write("web", "ERROR b");
  await startAgent();
  await told("container second", "ERROR b");
  die("third");
  docker.write("web", "ERROR c");
  await told("container third", "ERROR c");
  expect(server.messages).toHaveLength(6);
  const alerts = server.frames.filter(({ type }) => type === "alert");
  expect(alerts.every(({ ts, payload }) => payload.at <= ts)).toBe(true);
}, 180_000);
