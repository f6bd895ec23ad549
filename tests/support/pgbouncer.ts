import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./executable.ts";
import type { StockLogin } from "./stock-postgres.ts";
import { until } from "./until.ts";

/** A transaction pooler before a PostgreSQL. */
export interface PgBouncer {
  readonly url: string;
  stop(): Promise<void>;
}

/** `nobody`: as root it does not run. */
const USER = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
/** Fewer than the server's connections, so that these take turns. */
const POOL_SIZE = 5;

/** Where it is installed (Debian's package `pgbouncer`). */
export function findPgBouncer(): string | undefined {
  return Bun.which("pgbouncer", { PATH: "/usr/sbin:/usr/bin:/usr/local/bin" }) ?? undefined;
}

/** Starts one on a port of 127.0.0.1; `settings` are lines of its configuration beside the usual ones. */
export async function startPgBouncer(
  program: string,
  port: number,
  login: StockLogin,
  settings: readonly string[] = [],
): Promise<PgBouncer> {
  const dir = mkdtempSync(join(tmpdir(), "opspilot-pgbouncer-"));
  chmodSync(dir, 0o755);
  const listening = await freePort();
  writeFileSync(join(dir, "users.txt"), `"${login.user}" "${login.password}"\n`);
  const lines = [
    "[databases]",
    `${login.database} = host=127.0.0.1 port=${port}`,
    "[pgbouncer]",
    "listen_addr = 127.0.0.1",
    `listen_port = ${listening}`,
    "unix_socket_dir =",
    "auth_type = scram-sha-256",
    `auth_file = ${join(dir, "users.txt")}`,
    "pool_mode = transaction",
    `default_pool_size = ${POOL_SIZE}`,
    ...settings,
  ];
  writeFileSync(join(dir, "pgbouncer.ini"), `${lines.join("\n")}\n`);
  const child = spawn(program, [join(dir, "pgbouncer.ini")], { ...USER, stdio: "ignore" });
  const ended = new Promise((resolve) => child.once("close", resolve));
  await until(() => takesConnections(listening), { what: "PgBouncer takes connections" });
  return {
    url: `postgres://${login.user}:${login.password}@127.0.0.1:${listening}/${login.database}`,
    async stop() {
      child.kill("SIGTERM");
      await ended;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function takesConnections(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  return new Promise<boolean>((resolve) => {
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
  }).finally(() => socket.destroy());
}
