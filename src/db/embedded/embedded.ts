import { accessSync, chmodSync, constants, mkdirSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { createCleanups } from "../../lib/cleanups.ts";
import { backoffMs, type Clock, whenAborted } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { repeat } from "../../lib/loops.ts";
import type { DatabaseTarget } from "../target.ts";
import { type Claims, createClaims, holdDatabase } from "./claims.ts";
import {
  APPLICATION_NAME,
  checkData,
  chooseChildUser,
  clearLeftOvers,
  createCluster,
  ensureBinaries,
  ensurePassword,
  prepareSocketDirectory,
  removeSocketDirectory,
} from "./cluster.ts";
import {
  findPostmaster,
  type Postmaster,
  peekPostmaster,
  rotatePostgresLog,
  startPostmaster,
  stopPostmaster,
} from "./postmaster.ts";
import { POSTGRES_PORT } from "./postmaster-settings.ts";
import { asStartupError } from "./start-failures.ts";

/** How long a command waits, before it stops the postmaster that it started, for others that use it meanwhile. */
const OTHERS_WAIT_MS = 30_000;
const OTHERS_POLL_MS = 50;

/** A running PostgreSQL of our own, in the data directory. */
export interface EmbeddedPostgres {
  /** The application's role, which is no superuser, over a Unix socket. */
  readonly target: DatabaseTarget;
  /** Undefined while it is down. */
  postmasterPid(): number | undefined;
  /** How often it was brought back since it ended by itself. */
  restarts(): number;
  /** A server stops the postmaster; a command does so only when it started it, and nobody else uses it. Safe to call twice. */
  stop(): Promise<void>;
}

/** Which directory, and for whom. */
interface EmbeddedOptions {
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
export function prepareDataDir(given: string): string {
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
  const serving = await claims.serve();
  cleanups.add("the lock file", async () => serving.release());
  try {
    const found = await claims.alone(() => findOrStart(options));
    const restart = async () => (await claims.alone(() => findOrStart(options))).postmaster;
    const supervisor = supervise(found.postmaster, restart, options);
    // One that was found belongs to another server, should that turn out to have the database's lock.
    let isOurs = found.isOwn;
    cleanups.add("the postmaster", async () => {
      await supervisor.stop();
      const last = supervisor.current();
      if (last && isOurs) await claims.alone(() => shutDown(last, options));
    });
    const target = embeddedTarget(found.postmaster.socketDirectory, found.password);
    const release = await holdDatabase(target, clock, log);
    isOurs = true;
    cleanups.add("the database's lock", release);
    return {
      target,
      postmasterPid: () => supervisor.current()?.pid,
      restarts: supervisor.restarts,
      stop: cleanups.run,
    };
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
    restarts: () => 0,
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
  const cluster = { dataDir, data: join(dataDir, "data"), user, home: await ensureBinaries(dataDir, log) };
  if (hasData) await clearLeftOvers(dataDir);
  else await createCluster(cluster, password, log);
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

const RESTART = { minMs: 100, maxMs: 10_000 };

/** One that ran for less died of the same cause as the one before: the waits go on growing. */
const STEADY_MS = 60_000;
const ROTATE_MS = 60_000;

/**
 * Keeps a PostgreSQL running: running → (it ends) → wait, longer each time → `restart`, which starts another one or joins one
 * that someone else started → running; until it is stopped.
 */
function supervise(first: Postmaster, restart: () => Promise<Postmaster>, { dataDir, clock, log }: EmbeddedOptions) {
  const stopping = new AbortController();
  const stopped = whenAborted(stopping.signal);
  let current: Postmaster | undefined = first;
  let attempt = 0;
  let restarts = 0;

  async function watch(postmaster: Postmaster): Promise<void> {
    const startMs = clock.monotonicMs();
    const reason = await Promise.race([postmaster.whenEnded(), stopped]);
    if (stopping.signal.aborted) return;
    current = undefined;
    if (clock.monotonicMs() - startMs > STEADY_MS) attempt = 0;
    log.error({ pid: postmaster.pid, reason }, "PostgreSQL has ended: it is started again");
  }

  async function bringBack(): Promise<void> {
    await clock.sleep(backoffMs(attempt++, RESTART), stopping.signal);
    if (stopping.signal.aborted) return;
    try {
      current = await restart();
      restarts++;
    } catch (error) {
      log.error({ reason: errorMessage(error) }, "PostgreSQL cannot be started");
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) await (current ? watch(current) : bringBack());
  }

  const rotation = repeat(
    clock,
    ROTATE_MS,
    async () => rotatePostgresLog(join(dataDir, "postgres.log")),
    (error) => log.warn({ reason: errorMessage(error) }, "PostgreSQL's log cannot be rotated"),
  );
  const running = run();
  return {
    /** Undefined while none runs. */
    current: () => current,
    restarts: () => restarts,
    /** Watches no longer; the postmaster runs on. Safe to call twice. */
    stop: async () => {
      stopping.abort();
      await Promise.all([running, rotation.stop()]);
    },
  };
}

/**
 * The built-in PostgreSQL of this data directory, if it runs and takes connections. Nothing is started, made, locked or
 * cleared. Throws where this user may not look.
 */
export function findRunning(dataDir: string): DatabaseTarget | undefined {
  const path = resolve(dataDir);
  const running = peekPostmaster(path);
  if (!running) return undefined;
  return embeddedTarget(running.socketDirectory, readFileSync(join(path, "postgres.password"), "utf8").trim());
}

/** The application's role, which is no superuser, over a Unix socket. */
export function embeddedTarget(socketDirectory: string, password: string): DatabaseTarget {
  return {
    host: socketDirectory,
    port: POSTGRES_PORT,
    user: APPLICATION_NAME,
    password,
    database: APPLICATION_NAME,
    tls: false,
  };
}
