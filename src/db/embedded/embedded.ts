import { accessSync, chmodSync, constants, mkdirSync, realpathSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { createCleanups } from "../../lib/cleanups.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../lib/log.ts";
import type { DatabaseTarget } from "../target.ts";
import { ensureBinaries } from "./binaries.ts";
import { chooseChildUser } from "./child-user.ts";
import { type Claims, createClaims } from "./claims.ts";
import { checkData, createCluster, ensurePassword } from "./cluster.ts";
import { embeddedTarget } from "./find-running.ts";
import { holdDatabase } from "./lock-session.ts";
import { findPostmaster, type Postmaster, startPostmaster, stopPostmaster } from "./postmaster.ts";
import { prepareSocketDirectory, removeSocketDirectory } from "./socket-directory.ts";
import { asStartupError } from "./start-failures.ts";
import { supervise } from "./supervisor.ts";

/** How long a command waits, before it stops the postmaster that it started, for others that use it meanwhile. */
const OTHERS_WAIT_MS = 30_000;
const OTHERS_POLL_MS = 50;

/** A running PostgreSQL of our own, in the data directory. */
export interface EmbeddedPostgres {
  /** The application's role, which is no superuser, over a Unix socket. */
  readonly target: DatabaseTarget;
  /** Undefined while it is down. */
  postmasterPid(): number | undefined;
  /** A server stops the postmaster; a command does so only when it started it, and nobody else uses it. Safe to call twice. */
  stop(): Promise<void>;
}

/** Which directory, and for whom. */
export interface EmbeddedOptions {
  readonly dataDir: string;
  readonly log: Log;
  readonly clock: Clock;
  /** `serve` holds the directory, watches the postmaster and stops it; a `command` passes through. */
  readonly role: "serve" | "command";
}

interface Found {
  readonly postmaster: Postmaster;
  readonly password: string;
  /** Started by us, not found running. */
  readonly isOwn: boolean;
}

/** Starts PostgreSQL, or joins the one that runs; makes what is missing before. Throws a StartupError when that cannot be. */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  try {
    const dataDir = prepareDataDir(options.dataDir);
    const start = options.role === "serve" ? startServing : startPassing;
    return await start({ ...options, dataDir }, createClaims(dataDir, options.clock));
  } catch (error) {
    throw asStartupError(`the data directory ${options.dataDir} cannot be used`, error);
  }
}

/** Directories that are made may be entered by all, whatever the umask: what is secret in them has its own mode. */
function prepareDataDir(given: string): string {
  const path = resolve(given);
  const topmost = mkdirSync(path, { recursive: true });
  for (let made = path; topmost !== undefined && made.length >= topmost.length; made = dirname(made)) {
    chmodSync(made, 0o755);
  }
  accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  return realpathSync(path);
}

async function startServing(options: EmbeddedOptions, claims: Claims): Promise<EmbeddedPostgres> {
  const { log, clock } = options;
  const cleanups = createCleanups(log);
  const serving = claims.serve();
  cleanups.add("the lock file", async () => serving.release());
  try {
    const found = await claims.alone(() => findOrStart(options));
    const supervisor = supervise(found.postmaster, {
      restart: async () => (await claims.alone(() => findOrStart(options))).postmaster,
      logPath: join(options.dataDir, "postgres.log"),
      clock,
      log,
    });
    // One that was found belongs to another server, should that turn out to have the database's lock.
    let isOurs = found.isOwn;
    cleanups.add("the postmaster", async () => {
      await supervisor.stop();
      const last = supervisor.current();
      if (last && isOurs) await claims.alone(() => shutDown(last, options));
    });
    const target = embeddedTarget(found.postmaster.socketDirectory, found.password);
    const session = await holdDatabase(target, clock, log);
    isOurs = true;
    cleanups.add("the database's lock", session.release);
    return { target, postmasterPid: () => supervisor.current()?.pid, stop: cleanups.run };
  } catch (error) {
    await cleanups.run();
    throw error;
  }
}

async function startPassing(options: EmbeddedOptions, claims: Claims): Promise<EmbeddedPostgres> {
  const { found, using } = await claims.alone(async () => ({ found: await findOrStart(options), using: claims.use() }));
  const cleanups = createCleanups(options.log);
  if (found.isOwn) cleanups.add("the postmaster", () => stopOwn(found.postmaster, options, claims));
  cleanups.add("the lock file", async () => using.release());
  return {
    target: embeddedTarget(found.postmaster.socketDirectory, found.password),
    postmasterPid: () => found.postmaster.pid,
    stop: cleanups.run,
  };
}

async function findOrStart({ dataDir, clock, log }: EmbeddedOptions): Promise<Found> {
  const hasData = checkData(dataDir);
  const password = ensurePassword(dataDir, hasData);
  const running = hasData ? await findPostmaster(dataDir, clock) : undefined;
  if (running) {
    log.info({ pid: running.pid }, "PostgreSQL runs already");
    return { postmaster: running, password, isOwn: false };
  }
  const serverUid = process.getuid?.() ?? 0;
  const user = chooseChildUser(dataDir, serverUid, log);
  const cluster = { dataDir, user, home: await ensureBinaries(dataDir, log) };
  if (!hasData) await createCluster(cluster, password, log);
  const socketDirectory = prepareSocketDirectory(dataDir, user, serverUid);
  const postmaster = await startPostmaster(cluster, socketDirectory, clock);
  log.info({ pid: postmaster.pid }, "PostgreSQL is started");
  return { postmaster, password, isOwn: true };
}

/** Leaves it to a server that came since, and waits for other commands; if these take too long, it is theirs to use on. */
async function stopOwn(postmaster: Postmaster, options: EmbeddedOptions, claims: Claims): Promise<void> {
  const { clock, log } = options;
  const endMs = clock.monotonicMs() + OTHERS_WAIT_MS;
  for (;;) {
    const isOver = await claims.alone(async () => {
      if (claims.isServed()) return true;
      if (claims.isUsed()) return false;
      await shutDown(postmaster, options);
      return true;
    });
    if (isOver) return;
    if (clock.monotonicMs() > endMs)
      return log.warn({ pid: postmaster.pid }, "PostgreSQL is left running: it is in use");
    await clock.sleep(OTHERS_POLL_MS);
  }
}

async function shutDown(postmaster: Postmaster, { dataDir, clock }: EmbeddedOptions): Promise<void> {
  await stopPostmaster(postmaster, clock);
  removeSocketDirectory(dataDir, postmaster.socketDirectory);
}
