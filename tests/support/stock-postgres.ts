import { spawn } from "node:child_process";
import { chownSync, rmSync, writeFileSync } from "node:fs";
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
  stop(): Promise<void>;
}

/** Who may log in, and to which database; as the image of a container takes it. */
export interface StockLogin {
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** Makes one as the image `postgres` of a container does, which takes about two seconds. */
export async function startStockPostgres(login: StockLogin, options: { hasTls: boolean }): Promise<StockPostgres> {
  const dir = await makeDataDir();
  const home = await ensureBinaries(dir, quiet);
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

  const port = await freePort();
  const certificatePath = write("server.crt", CERTIFICATE);
  const tls = options.hasTls
    ? { ssl: "on", ssl_cert_file: certificatePath, ssl_key_file: write("server.key", CERTIFICATE_KEY) }
    : { ssl: "off" };
  const settings = { listen_addresses: "127.0.0.1", port, unix_socket_directories: "", fsync: "off", ...tls };
  const postmaster = run("postgres", [
    "-D",
    data,
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
  ]);
  const ended = new Promise((resolve) => postmaster.once("close", resolve));
  await makeDatabase(port, login);
  return {
    port,
    certificatePath,
    async stop() {
      postmaster.kill("SIGINT");
      await ended;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function makeDatabase(port: number, { user, password, database: name }: StockLogin): Promise<void> {
  const target = { host: "127.0.0.1", port, user, password, database: "postgres", tls: false } as const;
  const database = openDatabase({ target, log: quiet });
  await until(() => database.ping(1_000), { ms: 20_000, what: "PostgreSQL takes connections" });
  await database.sql`create database ${database.sql(name)}`;
  await database.close();
}
