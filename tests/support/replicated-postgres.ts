import { type ChildProcess, spawn } from "node:child_process";
import { chownSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDatabase } from "../../src/db/client.ts";
import { CHILD_ENVIRONMENT, chooseChildUser, ensureBinaries } from "../../src/db/embedded/cluster.ts";
import { CERTIFICATE, CERTIFICATE_KEY } from "./certificate.ts";
import { freePort } from "./executable.ts";
import { quiet } from "./log.ts";
import { makeDataDir } from "./own-postgres.ts";
import { processTree } from "./processes.ts";
import type { StockLogin } from "./stock-postgres.ts";
import { until } from "./until.ts";

const STANDBY_NAME = "standby";

/** One of two machines. */
export interface PostgresMachine {
  readonly port: number;
  /** Its power fails: nothing of it says goodbye. */
  kill(): Promise<void>;
  /** Stands still, with all its connections. */
  freeze(): void;
  thaw(): void;
  /** Starts it again as it was, with these settings more. Resolves once it answers. */
  start(settings?: Readonly<Record<string, string>>): Promise<void>;
  /** Runs a statement as the superuser. */
  query(statement: string): Promise<Record<string, unknown>[]>;
}

/** A primary that commits nothing before its standby has it, each with TLS on a port of 127.0.0.1. */
export interface ReplicatedPostgres {
  readonly primary: PostgresMachine;
  readonly standby: PostgresMachine;
  /** Names both, the primary first. */
  readonly url: string;
  /** Resolves once the standby takes writes. */
  promote(): Promise<void>;
  stop(): Promise<void>;
}

/** Makes both, which takes a few seconds. With `fsync` they survive more than the end of their processes. */
export async function startReplicatedPostgres(
  login: StockLogin,
  { fsync = "off" }: { fsync?: "on" | "off" } = {},
): Promise<ReplicatedPostgres> {
  const dir = await makeDataDir();
  const home = await ensureBinaries(dir, quiet);
  const user = chooseChildUser(dir, process.getuid?.() ?? 0, quiet);
  if (user) chownSync(dir, user.uid, user.gid);
  const run = (program: string, args: readonly string[]) =>
    spawn(program, args, { ...user, cwd: dir, env: CHILD_ENVIRONMENT, stdio: "ignore" });
  const write = (name: string, text: string) => {
    const path = join(dir, name);
    writeFileSync(path, text, { mode: 0o600 });
    if (user) chownSync(path, user.uid, user.gid);
    return path;
  };
  const tls = {
    ssl: "on",
    ssl_cert_file: write("server.crt", CERTIFICATE),
    ssl_key_file: write("server.key", CERTIFICATE_KEY),
  };
  const password = write("password", login.password);
  await finish(
    run(join(home, "bin/initdb"), ["-D", "a", "-U", login.user, "--pwfile", password, "-A", "scram-sha-256", "-N"]),
  );
  // The two have one beginning: that of a standby is a copy of the primary's files.
  await finish(run("cp", ["-a", "a", "b"]));
  write("b/standby.signal", "");
  const ports = [await freePort(), await freePort()] as const;
  const conninfo = Object.entries({
    host: "127.0.0.1",
    port: ports[0],
    user: login.user,
    password: login.password,
    application_name: STANDBY_NAME,
  });
  const machine = (name: string, port: number, own: Readonly<Record<string, string>>) => {
    const always = {
      listen_addresses: "127.0.0.1",
      unix_socket_directories: "",
      fsync,
      wal_keep_size: "512MB",
      ...tls,
    };
    const postgres = (settings: Readonly<Record<string, string>>) =>
      run(join(home, "bin/postgres"), [
        "-D",
        name,
        ...Object.entries({ ...always, port: String(port), ...own, ...settings }).flatMap(([key, value]) => [
          "-c",
          `${key}=${value}`,
        ]),
      ]);
    return createMachine(port, login, postgres);
  };
  const primary = machine("a", ports[0], { synchronous_standby_names: STANDBY_NAME });
  const standby = machine("b", ports[1], {
    primary_conninfo: conninfo.map(([key, value]) => `${key}=${value}`).join(" "),
    wal_retrieve_retry_interval: "100ms",
  });
  await Promise.all([primary.start(), standby.start()]);
  await primary.query(`create database "${login.database}"`);
  const list = ports.map((port) => `127.0.0.1:${port}`).join(",");
  return {
    primary,
    standby,
    url: `postgres://${login.user}:${login.password}@${list}/${login.database}`,
    promote: async () => void (await standby.query("select pg_promote()")),
    async stop() {
      await Promise.all([primary.kill(), standby.kill()]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function createMachine(
  port: number,
  login: StockLogin,
  spawnPostgres: (settings: Readonly<Record<string, string>>) => ChildProcess,
): PostgresMachine {
  let postmaster: ChildProcess | undefined;
  const signalAll = (signal: NodeJS.Signals) => {
    for (const pid of postmaster?.pid === undefined ? [] : processTree(postmaster.pid)) process.kill(pid, signal);
  };
  const open = () =>
    openDatabase({
      target: { host: "127.0.0.1", port, ...login, database: "postgres", tls: { rejectUnauthorized: false } },
      log: quiet,
    });
  return {
    port,
    freeze: () => signalAll("SIGSTOP"),
    thaw: () => signalAll("SIGCONT"),
    async kill() {
      if (postmaster === undefined) return;
      const ended = finish(postmaster);
      signalAll("SIGKILL");
      await ended;
      postmaster = undefined;
    },
    async start(settings = {}) {
      postmaster = spawnPostgres(settings);
      const database = open();
      await until(() => database.ping(1_000), { ms: 20_000, what: "PostgreSQL takes connections" });
      await database.close();
    },
    async query(statement) {
      const database = open();
      // A promotion waits, and so does a commit for a standby that starts.
      const session = database.createSession({ statementLimitMs: 60_000 });
      try {
        return [...(await session.unsafe(statement))];
      } finally {
        await database.close();
      }
    },
  };
}

async function finish(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null)
    await new Promise((resolve) => child.once("close", resolve));
}
