import { spawn } from "node:child_process";
import { chownSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDatabase } from "../../src/db/client.ts";
import { CHILD_ENVIRONMENT, chooseChildUser, ensureBinaries } from "../../src/db/embedded/cluster.ts";
import { CERTIFICATE, CERTIFICATE_KEY } from "./certificate.ts";
import { freePort } from "./executable.ts";
import { quiet } from "./log.ts";
import { makeDataDir } from "./own-postgres.ts";
import { until } from "./until.ts";

/** A PostgreSQL as others run it: on a TCP port of 127.0.0.1, with a password. */
export interface StockPostgres {
  readonly port: number;
  /** The certificate that it shows where it has TLS, and which is its own authority. */
  readonly certificatePath: string;
  /** The directory of its Unix socket. */
  readonly socketDir: string;
  /** Runs statements as the superuser, one after the other. */
  admin(database: string, ...statements: string[]): Promise<void>;
  stop(): Promise<void>;
}

/** Who may log in, and to which database; as the image of a container takes it. */
export interface StockLogin {
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** How it differs from the image's. */
export interface StockOptions {
  readonly hasTls: boolean;
  /** Another engine than the built-in one: the directory with `bin`. */
  readonly home?: string;
  /** Lines of pg_hba.conf that come before its own. */
  readonly hba?: readonly string[];
}

/** Debian's PostgreSQL, where it is installed. */
export const DEBIAN_HOME = "/usr/lib/postgresql/15";

/** Makes one as the image `postgres` of a container does, which takes about two seconds. */
export async function startStockPostgres(login: StockLogin, options: StockOptions): Promise<StockPostgres> {
  const dir = await makeDataDir();
  const home = options.home ?? (await ensureBinaries(dir, quiet));
  const user = chooseChildUser(dir, process.getuid?.() ?? 0, quiet);
  const write = (name: string, text: string) => {
    const path = join(dir, name);
    writeFileSync(path, text, { mode: 0o600 });
    if (user) chownSync(path, user.uid, user.gid);
    return path;
  };
  const run = (program: string, args: readonly string[]) =>
    spawn(join(home, "bin", program), args, { ...user, cwd: dir, env: CHILD_ENVIRONMENT, stdio: "ignore" });

  if (user) chownSync(dir, user.uid, user.gid);
  const data = join(dir, "data");
  const initdb = run("initdb", [
    "-D",
    data,
    "-U",
    login.user,
    "--pwfile",
    write("password", login.password),
    "-A",
    "scram-sha-256",
    "-N",
  ]);
  const status = await new Promise((resolve) => initdb.once("close", resolve));
  if (status !== 0) throw new Error(`initdb ended with ${status}`);

  if (options.hba) {
    const own = readFileSync(join(data, "pg_hba.conf"), "utf8");
    writeFileSync(join(data, "pg_hba.conf"), [...options.hba, own].join("\n"));
  }
  const port = await freePort();
  const certificatePath = write("server.crt", CERTIFICATE);
  const tls = options.hasTls
    ? { ssl: "on", ssl_cert_file: certificatePath, ssl_key_file: write("server.key", CERTIFICATE_KEY) }
    : { ssl: "off" };
  const settings = { listen_addresses: "127.0.0.1", port, unix_socket_directories: dir, fsync: "off", ...tls };
  const postmaster = run("postgres", [
    "-D",
    data,
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
  ]);
  const ended = new Promise((resolve) => postmaster.once("close", resolve));
  const admin = (database: string, ...statements: string[]) => runAll(port, { ...login, database }, statements);
  await waitFor(port, login);
  await admin("postgres", `create database "${login.database}"`);
  return {
    port,
    socketDir: dir,
    admin,
    certificatePath,
    async stop() {
      postmaster.kill("SIGINT");
      await ended;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function open(port: number, login: StockLogin) {
  return openDatabase({ target: { host: "127.0.0.1", port, ...login, tls: false }, log: quiet });
}

async function waitFor(port: number, login: StockLogin): Promise<void> {
  const database = open(port, { ...login, database: "postgres" });
  await until(() => database.ping(1_000), { ms: 20_000, what: "PostgreSQL takes connections" });
  await database.close();
}

async function runAll(port: number, login: StockLogin, statements: readonly string[]): Promise<void> {
  const database = open(port, login);
  const session = database.createSession();
  for (const statement of statements) await session.unsafe(statement);
  await database.close();
}
