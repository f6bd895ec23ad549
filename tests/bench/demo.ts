/** `bun run demo`: hosts with varied incidents against a running server, for a look at the page. Ends with Ctrl-C. */
import { parseArgs } from "node:util";
import { errorMessage } from "../../src/lib/errors.ts";
import { StandInHost } from "../support/stand-in-host.ts";
import { ALLOWED, factsOf, figuresOf, HOSTS, SCENES } from "./demo-scenes.ts";

const USAGE = `Plays ten hosts on which things fail, and whose restarts answer, against a running server.
usage: bun run demo [options]
  --server URL   where it is (http://127.0.0.1:8080)
  --token TOKEN  its ADMIN_TOKEN, where it asks for one`;

/** Between two failures, so that one can watch them come. */
const PAUSE_MS = 1_500;
/** Then one of them repeats now and again. */
const REPEAT_MS = 20_000;

const SIGHTED = { state: "sees", for_s: 86_400 };

async function run(server: string, adminToken: string | undefined, signal: AbortSignal): Promise<void> {
  const hosts = new Map<string, StandInHost>();
  signal.addEventListener("abort", () => {
    for (const host of hosts.values()) host.close();
  });
  for (const hostname of HOSTS) {
    const token = adminToken === undefined ? `demo-host-${hostname}` : await makeToken(server, adminToken, hostname);
    hosts.set(hostname, playHost(server, hostname, token));
  }
  await Promise.all([...hosts.values()].map((host) => host.ready()));
  say(`${hosts.size} hosts are connected: open ${server}/app`);
  for (const { host, alert } of SCENES) {
    await pause(PAUSE_MS, signal);
    await hosts.get(host)?.fail(alert);
    say(`${host}: ${alert.message}`);
  }
  say("All have failed; restart some on the page. Ctrl-C ends it.");
  for (let turn = 0; !signal.aborted; turn++) {
    await pause(REPEAT_MS, signal);
    const scene = SCENES[turn % 3];
    if (scene && !signal.aborted) await hosts.get(scene.host)?.fail(scene.alert);
  }
}

function playHost(server: string, hostname: string, token: string): StandInHost {
  const scenes = SCENES.filter(({ host }) => host === hostname);
  const isBlind = hostname === "web-2";
  return new StandInHost(server, {
    hostname,
    token,
    allow: ALLOWED,
    metrics: figuresOf(hostname),
    facts: factsOf(hostname),
    collectors: {
      systemd: SIGHTED,
      host: SIGHTED,
      kernel: SIGHTED,
      logs: isBlind ? { state: "cannot", for_s: 600, why: "/var/log/payments: permission denied" } : SIGHTED,
    },
    restarts: Object.fromEntries(scenes.map(({ alert, restart = "holds" }) => [String(alert.source), restart])),
    logs: (source) =>
      String(scenes.find(({ alert }) => alert.source === source)?.alert.logs ?? `${source}: nothing new`),
    settleMs: 12_000,
  });
}

async function makeToken(server: string, adminToken: string, hostname: string): Promise<string> {
  const answer = await fetch(`${server}/v1/agents`, {
    method: "POST",
    headers: { authorization: `Bearer ${adminToken}`, "content-type": "application/json" },
    body: JSON.stringify({ hostname }),
  });
  if (!answer.ok) throw new Error(`the server made no token: ${answer.status} ${await answer.text()}`);
  return ((await answer.json()) as { token: string }).token;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

const say = (line: string) => process.stdout.write(`${line}\n`);

const { values } = parseArgs({
  options: {
    server: { type: "string", default: "http://127.0.0.1:8080" },
    token: { type: "string" },
    help: { type: "boolean" },
  },
});
if (values.help) say(USAGE);
else {
  const ending = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => ending.abort());
  try {
    await run(values.server, values.token, ending.signal);
  } catch (error) {
    process.stderr.write(`${errorMessage(error)}\n`);
    process.exitCode = 1;
  }
}
