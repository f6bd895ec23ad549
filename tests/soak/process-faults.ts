import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FakeSlack, startFakeSlack } from "../support/fake-slack.ts";
import { BOT_TOKEN, CHANNEL } from "../support/fake-slack-api.ts";
import { rest } from "../support/rest.ts";
import { until } from "../support/until.ts";
import { AgentsProcess, knownBy, type SoakHost } from "./agents.ts";
import { type Findings, findWrong } from "./check.ts";
import { createRandom } from "./random.ts";
import { ServedExecutable } from "./served.ts";

/** How much of it. */
export interface FaultOptions {
  /** For at least so long faults come, at random moments. */
  readonly seconds: number;
  /** And until there were so many; each ends the server, its PostgreSQL, or a process of agents. */
  readonly kills: number;
  readonly hosts: number;
  /** That hold the hosts' agents. */
  readonly processes: number;
  /** How often something fails on each host, and of how many things in turn: alerts join the incidents that are open. */
  readonly everyMs: number;
  readonly sources: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
  readonly tell?: (text: string) => void;
}

/** What was done, and what the checker found. */
export interface FaultOutcome extends Findings {
  readonly kills: Readonly<Record<Target, number>>;
  readonly serverStarts: number;
  readonly seconds: number;
}

const TARGETS = ["server", "database", "agents"] as const;
type Target = (typeof TARGETS)[number];

/** Beside the hosts' folders: the file that ends what fails there. */
const QUIET = "quiet";
const DRAIN_LIMIT_MS = 120_000;
const TOLD_LIMIT_MS = 180_000;

/**
 * Kills the server, its database and agents by SIGKILL, at random moments while agents tell and send again; then lets them come to
 * an end, and compares what the agents know with what is stored and what Slack (a stand-in) was told.
 */
export async function runProcessFaults(options: FaultOptions): Promise<FaultOutcome> {
  await using cleanups = new AsyncDisposableStack();
  const slack = await startFakeSlack();
  cleanups.defer(() => slack.stop());
  const served = await ServedExecutable.start(settingsFor(slack));
  cleanups.defer(() => served.stop());
  const dir = await mkdtemp(join(tmpdir(), "opspilot-soak-"));
  cleanups.defer(() => rm(dir, { recursive: true, force: true }));
  const hosts = await enrol(served.url, options.hosts, dir);
  const processes = startAgents(served.url, hosts, join(dir, QUIET), options);
  cleanups.defer(async () => void (await Promise.all(processes.map((one) => one.kill()))));

  const startedMs = performance.now();
  const kills = await inflict(served, processes, options);
  const seconds = Math.round((performance.now() - startedMs) / 1_000);
  await Bun.write(join(dir, QUIET), "");
  options.tell?.(`${sum(kills)} kills in ${seconds} s; waiting for what is still to be sent`);
  await served.ready();
  await drained(hosts, options.signal);
  await allTold(served, options.signal);
  const found = await served.look((sql) =>
    findWrong(
      sql,
      hosts.map((host) => ({ ...host, known: knownBy(host) })),
      slack.messages,
    ),
  );
  return { ...found, kills, serverStarts: served.starts, seconds };
}

function settingsFor(slack: FakeSlack): Record<string, string> {
  return {
    SLACK_API_URL: slack.apiUrl,
    SLACK_TOKEN: BOT_TOKEN,
    SLACK_CHANNEL: CHANNEL,
    INCIDENT_GROUP_WINDOW: "7d",
  };
}

async function enrol(url: string, count: number, dir: string): Promise<SoakHost[]> {
  const hosts: SoakHost[] = [];
  for (let n = 0; n < count; n++) {
    const name = `soak-${n}`;
    const { id, token } = (await rest(url, "/v1/agents", { hostname: name })).body;
    hosts.push({ name, id, token, dir: join(dir, name) });
  }
  return hosts;
}

function startAgents(
  url: string,
  hosts: readonly SoakHost[],
  quietPath: string,
  { processes, everyMs, sources }: FaultOptions,
): AgentsProcess[] {
  const socketUrl = `${url.replace("http", "ws")}/v1/stream`;
  return Array.from({ length: processes }, (_, at) => {
    const mine = hosts.filter((__, n) => n % processes === at);
    return new AgentsProcess({ socketUrl, hosts: mine, quietPath, sources, everyMs });
  });
}

/** Half of the kills are of agents' processes; of the server twice as many as of its database. */
const CHOICE: readonly Target[] = ["agents", "agents", "agents", "server", "server", "database"];

async function inflict(
  served: ServedExecutable,
  processes: readonly AgentsProcess[],
  { seconds, kills, seed, signal, tell }: FaultOptions,
): Promise<Record<Target, number>> {
  const random = createRandom(seed);
  const done = { server: 0, database: 0, agents: 0 };
  const endMs = performance.now() + seconds * 1_000;
  const gapMs = (seconds * 1_000) / kills;
  let toldMs = performance.now();
  while (performance.now() < endMs || sum(done) < kills) {
    signal?.throwIfAborted();
    await Bun.sleep(random() * 2 * gapMs);
    const target = CHOICE[Math.floor(random() * CHOICE.length)] ?? "agents";
    if (await strike(target, served, processes, random)) done[target]++;
    if (performance.now() - toldMs < 60_000) continue;
    toldMs = performance.now();
    tell?.(`${sum(done)} kills so far; the server was started ${served.starts} times`);
  }
  return done;
}

async function strike(
  target: Target,
  served: ServedExecutable,
  processes: readonly AgentsProcess[],
  random: () => number,
): Promise<boolean> {
  if (target !== "agents") return served.kill(target);
  const one = processes[Math.floor(random() * processes.length)];
  await one?.kill();
  one?.start();
  return one !== undefined;
}

const sum = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((all, one) => all + one, 0);

/** All that was kept has been answered for. */
async function drained(hosts: readonly SoakHost[], signal?: AbortSignal): Promise<void> {
  let left: string[] = [];
  const isDrained = async () => {
    signal?.throwIfAborted();
    left = hosts.flatMap((host) => {
      const { kept, acknowledged, refused } = knownBy(host);
      const answered = acknowledged.union(new Set(refused.map((line) => line.split(" ", 1)[0] ?? "")));
      return [...kept.difference(answered)].map((id) => `${host.name} ${id}`);
    });
    return left.length === 0;
  };
  await until(isDrained, { ms: DRAIN_LIMIT_MS, everyMs: 200 }).catch((error) => {
    throw new Error(`${left.length} alerts that agents keep were not answered for (${left}): ${error.message}`);
  });
}

/** Nothing is still to be said, or in doubt. */
async function allTold(served: ServedExecutable, signal?: AbortSignal): Promise<void> {
  const undone = () =>
    served.look(async (sql) => {
      const [row] = await sql<{ count: number }[]>`
        select (select count(*) from incidents i where not exists (
            select 1 from announcements a where a.incident_id = i.id and a.kind = 'incident' and a.outlet = 'slack'))::int
          + (select count(*) from announcements where outlet = 'slack' and kind in ('incident', 'storm')
            and state not in ('sent', 'withheld', 'failed'))::int as count`;
      signal?.throwIfAborted();
      return row?.count ?? 0;
    });
  await until(async () => (await undone()) === 0, {
    ms: TOLD_LIMIT_MS,
    everyMs: 500,
    what: "all incidents are told",
  });
}
