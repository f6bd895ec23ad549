import { dlopen } from "bun:ffi";
import { spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { syncPathNow } from "../../lib/durable.ts";
import { errorCode } from "../../lib/errors.ts";
import { sha256Hex } from "../../lib/hash.ts";
import type { Log } from "../../lib/log.ts";
import { findPack, POSTGRES_MAJOR, POSTGRES_VERSION } from "./pack.ts";
import { POSTGRES_PORT, SOCKET_DIRECTORY_BYTES_MAX } from "./postmaster-settings.ts";
import { processesWithArgument, signalProcess } from "./processes.ts";
import { asStartupError, cannotCreate, isDiskFull, refused } from "./start-failures.ts";

/** The application's role, and its database. */
export const APPLICATION_NAME = "opspilot";

const PASSWORD_BYTES = 24;
const TEMPORARY_PREFIX = ".data-new-";
const LEFT_OVER_POLL_MS = 20;
const LEFT_OVER_POLLS_MAX = 250;
const OUTPUT_LINES = 5;

/** Nothing of the server's environment reaches PostgreSQL. */
export const CHILD_ENVIRONMENT = { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };

/** Where the parts are, and whom they belong to. */
export interface Cluster {
  readonly dataDir: string;
  /** What PostgreSQL calls its data directory: `data` in ours, or one that is to become it. */
  readonly data: string;
  /** The directory with `bin/`. */
  readonly home: string;
  readonly user: ChildUser | undefined;
}

/** Whether there is a database, of whatever version. */
export function hasData(dataDir: string): boolean {
  const data = join(dataDir, "data");
  return existsSync(data) && readdirSync(data).length > 0;
}

/** Refuses data that this PostgreSQL cannot open. Returns whether there is any. */
export function checkData(dataDir: string): boolean {
  if (!hasData(dataDir)) return false;
  const data = join(dataDir, "data");
  const versionFile = join(data, "PG_VERSION");
  if (!existsSync(versionFile)) throw refused(`${data} is no PostgreSQL data directory: nothing in it was changed`);
  const major = readFileSync(versionFile, "utf8").trim();
  if (major === POSTGRES_MAJOR) return true;
  throw refused(
    `${data} was made by PostgreSQL ${major}, the built-in one is ${POSTGRES_MAJOR}: nothing was changed; with the ` +
      "OpsPilot that made it run `opspilot backup FILE`, then with this one `opspilot restore FILE --replace`",
  );
}

/** The application role's password, from a file that only the server's user may read; made when there is none. */
export function ensurePassword(dataDir: string, hasData: boolean): string {
  const path = join(dataDir, "postgres.password");
  if (existsSync(path)) return readFileSync(path, "utf8").trim();
  if (hasData) throw refused(`${path} is missing: put it back from a copy, the database cannot be opened without it`);
  const password = randomPassword();
  writePrivateFile(path, `${password}\n`);
  return password;
}

/**
 * Makes the data directory with the role and the database, under a temporary name until all is there. Nobody can connect
 * meanwhile: no postmaster runs, the roles are made in single-user mode.
 */
export async function createCluster(cluster: Cluster, password: string, log: Log): Promise<void> {
  log.info({ data_dir: cluster.dataDir }, "creating the database");
  await clearLeftOvers(cluster.dataDir);
  const temporary = temporaryData(cluster.dataDir);
  try {
    await fillCluster(cluster, temporary, password);
    syncFileSystem(temporary);
    publish(temporary, cluster.data);
    // A tool whose server was killed while it was being started shows only by now.
    await clearLeftOvers(cluster.dataDir);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
}

/** Where a database is made that nobody may see before it is whole. */
export function temporaryData(dataDir: string): string {
  return join(dataDir, `${TEMPORARY_PREFIX}${process.pid}`);
}

/**
 * Who was killed while it made the database leaves a directory, and perhaps the program that fills it, which would go on. The
 * locks that are held here say that nobody else is at it.
 */
export async function clearLeftOvers(dataDir: string): Promise<void> {
  const prefix = join(dataDir, TEMPORARY_PREFIX);
  for (let poll = 0; poll < LEFT_OVER_POLLS_MAX; poll++) {
    const left = processesWithArgument(prefix);
    for (const pid of left) signalProcess(pid, "SIGKILL");
    if (left.length === 0) removeContent(dataDir, TEMPORARY_PREFIX);
    // What a killed postmaster had started ends by itself, and may write until then.
    if (left.length === 0 && !readdirSync(dataDir).some((name) => name.startsWith(TEMPORARY_PREFIX))) return;
    await Bun.sleep(LEFT_OVER_POLL_MS);
  }
}

/** Makes an empty database in `data`; not flushed yet. */
export async function fillCluster(cluster: Cluster, data: string, password: string): Promise<void> {
  makePrivateDirectory(data, cluster.user);
  // Nothing is flushed yet (-N, -F): that is done for the whole tree afterwards.
  await runTool(cluster, "initdb", ["-D", data, "-U", "postgres", "-E", "UTF8", "--no-locale", "-A", "trust", "-N"]);
  // Written over, not anew: the file stays the user's.
  writeFileSync(join(data, "pg_hba.conf"), "local all all scram-sha-256\n");
  await runTool(cluster, "postgres", ["--single", "-F", "-D", data, "postgres"], bootstrapSql(password));
}

/** One statement a line, as single-user mode takes them. The superuser is for emergencies: nobody knows its password. */
function bootstrapSql(password: string): string {
  return [
    `alter role postgres password '${randomPassword()}'`,
    `create role ${APPLICATION_NAME} login password '${password}'`,
    `create database ${APPLICATION_NAME} owner ${APPLICATION_NAME}`,
    "",
  ].join("\n");
}

function randomPassword(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(PASSWORD_BYTES))).toString("base64url");
}

async function runTool(cluster: Cluster, tool: string, args: string[], input = ""): Promise<void> {
  const child = spawn(join(cluster.home, "bin", tool), args, {
    ...cluster.user,
    cwd: cluster.dataDir,
    env: CHILD_ENVIRONMENT,
    detached: true,
  });
  let output = "";
  const collect = (chunk: Buffer) => {
    output += chunk;
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  child.stdin.on("error", collect);
  child.stdin.end(input);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on("error", (error) => reject(asStartupError(`${child.spawnfile} cannot be run`, error)));
    child.on("close", resolve);
  });
  // Single-user mode goes on after a statement that failed.
  if (status === 0 && !/^\S* ?.*\b(ERROR|FATAL|PANIC): /m.test(output)) return;
  const lines = output.trim().split("\n").slice(-OUTPUT_LINES).join("\n");
  const reason = isDiskFull(cluster.dataDir, output) ? "the disk is full" : lines;
  throw cannotCreate(`the built-in PostgreSQL cannot be made in ${cluster.dataDir} (${tool}): ${reason}`);
}

/**
 * Unpacks PostgreSQL into the data directory unless it is there. Returns the directory that has `bin/`. Only for while no
 * postmaster runs: other releases are removed.
 */
export async function ensureBinaries(dataDir: string, log: Log): Promise<string> {
  const parent = join(dataDir, "postgres");
  const home = join(parent, POSTGRES_VERSION);
  if (existsSync(home)) return home;
  log.info({ version: POSTGRES_VERSION }, "unpacking PostgreSQL");
  mkdirSync(parent, { recursive: true });
  chmodSync(parent, 0o755);
  const pack = await findPack();
  removeContent(parent);
  const temporary = join(parent, `.new-${process.pid}`);
  try {
    await new Bun.Archive(Bun.zstdDecompressSync(pack)).extract(temporary);
    settle(temporary);
    syncFileSystem(temporary);
    publish(temporary, home);
  } catch (error) {
    // The archive's own error does not say it.
    const isFull = isDiskFull(dataDir);
    rmSync(temporary, { recursive: true, force: true });
    throw isFull ? cannotCreate(`PostgreSQL cannot be unpacked to ${parent}: the disk is full`, error) : error;
  }
  return home;
}

/** A program, or a library. */
const PROGRAM = /\/bin\/[^/]+$|\.so[.\d]*$/;

/** Readable for the user that PostgreSQL runs as, whatever the umask. */
function settle(directory: string): void {
  chmodSync(directory, 0o755);
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) settle(path);
    if (entry.isFile()) chmodSync(path, PROGRAM.test(path) ? 0o755 : 0o644);
  }
}

/**
 * Makes a whole tree survive a power cut, by one syncfs(2) of its file system, which Node has no call for: a thousand small
 * files flushed one by one take seconds on the disks of usual virtual machines.
 */
export function syncFileSystem(path: string): void {
  const library = dlopen("libc.so.6", { syncfs: { args: ["int"], returns: "int" } });
  const file = openSync(path, "r");
  try {
    if (library.symbols.syncfs(file) !== 0) throw new Error(`${path} cannot be written to its disk`);
  } finally {
    closeSync(file);
    library.close();
  }
}

/** Gives a finished file or directory its name: whoever looks finds all of it or nothing. */
export function publish(temporary: string, path: string): void {
  renameSync(temporary, path);
  syncPathNow(dirname(path));
}

/** A small file that only its owner may read, whole or not at all. */
function writePrivateFile(path: string, text: string): void {
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true });
  writeFileSync(temporary, text, { mode: 0o600, flag: "wx" });
  syncPathNow(temporary);
  publish(temporary, path);
}

/** Removes what is in the directory, or of that what begins with `prefix`. */
function removeContent(directory: string, prefix = ""): void {
  for (const name of readdirSync(directory)) {
    if (name.startsWith(prefix)) rmSync(join(directory, name), { recursive: true, force: true });
  }
}

/** Whom PostgreSQL runs as when the server is root. */
interface ChildUser {
  readonly uid: number;
  readonly gid: number;
}

const PREFERRED_NAME = "opspilot";
const FALLBACK_NAME = "nobody";

/**
 * PostgreSQL refuses to run as root: it then runs as the owner of the data that is there, else as user `opspilot`, else as
 * the data directory's owner, else as `nobody`. Undefined means: as the server itself, which is not root.
 */
export function chooseChildUser(dataDir: string, serverUid: number, log: Log): ChildUser | undefined {
  if (serverUid !== 0) return undefined;
  const user =
    ownerOf(join(dataDir, "data")) ?? findUser(PREFERRED_NAME) ?? ownerOf(dataDir) ?? useFallback(dataDir, log);
  refuseUnreachable(dataDir, user);
  return user;
}

/** A directory for PostgreSQL alone. */
function makePrivateDirectory(path: string, user: ChildUser | undefined): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
  if (user) chownSync(path, user.uid, user.gid);
}

function ownerOf(path: string): ChildUser | undefined {
  if (!existsSync(path)) return undefined;
  const { uid, gid } = statSync(path);
  return uid === 0 ? undefined : { uid, gid };
}

function useFallback(dataDir: string, log: Log): ChildUser {
  const nobody = findUser(FALLBACK_NAME);
  if (!nobody) throw cannotCreate("PostgreSQL refuses to run as root: create a user named opspilot for it");
  log.warn({ dataDir }, "PostgreSQL runs as nobody, which other services may use too: create a user named opspilot");
  return nobody;
}

/** From the local user list; the network's is not asked. */
function findUser(name: string): ChildUser | undefined {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((one) => one.startsWith(`${name}:`));
  const [uid, gid] = line?.split(":").slice(2, 4).map(Number) ?? [];
  return uid && gid !== undefined ? { uid, gid } : undefined;
}

/** The user must get from / down to the data directory; what is in it belongs to it or is readable for all. */
function refuseUnreachable(dataDir: string, user: ChildUser): void {
  for (let path = dataDir; ; path = dirname(path)) {
    const stats = statSync(path);
    if (!mayEnter(stats, user)) {
      const mode = (stats.mode & 0o777).toString(8);
      throw cannotCreate(
        `PostgreSQL runs as user ${user.uid}, which may not enter ${path} (mode ${mode}): ` +
          `choose another OPSPILOT_DATA_DIR than ${dataDir}, or allow it by chmod o+x ${path}`,
      );
    }
    if (path === dirname(path)) return;
  }
}

function mayEnter({ uid, gid, mode }: Stats, user: ChildUser): boolean {
  if (uid === user.uid) return (mode & 0o100) !== 0;
  return (mode & (gid === user.gid ? 0o010 : 0o001)) !== 0;
}

const HASH_CHARACTERS = 16;

/**
 * Where the socket lies: `run/` in the data directory, or, where that path would be too long for a socket, a directory
 * under /run (for root) or /tmp, always the same for the same data directory.
 */
export function prepareSocketDirectory(dataDir: string, user: ChildUser | undefined, serverUid: number): string {
  const usual = join(dataDir, "run");
  if (Buffer.byteLength(join(usual, `.s.PGSQL.${POSTGRES_PORT}`)) <= SOCKET_DIRECTORY_BYTES_MAX) {
    makePrivateDirectory(usual, user);
    return usual;
  }
  const short = join(serverUid === 0 ? "/run" : "/tmp", `opspilot-${sha256Hex(dataDir).slice(0, HASH_CHARACTERS)}`);
  makeShortDirectory(short, user, serverUid);
  return short;
}

/** Leaves nothing behind under /run or /tmp, once no postmaster runs. */
export function removeSocketDirectory(dataDir: string, directory: string): void {
  if (directory !== join(dataDir, "run") && existsSync(directory)) rmdirSync(directory);
}

/** Everybody can make names in /tmp: what is there already must be a directory of ours. */
function makeShortDirectory(path: string, user: ChildUser | undefined, serverUid: number): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
  }
  const stats = lstatSync(path);
  const isOurs = stats.uid === serverUid || stats.uid === user?.uid;
  if (!stats.isDirectory() || !isOurs)
    throw cannotCreate(`${path}, the database's socket directory, is someone else's`);
  makePrivateDirectory(path, user);
}
