import { dlopen } from "bun:ffi";
import { existsSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Clock } from "../../lib/clock.ts";
import { syncPathNow } from "../../lib/durable.ts";
import type { Log } from "../../lib/log.ts";
import { type Database, openDatabase } from "../client.ts";
import { type Claims, createClaims } from "./claims.ts";
import {
  type Cluster,
  chooseChildUser,
  clearLeftOvers,
  ensureBinaries,
  ensurePassword,
  fillCluster,
  hasData,
  prepareSocketDirectory,
  publish,
  removeSocketDirectory,
  syncFileSystem,
  temporaryData,
} from "./cluster.ts";
import { embeddedTarget, prepareDataDir } from "./embedded.ts";
import { findPostmaster, startPostmaster, stopPostmaster } from "./postmaster.ts";
import { asStartupError, cannotCreate, refused } from "./start-failures.ts";

interface ReplaceOptions {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether a database that is there may be put aside; without it, it is refused. */
  readonly mayReplace: boolean;
}

/**
 * Makes a new built-in database by `fill`, beside the one that is there, and puts it in its place in one step once it is whole and on
 * the disk: however this ends, by a power cut too, there is the old one or the new one. Returns where the old one was put, null
 * if there was none. Nothing else may use the directory meanwhile; throws a StartupError where something does.
 */
export async function replaceEmbedded(
  options: ReplaceOptions,
  fill: (database: Database) => Promise<void>,
): Promise<string | null> {
  try {
    const dataDir = prepareDataDir(options.dataDir);
    const claims = createClaims(dataDir, options.clock);
    const serving = await claims.serve();
    try {
      return await claims.alone(() => replace({ ...options, dataDir }, claims, fill));
    } finally {
      serving.release();
    }
  } catch (error) {
    throw asStartupError(`the data directory ${options.dataDir} cannot be used`, error);
  }
}

async function replace(
  options: ReplaceOptions,
  claims: Claims,
  fill: (database: Database) => Promise<void>,
): Promise<string | null> {
  const { dataDir, log } = options;
  const hadData = hasData(dataDir);
  await refuseUsed(options, claims, hadData);
  await clearLeftOvers(dataDir);
  const serverUid = process.getuid?.() ?? 0;
  const user = chooseChildUser(dataDir, serverUid, log);
  // The new database takes over the password: its file is not exchanged with it.
  const password = ensurePassword(dataDir, false);
  const cluster = { dataDir, data: temporaryData(dataDir), user, home: await ensureBinaries(dataDir, log) };
  try {
    await fillCluster(cluster, cluster.data, password);
    const socketDirectory = prepareSocketDirectory(dataDir, user, serverUid);
    await fillBy(fill, cluster, socketDirectory, password, options);
    syncFileSystem(cluster.data);
    return putInPlace(cluster.data, join(dataDir, "data"), hadData, options.clock);
  } catch (error) {
    rmSync(cluster.data, { recursive: true, force: true });
    throw error;
  }
}

/** Also ends the PostgreSQL that a killed server has left running there. */
async function refuseUsed({ dataDir, mayReplace, clock }: ReplaceOptions, claims: Claims, hadData: boolean) {
  if (!hadData) return;
  if (!mayReplace) throw refused(`${join(dataDir, "data")} holds a database already: nothing was changed`);
  if (claims.isUsed()) throw refused(`another command uses the database in ${dataDir}: nothing was changed`);
  const running = await findPostmaster(dataDir, clock);
  if (running) await stopPostmaster(running, clock);
}

async function fillBy(
  fill: (database: Database) => Promise<void>,
  cluster: Cluster,
  socketDirectory: string,
  password: string,
  { clock, log }: ReplaceOptions,
): Promise<void> {
  const postmaster = await startPostmaster(cluster, socketDirectory, clock);
  try {
    const database = openDatabase({ target: embeddedTarget(socketDirectory, password), log });
    try {
      await fill(database);
    } finally {
      await database.close();
    }
  } finally {
    await stopPostmaster(postmaster, clock);
    removeSocketDirectory(cluster.dataDir, socketDirectory);
  }
}

function putInPlace(made: string, data: string, hadData: boolean, clock: Clock): string | null {
  if (!hadData) {
    publish(made, data);
    return null;
  }
  const stamp = new Date(clock.now()).toISOString().replace(/\D/g, "").slice(0, 14);
  const aside = join(dirname(data), `data.before-${stamp}`);
  if (existsSync(aside)) throw refused(`${aside} is there already: nothing was changed`);
  // Its last name first: were this ended in between, nobody would clear it away under that.
  renameSync(made, aside);
  exchange(aside, data);
  syncPathNow(dirname(data));
  return aside;
}

const AT_FDCWD = -100;
const RENAME_EXCHANGE = 2;

/** Gives each directory the other's name, in one step (renameat2(2), which Node has no call for). */
function exchange(one: string, other: string): void {
  const library = dlopen("libc.so.6", {
    renameat2: { args: ["int", "cstring", "int", "cstring", "u32"], returns: "int" },
  });
  const text = (path: string) => Buffer.from(`${path}\0`);
  const isDone = library.symbols.renameat2(AT_FDCWD, text(one), AT_FDCWD, text(other), RENAME_EXCHANGE) === 0;
  library.close();
  if (isDone) return;
  rmSync(one, { recursive: true, force: true });
  throw cannotCreate(
    `this file system cannot exchange ${other} in one step: nothing was changed; move it away, and restore again`,
  );
}
