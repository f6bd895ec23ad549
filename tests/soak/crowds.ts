import { ADMIN_TOKEN } from "../support/http-app.ts";
import { residentBytes } from "../support/processes.ts";
import { gather } from "./crowd.ts";
import { GoodAgent } from "./good-agent.ts";
import { ServedExecutable } from "./served.ts";

/** How much of it. */
export interface CrowdPlan {
  /** At most, from one address; fewer where the limit of open files is lower. */
  readonly connections: number;
  /** For how long each crowd stays. */
  readonly seconds: number;
  readonly guesses: number;
  readonly signal?: AbortSignal;
  readonly tell?: (text: string) => void;
}

/** What one crowd did, and how an agent that behaves fared beside it. */
export interface CrowdRow {
  readonly what: string;
  readonly tried: number;
  /** What the server did about it, in words. */
  readonly outcome: string;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly memoryMib: number;
}

export interface CrowdOutcome {
  readonly rows: readonly CrowdRow[];
  readonly wrong: readonly string[];
}

const MIB = 2 ** 20;
/** Of a machine that does nothing else; a busy one is not told from a server that is held up. */
const P99_MS_MAX = 5_000;
const MEMORY_MIB_MAX = 1_024;
/** Of each process's open files some are for other things. */
const FILES_SPARED = 2_000;

const UPGRADE =
  "GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const HALF_A_HEAD = "GET /v1/agents HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
const HALF_A_BODY =
  "POST /v1/agents HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
  `Authorization: Bearer ${ADMIN_TOKEN}\r\nContent-Length: 60000\r\n\r\n`;

/** Crowds from one address, one after the other, beside an agent that behaves. */
export async function runCrowds(plan: CrowdPlan): Promise<CrowdOutcome> {
  await using cleanups = new AsyncDisposableStack();
  const served = await ServedExecutable.start({ ADMIN_TOKEN });
  cleanups.defer(() => served.stop());
  const { token } = await newAgent(served.url);
  const good = await GoodAgent.connect(served.url, token);
  cleanups.defer(() => good.stop());
  const rows: CrowdRow[] = [];
  const row = async (what: string, work: () => Promise<{ tried: number; outcome: string }>) => {
    plan.signal?.throwIfAborted();
    plan.tell?.(what);
    good.take();
    const done = await work();
    rows.push({ what, ...done, ...good.take(), memoryMib: Math.round(residentBytes(served.pid() ?? 0) / MIB) });
  };

  const port = Number(served.port);
  const count = Math.min(plan.connections, openFilesMax() - FILES_SPARED);
  const stay = (much: number, greeting: string, drip?: string) => async () => {
    const crowd = await gather(port, much, greeting, drip);
    // No wait for a state: how many are left after so long is what is asked.
    await Bun.sleep(plan.seconds * 1_000);
    const open = crowd.open();
    crowd.leave();
    return { tried: much, outcome: `${crowd.made} let in, ${crowd.made - open} sent away within ${plan.seconds} s` };
  };
  const tenth = Math.ceil(count / 10);
  // What an ack takes of itself, to compare with.
  await row("nobody else", async () => ({ tried: 0, outcome: await Bun.sleep(5_000).then(() => "") }));
  await row("heads of requests, a byte a second", stay(tenth, HALF_A_HEAD, "slow"));
  await row("bodies, a byte a second", stay(tenth, HALF_A_BODY, " "));
  await row("connections that say nothing", stay(tenth, ""));
  await row("sockets that prove no token", stay(count, UPGRADE));
  await row("wrong tokens, over HTTP", () => guess(served.url, plan.guesses));
  await row("a right one meanwhile", async () => ({
    tried: 1,
    outcome: `answered ${await ask(served.url, ADMIN_TOKEN)}`,
  }));
  const refused = await counted(served.url, "opspilot_credentials_refused_total");
  return { rows, wrong: wrongIn(rows, { good, served, refused, guesses: plan.guesses }) };
}

function wrongIn(
  rows: readonly CrowdRow[],
  seen: { good: GoodAgent; served: ServedExecutable; refused: number; guesses: number },
): string[] {
  const right = rows.at(-1)?.outcome;
  return [
    ...rows
      .filter(({ p99Ms }) => p99Ms > P99_MS_MAX)
      .map(({ what, p99Ms }) => `beside ${what} an ack took ${p99Ms} ms`),
    ...rows.filter((one) => one.memoryMib > MEMORY_MIB_MAX).map((one) => `${one.what}: ${one.memoryMib} MiB`),
    ...(seen.good.socket.closed === undefined ? [] : ["the agent that behaves was sent away"]),
    ...(seen.served.starts === 1 ? [] : [`the server was started ${seen.served.starts} times`]),
    ...(right === "answered 200" ? [] : [`the right token was ${right}`]),
    ...(seen.refused >= seen.guesses ? [] : [`${seen.refused} of ${seen.guesses} wrong tokens were counted`]),
  ];
}

async function newAgent(url: string): Promise<{ token: string }> {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  return (await fetch(`${url}/v1/agents`, { method: "POST", headers })).json() as Promise<{ token: string }>;
}

async function ask(url: string, token: string): Promise<number> {
  const answer = await fetch(`${url}/v1/agents?limit=1`, { headers: { authorization: `Bearer ${token}` } });
  await answer.arrayBuffer();
  return answer.status;
}

async function guess(url: string, guesses: number): Promise<{ tried: number; outcome: string }> {
  const times = new Map<number, number>();
  for (let n = 0; n < guesses; n++) {
    const status = await ask(url, `a-guess-of-a-token-${n}`);
    times.set(status, (times.get(status) ?? 0) + 1);
  }
  return { tried: guesses, outcome: [...times].map(([status, count]) => `${count} times ${status}`).join(", ") };
}

async function counted(url: string, name: string): Promise<number> {
  const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
  const lines = (await answer.text()).split("\n").filter((line) => line.startsWith(`${name}{`));
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

function openFilesMax(): number {
  const { stdout } = Bun.spawnSync(["sh", "-c", "ulimit -n"]);
  return Number(stdout.toString()) || 1_024;
}
