import { until } from "../support/until.ts";
import { connectHosts } from "./hosts.ts";
import { type Comparison, type Figures, quantile } from "./report.ts";
import { type Bench, inTurn, ofSubjects, withServer } from "./runs.ts";
import type { Server, SubjectName } from "./subjects.ts";
import { CONNECTIONS } from "./traffic.ts";

/** Longer than a run takes: no heartbeat comes between. */
const HEARTBEAT_MS = 3_600_000;
const WAIT_S = 10;
const ARRIVAL_LIMIT_MS = 5_000;

/** How long a command takes to its host, and back: one at a time, to all hosts by turns. */
export async function commands(bench: Bench): Promise<Comparison[]> {
  // The limit carries no commands.
  const names = bench.options.subjects.filter((name) => name !== "limit");
  const run = (name: SubjectName) =>
    withServer(bench, name, { version: "1.1", agents: CONNECTIONS }, (server) => measureCommands(bench, server));
  return [await inTurn(bench, `commands to ${CONNECTIONS} hosts`, ofSubjects(names, run))];
}

async function measureCommands({ options, signal }: Bench, server: Server): Promise<Figures> {
  let arrived = Promise.withResolvers<number>();
  const hosts = connectHosts({
    url: server.streamUrl,
    tokens: server.tokens,
    heartbeatMs: HEARTBEAT_MS,
    connectsPerSecond: 1_000,
    onFrame(frame, answer) {
      if (frame.command !== "ping") return;
      arrived.resolve(performance.now());
      // Whose command has no id wants no answer.
      if (frame.id) answer({ command_id: frame.id, status: "done", exit_code: 0, output: "pong" });
    },
  });
  try {
    await until(() => hosts.state().connected === server.tokens.length, {
      ms: 30_000,
      what: "all hosts are connected",
    });
    const agents = (await (await fetch(`${server.url}/v1/agents?limit=${CONNECTIONS}`)).json()) as { id: string }[];

    /** Milliseconds to the response and to the host, whichever is later. */
    const send = async (agentId: string, more: object): Promise<number> => {
      arrived = Promise.withResolvers();
      const startMs = performance.now();
      await post(server.url, { agent_id: agentId, command: "ping", params: {}, ...more });
      const respondedMs = performance.now();
      return Math.max(respondedMs, await inTime(arrived.promise)) - startMs;
    };
    // One series goes on where the last one ended: a host whose command was just sent may not have answered yet.
    let next = 0;
    const series = async (seconds: number, more: object): Promise<number[]> => {
      const took: number[] = [];
      const endMs = performance.now() + seconds * 1_000;
      while (performance.now() < endMs) {
        signal.throwIfAborted();
        took.push(await send(agents[next++ % agents.length]?.id ?? "", more));
      }
      return took;
    };
    await series(options.seconds / 4, {});
    const sent = await series(options.seconds / 2, {});
    const answered = server.carriesResults ? await series(options.seconds / 2, { wait_s: WAIT_S }) : [];
    return {
      ...{ sent_p50_ms: quantile(sent, 0.5), sent_p99_ms: quantile(sent, 0.99) },
      ...(answered.length === 0
        ? {}
        : { answered_p50_ms: quantile(answered, 0.5), answered_p99_ms: quantile(answered, 0.99) }),
    };
  } finally {
    hosts.close();
  }
}

async function post(url: string, body: object): Promise<void> {
  const answer = await fetch(`${url}/v1/admin/exec`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`POST /v1/admin/exec: ${answer.status} ${text}`);
}

async function inTime(arrival: Promise<number>): Promise<number> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("a command never arrived")), ARRIVAL_LIMIT_MS);
  try {
    return await Promise.race([arrival, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
