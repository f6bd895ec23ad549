import { type ChildProcess, spawn } from "node:child_process";
import {
  accessSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { basename, join } from "node:path";
import { type Clock, endsWithin } from "../../lib/clock.ts";
import { CHILD_ENVIRONMENT, type Cluster } from "./cluster.ts";
import { POSTGRES_PORT, postmasterArguments } from "./postmaster-settings.ts";
import { processArguments, processStartTime, signalProcess } from "./processes.ts";
import { cannotCreate, isDiskFull } from "./start-failures.ts";

const POLL_MS = 10;
const WATCH_MS = 200;

/** Recovery after a crash reads at most max_wal_size; a slow disk may need minutes for it. */
const READY_LIMIT_MS = 300_000;

/** A fast shutdown writes a checkpoint; together they stay below the 60 s that systemd is told to wait. */
const FAST_LIMIT_MS = 8_000;
const IMMEDIATE_LIMIT_MS = 2_000;

/** Linux gives numbers up to 4194304. */
const NEVER_A_PID = 2_147_483_647;

/** After a postmaster was killed its sessions end by themselves, but not at once. */
const LINGERING = /pre-existing shared memory block/;
const LINGERING_LIMIT_MS = 20_000;
const LINGERING_POLL_MS = 100;

/** A PostgreSQL server process that takes connections. */
export interface Postmaster {
  readonly pid: number;
  readonly socketDirectory: string;
  /** Resolves with why, once it has ended. */
  whenEnded(): Promise<string>;
}

/** A postmaster that already runs on the data, started by whomever; it is waited for until it takes connections. */
export async function findPostmaster(dataDir: string, clock: Clock): Promise<Postmaster | undefined> {
  const data = join(dataDir, "data");
  const found = readPidFile(data);
  if (!found) return undefined;
  const startTime = processStartTime(found.pid);
  const program = startTime === undefined ? "other" : identify(found.pid, data);
  if (program === "other") disown(data);
  if (program !== "postmaster") return undefined;
  const isGone = () => processStartTime(found.pid) !== startTime;
  const ready = await waitForReady(data, found.pid, isGone, clock);
  const whenEnded = () => watch(isGone, clock);
  return ready && { pid: found.pid, socketDirectory: ready.socketDirectory, whenEnded };
}

/** As `findPostmaster`, without a wait and without a change to anything. */
export function peekPostmaster(dataDir: string): Pick<Postmaster, "pid" | "socketDirectory"> | undefined {
  const data = realData(dataDir);
  const found = data === undefined ? undefined : readPidFile(data);
  if (!found?.isReady || data === undefined || processStartTime(found.pid) === undefined) return undefined;
  return identify(found.pid, data) === "postmaster" ? found : undefined;
}

/** As the postmaster was told its data: by the real path. */
function realData(dataDir: string): string | undefined {
  const data = join(dataDir, "data");
  if (!existsSync(data)) return undefined;
  accessSync(data, constants.R_OK | constants.X_OK);
  return realpathSync(data);
}

/**
 * PostgreSQL clears the file that a dead postmaster left, unless the process id seems to live: because it was given away, or
 * because nobody has asked how that process ended. It is then told another id, which never lives. The rest of the file
 * stays, for by that it sees whether sessions of the dead one are still at work.
 */
function disown(data: string): void {
  const path = join(data, "postmaster.pid");
  const rest = readFileSync(path, "utf8").replace(/^[^\n]*/, "");
  const file = openSync(path, "r+");
  try {
    writeSync(file, `${NEVER_A_PID}${rest}`, 0);
  } finally {
    closeSync(file);
  }
}

/**
 * What the process is: the postmaster of this data, surely something else, or a PostgreSQL of which that cannot be said. Its
 * working directory would tell more, but root in a container may not look at that of another user's process.
 */
function identify(pid: number, data: string): "postmaster" | "other" | "unknown" {
  const [program = "", ...words] = processArguments(pid);
  if (basename(program) !== "postgres") return "other";
  const directory = words[words.indexOf("-D") + 1];
  if (!words.includes("-D") || !directory?.startsWith("/")) return "unknown";
  return directory === data ? "postmaster" : "other";
}

/** Starts PostgreSQL. Throws a StartupError with the end of its log when it does not come up. */
export async function startPostmaster(cluster: Cluster, socketDirectory: string, clock: Clock): Promise<Postmaster> {
  const logPath = join(cluster.dataDir, "postgres.log");
  const endMs = clock.monotonicMs() + LINGERING_LIMIT_MS;
  for (;;) {
    rotatePostgresLog(logPath);
    forgetSocket(cluster.data, socketDirectory);
    const logBytes = existsSync(logPath) ? statSync(logPath).size : 0;
    const started = await tryStart(cluster, socketDirectory, logPath, clock);
    if (typeof started !== "string") return started;
    const tail = postgresLogTail(logPath, logBytes);
    if (!LINGERING.test(tail) || clock.monotonicMs() > endMs) {
      const reason = isDiskFull(cluster.dataDir, tail) ? "the disk is full" : started;
      throw cannotCreate(`the built-in PostgreSQL does not start (${reason}); ${logPath} ends with:\n${tail}`);
    }
    await clock.sleep(LINGERING_POLL_MS);
  }
}

/** The socket has a file like postmaster.pid of its own, with the same flaw; the directory is for this database alone. */
function forgetSocket(data: string, socketDirectory: string): void {
  const pid = readPidFile(data)?.pid ?? NEVER_A_PID;
  if (pid === NEVER_A_PID) rmSync(join(socketDirectory, `.s.PGSQL.${POSTGRES_PORT}.lock`), { force: true });
}

/** In a session of its own, so that what is sent to the server's terminal does not reach it. Gives why it ended, if it did. */
async function tryStart(
  cluster: Cluster,
  socketDirectory: string,
  logPath: string,
  clock: Clock,
): Promise<Postmaster | string> {
  const { data } = cluster;
  const log = openSync(logPath, "a", 0o600);
  const child = spawn(join(cluster.home, "bin/postgres"), postmasterArguments(data, socketDirectory), {
    ...cluster.user,
    cwd: cluster.dataDir,
    env: CHILD_ENVIRONMENT,
    detached: true,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  child.unref();
  const ended = endOf(child);
  const isGone = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  const ready = await waitForReady(data, child.pid ?? 0, isGone, clock);
  return ready ? { pid: ready.pid, socketDirectory, whenEnded: () => ended } : ended;
}

/** Lets it finish (fast: sessions are ended, everything is written), and insists when it does not. */
export async function stopPostmaster(postmaster: Postmaster, clock: Clock): Promise<void> {
  for (const [signal, limitMs] of [
    ["SIGINT", FAST_LIMIT_MS],
    ["SIGQUIT", IMMEDIATE_LIMIT_MS],
  ] as const) {
    if (!signalProcess(postmaster.pid, signal)) return;
    await endsWithin(clock, limitMs, postmaster.whenEnded());
    if (processStartTime(postmaster.pid) === undefined) return;
  }
}

/** What stands in postmaster.pid. */
type PidFile = NonNullable<ReturnType<typeof readPidFile>>;

function readPidFile(data: string) {
  const path = join(data, "postmaster.pid");
  if (!existsSync(path)) return undefined;
  const lines = readFileSync(path, "utf8").split("\n");
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return { pid, socketDirectory: lines[4]?.trim() ?? "", isReady: lines[7]?.trim() === "ready" };
}

/** Undefined when it ended before. */
async function waitForReady(
  data: string,
  pid: number,
  isGone: () => boolean,
  clock: Clock,
): Promise<PidFile | undefined> {
  const endMs = clock.monotonicMs() + READY_LIMIT_MS;
  while (!isGone()) {
    const file = readPidFile(data);
    if (file?.pid === pid && file.isReady) return file;
    if (clock.monotonicMs() > endMs) throw cannotCreate(`PostgreSQL (process ${pid}) is not ready after 5 minutes`);
    await clock.sleep(POLL_MS);
  }
  return undefined;
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("exit", (status, signal) => resolve(signal ? `ended by ${signal}` : `exit status ${status}`));
  });
}

/** For a process that is no child of ours. */
async function watch(isGone: () => boolean, clock: Clock): Promise<string> {
  while (!isGone()) await clock.sleep(WATCH_MS);
  return "it is gone";
}

/** What PostgreSQL writes to standard error goes to this file; with one older, twice that much is kept. */
const LOG_BYTES_MAX = 10 * 1024 * 1024;
const TAIL_BYTES = 4096;
const TAIL_LINES = 5;

/** Moves a log that has grown big to `<path>.1`. Its writer, who appends, keeps the file open: so it is copied and cut. */
export function rotatePostgresLog(path: string): void {
  if (!existsSync(path) || statSync(path).size <= LOG_BYTES_MAX) return;
  copyFileSync(path, `${path}.1`);
  truncateSync(path, 0);
}

/** The last lines, of those that came after the first `fromBytes` bytes. */
function postgresLogTail(path: string, fromBytes: number): string {
  if (!existsSync(path)) return "";
  const sizeBytes = statSync(path).size;
  const from = Math.max(fromBytes > sizeBytes ? 0 : fromBytes, sizeBytes - TAIL_BYTES);
  const buffer = Buffer.alloc(sizeBytes - from);
  const file = openSync(path, "r");
  try {
    readSync(file, buffer, 0, buffer.length, from);
  } finally {
    closeSync(file);
  }
  return buffer.toString("utf8").trim().split("\n").slice(-TAIL_LINES).join("\n");
}
