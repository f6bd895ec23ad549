import { join } from "node:path";
import { until } from "./until.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");
/** A busy machine reads the sources slowly. */
const READY_MS = 60_000;

/** A server in a process of its own, which a test can kill. */
export interface ServedProcess {
  readonly url: string;
  readonly port: number;
  /** Resolves once it is gone, or, with SIGSTOP, once it stands still. */
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** Starts a server of these sources on the database; without a port on one that is free. */
export async function serveInProcess(
  databaseUrl: string,
  port = 0,
  env: Record<string, string> = {},
): Promise<ServedProcess> {
  const chosen = port === 0 ? freePort() : port;
  const child = Bun.spawn([process.execPath, MAIN, "serve"], {
    cwd: "/",
    env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent", PORT: String(chosen), DATABASE_URL: databaseUrl, ...env },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  const url = `http://127.0.0.1:${chosen}`;
  await until(
    async () => {
      const answer = await fetch(`${url}/readyz`, { keepalive: false }).catch(() => null);
      return answer?.status === 200;
    },
    { ms: READY_MS, what: "the server is ready" },
  );
  return {
    url,
    port: chosen,
    async kill(signal) {
      child.kill(signal);
      if (signal !== "SIGSTOP") await child.exited;
    },
  };
}

function freePort(): number {
  const probe = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const { port = 0 } = probe;
  void probe.stop(true);
  return port;
}
