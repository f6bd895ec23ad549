import { loadConfig } from "../../src/config.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLog } from "../../src/lib/log.ts";
import { type RunningServer, startServer } from "../../src/server.ts";
import { TestAgent } from "./agent.ts";
import { alertOf } from "./frames.ts";

/** A whole server in this process, on a free port and a database of its own. */
export interface TestServer {
  readonly url: string;
  readonly log: readonly string[];
  connect(headers?: Record<string, string>): Promise<TestAgent>;
  /** The JSON of an answer, whatever its status. */
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into answers without describing them first
  api(path: string, init?: { method?: string; body?: unknown; token?: string }): Promise<{ status: number; body: any }>;
  stop(): Promise<void>;
}

/** Starts a server on the database; `env` adds settings by their names. */
export async function startTestServer(databaseUrl: string, env: Record<string, string> = {}): Promise<TestServer> {
  const settings = { PORT: "0", DATABASE_URL: databaseUrl, OPSPILOT_DATA_DIR: "/nonexistent", ...env };
  const config = loadConfig({}, { env: settings, cwd: "/nonexistent", uid: 0, home: undefined });
  const log: string[] = [];
  const destination = { write: (line: string) => void log.push(line) };
  const server: RunningServer = await startServer({
    config,
    clock: createSystemClock(),
    log: createLog({ level: "debug", readable: false, destination }),
    version: "0.0.0-test",
  });
  return {
    url: server.url,
    log,
    connect: (headers) => TestAgent.connect(`${server.url.replace("http", "ws")}/v1/stream`, headers),
    async api(path, { method = "GET", body, token } = {}) {
      const headers: Record<string, string> = { connection: "close" };
      if (body !== undefined) headers["content-type"] = "application/json";
      if (token !== undefined) headers.authorization = `Bearer ${token}`;
      const answer = await fetch(server.url + path, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      return { status: answer.status, body: text === "" ? undefined : JSON.parse(text) };
    },
    stop: server.stop,
  };
}

/** An envelope of protocol 1.1 with an alert; `ts` is now, so that `at` means something. */
export function alertFrame(id: string, token: string, alert: Record<string, unknown> = {}): Record<string, unknown> {
  const data = JSON.stringify(alertOf(alert));
  return { ver: "1.1", ts: Date.now() / 1000, id, token, type: "alert", data, compression: "none" };
}
