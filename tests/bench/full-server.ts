import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Database, openDatabase } from "../../src/db/client.ts";
import { startEmbedded } from "../../src/db/embedded/embedded.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { type RunningExecutable, startExecutable } from "../support/executable.ts";
import { quiet } from "../support/log.ts";
import { cpuSeconds } from "../support/processes.ts";
import type { Taking } from "./full-ingest.ts";
import type { Asked } from "./full-routes.ts";

const READY_LIMIT_MS = 120_000;

/** A server that alerts are sent to, and its database. */
export interface Started extends Asked, Taking {
  readonly server: RunningExecutable;
  readonly database: Database;
  readonly readyMs: number;
  readonly postmasterPid: number;
}

/** Starts an executable (`build`, or that of these sources) with its own PostgreSQL, and makes a way into that. */
export async function start(dir: string, build: string | undefined, cleanups: AsyncDisposableStack): Promise<Started> {
  // One of the last time would be used again.
  await rm(join(dir, "opspilot"), { force: true });
  const server = await startExecutable({ dir, ...(build === undefined ? {} : { build }) });
  cleanups.defer(async () => void (await server.stop()));
  const readyMs = await server.waitReady(READY_LIMIT_MS);
  const dataDir = join(dir, "data");
  const embedded = await startEmbedded({ dataDir, clock: createSystemClock(), log: quiet, role: "command" });
  cleanups.defer(() => embedded.stop());
  const database = openDatabase({ target: embedded.target, log: quiet });
  cleanups.defer(() => database.close());
  const postmasterPid = embedded.postmasterPid() ?? server.pid;
  const pids = [server.pid, postmasterPid];
  const cpu = () => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const readWal = async () => {
    const [row] = await database.sql<{ bytes: number }[]>`select (pg_current_wal_lsn() - '0/0')::float8 as bytes`;
    return row?.bytes ?? 0;
  };
  return { server, database, readyMs, postmasterPid, url: server.url, cpuSeconds: cpu, walBytes: readWal };
}
