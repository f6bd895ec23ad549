import { join } from "node:path";
import { freePort, startExecutable } from "../support/executable.ts";
import { until } from "../support/until.ts";
import { startCounter } from "./counter.ts";
import type { BenchDatabase } from "./database.ts";
import { CONNECTIONS } from "./load.ts";
import type { Peers } from "./peers.ts";

/** A server under load, and how to see what it has done. */
export interface Server {
  readonly name: string;
  readonly streamUrl: string;
  readonly pid: number;
  readonly tokenFile: string;
  readonly databaseUrl: string;
  readonly databasePid: number;
  /** Counts the alerts that are durable. */
  readonly countQuery: string;
  /** Answers with the number of heartbeats handled so far. */
  readonly countUrl: string;
  stop(): Promise<void>;
}

/** Starts a server on a database of its own; `dir` is an empty folder for its files. */
export type StartServer = (database: BenchDatabase, dir: string, version: "1.0" | "1.1") => Promise<Server>;

/** The same specification written the plain Go way. */
export function goBackend(peers: Peers): StartServer {
  return async (database, dir, version) => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const tokenFile = await writeTokens(
      dir,
      Array.from({ length: CONNECTIONS }, (_, at) => `bench-agent-${at}`),
    );
    const child = Bun.spawn([peers.goBackend], {
      env: { PORT: String(port), DATABASE_URL: database.url, PEER_ACK: version === "1.1" ? "1" : "0" },
      stdin: "ignore",
      stdout: Bun.file(join(dir, "go-backend.log")),
      stderr: Bun.file(join(dir, "go-backend.log")),
    });
    await until(() => answers(`${url}/debug/count`), { ms: 10_000, what: "the Go backend listens" });
    return {
      name: "plain Go",
      streamUrl: `ws://127.0.0.1:${port}/v1/stream`,
      pid: child.pid,
      tokenFile,
      databaseUrl: database.url,
      databasePid: database.postmasterPid,
      countQuery: "SELECT count(*) FROM incidents",
      countUrl: `${url}/debug/count`,
      async stop() {
        child.kill();
        await child.exited;
      },
    };
  };
}

/** OpsPilot: the executable, with the settings that it has by default. */
export const opspilot: StartServer = async (database, dir) => {
  const server = await startExecutable({ dir, env: { DATABASE_URL: database.url } });
  await server.waitReady();
  const tokens: string[] = [];
  for (let at = 0; at < CONNECTIONS; at++) tokens.push(await createAgent(server.url, `bench-${at}`));
  const counter = startCounter(`${server.url}/metrics`, 'opspilot_frames_total{type="heartbeat",outcome="ok"}');
  return {
    name: "OpsPilot",
    streamUrl: `${server.url.replace("http", "ws")}/v1/stream`,
    pid: server.pid,
    tokenFile: await writeTokens(dir, tokens),
    databaseUrl: database.url,
    databasePid: database.postmasterPid,
    countQuery: "SELECT count(*) FROM alerts",
    countUrl: counter.url,
    async stop() {
      await counter.stop();
      await server.stop();
    },
  };
};

async function createAgent(url: string, hostname: string): Promise<string> {
  const answer = await fetch(`${url}/v1/agents`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ hostname }),
  });
  if (answer.status !== 201) throw new Error(`POST /v1/agents: ${answer.status} ${await answer.text()}`);
  const { token } = (await answer.json()) as { token: string };
  return token;
}

async function answers(url: string): Promise<boolean> {
  const answer = await fetch(url).catch(() => null);
  return answer?.ok ?? false;
}

async function writeTokens(dir: string, tokens: readonly string[]): Promise<string> {
  const file = join(dir, "tokens");
  await Bun.write(file, `${tokens.join("\n")}\n`);
  return file;
}
