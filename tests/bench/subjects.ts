import { join } from "node:path";
import { freePort, startExecutable } from "../support/executable.ts";
import { until } from "../support/until.ts";
import { startCounter } from "./counter.ts";
import type { BenchDatabase } from "./database.ts";
import type { Peers } from "./peers.ts";

/** What can be measured side by side; the first is what the others are compared with. */
export const SUBJECT_NAMES = ["ours", "against", "plain", "tuned", "limit"] as const;
export type SubjectName = (typeof SUBJECT_NAMES)[number];

/** How reports name them. */
export const SUBJECT_TITLES: Readonly<Record<SubjectName, string>> = {
  ours: "OpsPilot",
  against: "other build",
  plain: "plain Go",
  tuned: "tuned Go",
  limit: "limit.ts",
};

/** A server under load, and how to see what it has done. */
export interface Server {
  readonly name: SubjectName;
  /** Of its HTTP interface. */
  readonly url: string;
  readonly streamUrl: string;
  readonly pid: number;
  /** Of its agents, in this order one a line in the file too. */
  readonly tokens: readonly string[];
  readonly tokenFile: string;
  readonly database: BenchDatabase;
  /** Counts the alerts that are durable. */
  readonly countQuery: string;
  /** Tables with a column `raw_error`, where their text lies. */
  readonly textTables: readonly string[];
  /** Counts what was stored of hosts that are lost; where it watches over them. */
  readonly lostQuery?: string;
  /** Whether it carries a host's answer to whoever sent the command. */
  readonly carriesResults: boolean;
  /** Answers with the number of heartbeats handled so far. */
  readonly countUrl: string;
  stop(): Promise<void>;
}

/** What a server is started with. */
export interface StartOptions {
  readonly database: BenchDatabase;
  /** For its files; empty, or one where it ran before on the same database. */
  readonly dir: string;
  readonly version: "1.0" | "1.1";
  /** So many agents can connect. */
  readonly agents: number;
  /** Given where a server comes back at its old address. */
  readonly port?: number;
  /** Of OpsPilot, beside what it has by default. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Of the agents that are there from an earlier start. */
  readonly tokens?: readonly string[];
}
export type StartServer = (options: StartOptions) => Promise<Server>;

/** Requests that make agents, at once. */
const MAKERS = 16;
const START_LIMIT_MS = 30_000;

/** How a subject is started. Throws where it is not there. */
export function starterOf(name: SubjectName, peers: Peers, against: string | undefined): StartServer {
  switch (name) {
    case "ours":
      return opsPilot(name);
    case "against":
      return opsPilot(name, against);
    case "plain":
      return peer(name, [peers.goBackend], {});
    case "tuned":
      return peer(name, [peers.goBackend], { PEER_VARIANT: "cached" });
    case "limit":
      return peer(name, [process.execPath, peers.limit], {
        NODE_PATH: join(import.meta.dir, "../../node_modules"),
        NODE_ENV: "production",
      });
  }
}

/** One of those that make themselves an agent of any token that they see. */
function peer(name: SubjectName, command: string[], env: Record<string, string>): StartServer {
  return async ({ database, dir, version, agents, port, tokens }) => {
    const listening = port ?? (await freePort());
    const url = `http://127.0.0.1:${listening}`;
    const log = Bun.file(join(dir, `${name}.log`));
    const child = Bun.spawn(command, {
      cwd: dir,
      env: { ...env, PORT: String(listening), DATABASE_URL: database.url, PEER_ACK: version === "1.1" ? "1" : "0" },
      stdin: "ignore",
      stdout: log,
      stderr: log,
    });
    const stop = async () => {
      child.kill();
      await child.exited;
    };
    await until(() => answers(`${url}/debug/count`), { ms: START_LIMIT_MS, what: `${name} listens` }).catch(
      async (error) => {
        await stop();
        throw new Error(`${error.message}\n${await log.text()}`);
      },
    );
    const known = tokens ?? Array.from({ length: agents }, (_, at) => `bench-agent-${at}`);
    return {
      ...{ name, url, streamUrl: streamUrlOf(url), pid: child.pid, database, stop },
      ...{ tokens: known, tokenFile: await writeTokens(dir, known) },
      countQuery: `SELECT count(*) FROM ${name === "limit" ? "alerts" : "incidents"}`,
      textTables: ["incidents"],
      carriesResults: false,
      countUrl: `${url}/debug/count`,
    };
  };
}

/** An executable of OpsPilot. */
function opsPilot(name: SubjectName, build?: string): StartServer {
  return async ({ database, dir, agents, port, tokens, settings }) => {
    const env = { ...settings, DATABASE_URL: database.url, ...(port === undefined ? {} : { PORT: String(port) }) };
    const server = await startExecutable({ dir, env, ...(build === undefined ? {} : { build }) });
    await server.waitReady(START_LIMIT_MS);
    const known = tokens ?? (await makeAgents(server.url, agents));
    const counter = startCounter(`${server.url}/metrics`, 'opspilot_frames_total{type="heartbeat",outcome="ok"}');
    return {
      ...{ name, url: server.url, streamUrl: streamUrlOf(server.url), pid: server.pid, database },
      ...{ tokens: known, tokenFile: await writeTokens(dir, known) },
      countQuery: "SELECT count(*) FROM alerts",
      textTables: ["incidents", "alerts"],
      lostQuery: "SELECT count(*) FROM alerts WHERE origin = 'server'",
      carriesResults: true,
      countUrl: counter.url,
      async stop() {
        await counter.stop();
        await server.stop();
      },
    };
  };
}

async function makeAgents(url: string, count: number): Promise<string[]> {
  const tokens: string[] = [];
  let next = 0;
  const make = async () => {
    while (next < count) tokens.push(await makeAgent(url, `bench-${next++}`));
  };
  await Promise.all(Array.from({ length: MAKERS }, make));
  return tokens;
}

async function makeAgent(url: string, hostname: string): Promise<string> {
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

function streamUrlOf(url: string): string {
  return `${url.replace("http", "ws")}/v1/stream`;
}

async function writeTokens(dir: string, tokens: readonly string[]): Promise<string> {
  const file = join(dir, "tokens");
  await Bun.write(file, `${tokens.join("\n")}\n`);
  return file;
}
