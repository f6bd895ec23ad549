import { chmod, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EmbeddedPostgres, startEmbedded } from "../../src/db/embedded/embedded.ts";
import type { DatabaseTarget } from "../../src/db/target.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { quiet } from "./log.ts";
import { processTree } from "./processes.ts";
import { until } from "./until.ts";

const PREFIX = "opspilot-test-";

/** A built-in PostgreSQL for faults: started as the server starts it, in a folder of its own. */
export interface OwnPostgres {
  readonly dataDir: string;
  readonly target: DatabaseTarget;
  /** Undefined while it is down. */
  postmasterPid(): number | undefined;
  /** Stops every process of it, so that connections stay open and nothing answers. */
  freeze(): void;
  thaw(): void;
  /** Kills the postmaster; it is started again by its supervisor. Resolves when another one takes connections. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts one, which takes about a second. */
export async function createOwnPostgres(): Promise<OwnPostgres> {
  const dataDir = await makeDataDir();
  const embedded = await startEmbedded({ dataDir, clock: createSystemClock(), log: quiet, role: "serve" });
  const signalAll = (signal: NodeJS.Signals) => {
    const pid = embedded.postmasterPid();
    if (pid === undefined) throw new Error("PostgreSQL does not run");
    for (const one of processTree(pid)) process.kill(one, signal);
  };
  return {
    dataDir,
    target: embedded.target,
    postmasterPid: embedded.postmasterPid,
    freeze: () => signalAll("SIGSTOP"),
    thaw: () => signalAll("SIGCONT"),
    async kill() {
      const killed = embedded.postmasterPid();
      if (killed !== undefined) process.kill(killed, "SIGKILL");
      const isAnother = () => ![undefined, killed].includes(embedded.postmasterPid());
      await until(isAnother, { ms: 15_000, what: "PostgreSQL is started again" });
    },
    async stop() {
      await embedded.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** An empty folder outside the repository, which the user that PostgreSQL runs as may enter. */
export async function makeDataDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
  await chmod(dir, 0o755);
  return dir;
}

/** Lets the superuser in without a password (nobody knows it), and gives what connects as it. */
export async function allowSuperuser(dataDir: string, embedded: EmbeddedPostgres): Promise<DatabaseTarget> {
  const rules = "local all postgres trust\nlocal all all scram-sha-256\n";
  await writeFile(join(dataDir, "data/pg_hba.conf"), rules);
  const pid = embedded.postmasterPid();
  if (pid !== undefined) process.kill(pid, "SIGHUP");
  return { ...embedded.target, user: "postgres", password: "none", database: "postgres" };
}

/** Ends and removes what a run that was killed has left behind. */
export async function clearLeftOvers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || (await isRunning(Number(pid)))) continue;
    const dir = join(tmpdir(), name);
    await endPostmaster(join(dir, "data"));
    await rm(dir, { recursive: true, force: true });
  }
}

async function endPostmaster(data: string): Promise<void> {
  const text = await readFile(join(data, "postmaster.pid"), "utf8").catch(() => "");
  const pid = Number.parseInt(text, 10);
  if (!(pid > 0) || (await readlink(`/proc/${pid}/cwd`).catch(() => "")) !== data) return;
  process.kill(pid, "SIGQUIT");
  await until(async () => !(await isRunning(pid)), { what: "a left-over PostgreSQL ends" });
}

async function isRunning(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return text !== "" && !/\) Z /.test(text);
}
