import { chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { ensureBinaries } from "../../src/db/embedded/cluster.ts";
import { postmasterArguments } from "../../src/db/embedded/postmaster-settings.ts";
import { createLog } from "../../src/lib/log.ts";
import { freePort } from "../support/executable.ts";
import { until } from "../support/until.ts";

/** A database of one server under load. */
export interface BenchDatabase {
  readonly url: string;
  readonly postmasterPid: number;
  /** Bytes of `raw_error` in these tables: of the text, and of what is stored of it. */
  textBytes(tables: readonly string[]): Promise<{ textBytes: number; storedBytes: number }>;
  /** The number that a query answers with. */
  count(query: string): Promise<number>;
  drop(): Promise<void>;
}

/** The one PostgreSQL that all servers are measured on. */
export interface BenchPostgres {
  readonly version: string;
  create(): Promise<BenchDatabase>;
  /** Writes out what the last run left in memory, so that the next one does not pay for it. */
  settle(): Promise<void>;
  /** Bytes of its log so far. */
  walBytes(): Promise<number>;
  stop(): Promise<void>;
}

/** PostgreSQL refuses to run as root. */
const NOBODY = 65534;

/**
 * Starts the built-in PostgreSQL in an empty folder, with the settings that OpsPilot gives it (fsync is on), on a port of
 * 127.0.0.1: a Unix socket would be faster, but the drivers do not agree on how to name one.
 */
export async function startBenchPostgres(dir: string): Promise<BenchPostgres> {
  await mkdir(dir, { recursive: true });
  const bin = join(await ensureBinaries(dir, createLog({ level: "silent", readable: false })), "bin");
  const user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  const data = join(dir, "data");
  const passwordFile = join(dir, "password");
  const password = crypto.randomUUID();
  await Bun.write(passwordFile, password);
  if (user.uid !== undefined) for (const path of [dir, passwordFile]) await chown(path, user.uid, user.gid);

  const authentication = ["--auth=scram-sha-256", `--pwfile=${passwordFile}`, "--username=bench"];
  const initdb = Bun.spawn([join(bin, "initdb"), "-D", data, "-E", "UTF8", "--no-locale", ...authentication], {
    ...user,
    stdout: "ignore",
    stderr: 2,
  });
  if ((await initdb.exited) !== 0) throw new Error("initdb failed");

  const port = await freePort();
  const reachable = [
    ...(process.env.STAT ? ["-c", "shared_preload_libraries=pg_stat_statements"] : []),
    "-c",
    "listen_addresses=127.0.0.1",
    "-c",
    `port=${port}`,
  ];
  const postmaster = Bun.spawn(
    [join(bin, "postgres"), ...postmasterArguments(data, dir), ...reachable],
    // In a session of its own: Ctrl-C stops the servers first, and then this.
    { ...user, detached: true, stdin: "ignore", stdout: "ignore", stderr: Bun.file(join(dir, "log")) },
  );
  const urlOf = (database: string) => `postgres://bench:${password}@127.0.0.1:${port}/${database}?sslmode=disable`;
  const sql = postgres(urlOf("postgres"), { max: 1, onnotice: () => undefined });
  const version = await until(() => versionOf(sql), { ms: 20_000, what: "PostgreSQL answers" }).catch((error) => {
    postmaster.kill("SIGKILL");
    throw error;
  });

  let created = 0;
  return {
    version,
    async create() {
      const name = `bench_${++created}`;
      await sql`create database ${sql(name)}`;
      return {
        url: urlOf(name),
        postmasterPid: postmaster.pid,
        textBytes: (tables) => withSession(urlOf(name), (own) => readTextBytes(own, tables)),
        count: (query) => withSession(urlOf(name), (own) => readCount(own, query)),
        drop: async () => void (await sql`drop database ${sql(name)} with (force)`),
      };
    },
    async walBytes() {
      const [row] = await sql<{ bytes: number }[]>`select (pg_current_wal_lsn() - '0/0')::float8 as bytes`;
      return row?.bytes ?? 0;
    },
    settle: async () => void (await sql`checkpoint`),
    async stop() {
      await sql.end({ timeout: 5 });
      postmaster.kill("SIGINT");
      await postmaster.exited;
    },
  };
}

async function readTextBytes(sql: postgres.Sql, tables: readonly string[]) {
  let [textBytes, storedBytes] = [0, 0];
  for (const table of tables) {
    const [row] = await sql<{ text: number; stored: number }[]>`
      select coalesce(sum(octet_length(raw_error)), 0)::float8 as text,
        coalesce(sum(pg_column_size(raw_error)), 0)::float8 as stored from ${sql(table)}`;
    textBytes += row?.text ?? 0;
    storedBytes += row?.stored ?? 0;
  }
  return { textBytes, storedBytes };
}

async function readCount(sql: postgres.Sql, query: string): Promise<number> {
  const [row] = await sql.unsafe<{ count: string }[]>(query);
  return Number(row?.count);
}

async function withSession<T>(url: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1 });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

async function versionOf(sql: postgres.Sql): Promise<string | null> {
  const rows = await sql<{ server_version: string }[]>`show server_version`.catch(() => null);
  return rows?.[0]?.server_version ?? null;
}
