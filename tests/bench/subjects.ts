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
  /** The same at each address where it can be reached. */
  readonly streamUrls: readonly string[];
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
  /** Ends it as a crash does. */
  kill(): Promise<void>;
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
  /** Whether it can be reached at more addresses than one, where it knows how. */
  readonly isWide?: boolean;
  /** Of OpsPilot, beside what it has by default. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Of the agents that are there from an earlier start. */
  readonly tokens?: readonly string[];
}
export type StartServer = (options: StartOptions) => Promise<Server>;

/** As many as a fleet of the bench has processes. */
const WIDE = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
/** Away from its one address OpsPilot serves nobody without a credential. */
const ADMIN_TOKEN = crypto.randomUUID();

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
  return async ({ database, dir, version, agents, port, tokens, isWide = false }) => {
    const listening = port ?? (await freePort());
    const url = `http://127.0.0.1:${listening}`;
    const log = Bun.file(join(dir, `${name}.log`));
    const child = Bun.spawn(command, {
      cwd: dir,
      env: {
        ...env,
        ...(isWide ? { BIND_ADDR: "0.0.0.0" } : {}),
        ...{ PORT: String(listening), DATABASE_URL: database.url, PEER_ACK: version === "1.1" ? "1" : "0" },
      },
      stdin: "ignore",
      stdout: log,
      stderr: log,
    });
    const end = async (signal: NodeJS.Signals) => {
      child.kill(signal);
      await child.exited;
    };
    const stop = () => end("SIGTERM");
    await until(() => answers(`${url}/debug/count`), { ms: START_LIMIT_MS, what: `${name} listens` }).catch(
      async (error) => {
        await stop();
        throw new Error(`${error.message}\n${await log.text()}`);
      },
    );
    const known = tokens ?? Array.from({ length: agents }, (_, at) => `bench-agent-${at}`);
    return {
      ...{ name, url, pid: child.pid, database, stop, kill: () => end("SIGKILL") },
      ...streamUrlsOf(url, isWide && name !== "limit"),
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
  return async ({ database, dir, agents, port, tokens, settings, isWide = false }) => {
    const wide: Record<string, string> = isWide ? { HOST: "0.0.0.0", ACCESS: "token", ADMIN_TOKEN } : {};
    const env = {
      ...settings,
      ...wide,
      DATABASE_URL: database.url,
      ...(port === undefined ? {} : { PORT: String(port) }),
    };
    await using cleanups = new AsyncDisposableStack();
    const server = await startExecutable({ dir, env, ...(build === undefined ? {} : { build }) });
    cleanups.defer(async () => void (await server.stop()));
    await server.waitReady(START_LIMIT_MS);
    const known = tokens ?? (await makeAgents(server.url, agents));
    const tokenFile = await writeTokens(dir, known);
    const counter = startCounter(`${server.url}/metrics`, 'opspilot_frames_total{type="heartbeat",outcome="ok"}');
    cleanups.move();
    return {
      ...{ name, url: server.url, pid: server.pid, database, ...streamUrlsOf(server.url, isWide) },
      ...{ tokens: known, tokenFile },
      countQuery: "SELECT count(*) FROM alerts",
      textTables: ["incidents", "alerts"],
      lostQuery: "SELECT count(*) FROM alerts WHERE origin = 'server'",
      carriesResults: true,
      countUrl: counter.url,
      async stop() {
        await counter.stop();
        await server.stop();
      },
      async kill() {
        await counter.stop();
        await server.stop("SIGKILL");
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
    headers: { "content-type": "application/json", authorization: `Bearer ${ADMIN_TOKEN}` },
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

function streamUrlsOf(url: string, isWide: boolean) {
  const streamUrl = `${url.replace("http", "ws")}/v1/stream`;
  return {
    streamUrl,
    streamUrls: isWide ? WIDE.map((address) => streamUrl.replace("127.0.0.1", address)) : [streamUrl],
  };
}

async function writeTokens(dir: string, tokens: readonly string[]): Promise<string> {
  const file = join(dir, "tokens");
  await Bun.write(file, `${tokens.join("\n")}\n`);
  return file;
}
