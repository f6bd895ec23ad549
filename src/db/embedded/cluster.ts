import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../../lib/log.ts";
import { type ChildUser, makePrivateDirectory } from "./child-user.ts";
import { publish, removeContent, syncFileSystem, writePrivateFile } from "./durable.ts";
import { POSTGRES_MAJOR } from "./pack.ts";
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
  /** The directory with `bin/`. */
  readonly home: string;
  readonly user: ChildUser | undefined;
}

/** Refuses data that this PostgreSQL cannot open. Returns whether there is any. */
export function checkData(dataDir: string): boolean {
  const data = join(dataDir, "data");
  if (!existsSync(data) || readdirSync(data).length === 0) return false;
  const versionFile = join(data, "PG_VERSION");
  if (!existsSync(versionFile)) throw refused(`${data} is no PostgreSQL data directory: nothing in it was changed`);
  const major = readFileSync(versionFile, "utf8").trim();
  if (major === POSTGRES_MAJOR) return true;
  throw refused(
    `${data} was made by PostgreSQL ${major}, the built-in one is ${POSTGRES_MAJOR}: nothing was changed; ` +
      `dump it with PostgreSQL ${major} and restore it, or set DATABASE_URL`,
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
  const temporary = join(cluster.dataDir, `${TEMPORARY_PREFIX}${process.pid}`);
  try {
    await fillCluster(cluster, temporary, password);
    syncFileSystem(temporary);
    publish(temporary, join(cluster.dataDir, "data"));
    // A tool whose server was killed while it was being started shows only by now.
    await clearLeftOvers(cluster.dataDir);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
}

/**
 * A server that was killed while it made the database leaves a directory, and perhaps the tool that fills it, which would
 * go on. The locks that are held here say that nobody else is at it.
 */
async function clearLeftOvers(dataDir: string): Promise<void> {
  const prefix = join(dataDir, TEMPORARY_PREFIX);
  for (let poll = 0; poll < LEFT_OVER_POLLS_MAX; poll++) {
    const left = processesWithArgument(prefix);
    if (left.length === 0) break;
    for (const pid of left) signalProcess(pid, "SIGKILL");
    await Bun.sleep(LEFT_OVER_POLL_MS);
  }
  removeContent(dataDir, TEMPORARY_PREFIX);
}

async function fillCluster(cluster: Cluster, data: string, password: string): Promise<void> {
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
