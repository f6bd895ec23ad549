import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase } from "../../src/db/client.ts";
import { runOpspilot, spawnOpspilot } from "../support/command-line.ts";
import { freePort } from "../support/executable.ts";
import { quiet } from "../support/log.ts";
import { type StockPostgres, startStockPostgres } from "../support/stock-postgres.ts";
import { until } from "../support/until.ts";

const TOP = join(import.meta.dir, "../..");

/** What compose.yaml gives to the server, where nothing is set in .env. */
const documented = await (async () => {
  const text = await Bun.file(join(TOP, "compose.yaml")).text();
  const url = /^ *DATABASE_URL: (\S+)$/m.exec(text)?.[1] ?? "";
  return new URL(url.replace(/\$\{\w+:-(\w+)\}/g, "$1"));
})();

const login = {
  user: documented.username,
  password: documented.password,
  database: documented.pathname.slice(1),
};

let folder = "";
let plain: StockPostgres;
let secure: StockPostgres;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-quick-start-"));
  [plain, secure] = await Promise.all([
    startStockPostgres(login, { hasTls: false }),
    startStockPostgres(login, { hasTls: true }),
  ]);
}, 180_000);
afterAll(async () => {
  await Promise.all([plain.stop(), secure.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

/** The documented URL with another place, and these words of it changed. */
function urlAt(port: number, query: string, host = "127.0.0.1"): string {
  const url = new URL(documented);
  url.hostname = host;
  url.port = String(port);
  url.search = query;
  return url.href;
}

/** Whether each connection of the server is encrypted, by the name that it gives itself. */
async function encryption(port: number): Promise<Record<string, boolean>> {
  const database = openDatabase({ target: { host: "127.0.0.1", port, ...login, tls: false }, log: quiet });
  const rows = await database.sql<{ name: string; ssl: boolean }[]>`
    select application_name as name, bool_and(ssl) as ssl from pg_stat_activity join pg_stat_ssl using (pid)
    where application_name like 'opspilot%' and pid <> pg_backend_pid() group by 1`;
  await database.close();
  return Object.fromEntries(rows.map(({ name, ssl }) => [name, ssl]));
}

/** What `migrate` made: the jobs' tables, over their own driver, too. */
async function tables(port: number): Promise<string[]> {
  const database = openDatabase({ target: { host: "127.0.0.1", port, ...login, tls: false }, log: quiet });
  const rows = await database.sql<{ name: string }[]>`
    select tablename as name from pg_tables where schemaname = 'public'`;
  await database.close();
  return rows.map(({ name }) => name);
}

test("compose.yaml names a database, and nothing of TLS", () => {
  expect(documented.protocol).toBe("postgres:");
  expect(documented.search).toBe("");
  expect(login).toEqual({ user: "opspilot", password: "opspilot", database: "opspilot" });
});

describe.each([
  ["without TLS", "", () => urlAt(plain.port, ""), false],
  ["without TLS", "prefer", () => urlAt(plain.port, "sslmode=prefer"), false],
  ["without TLS", "disable", () => urlAt(plain.port, "sslmode=disable"), false],
  ["with TLS", "", () => urlAt(secure.port, ""), true],
  ["with TLS", "prefer", () => urlAt(secure.port, "sslmode=prefer"), true],
  ["with TLS", "require", () => urlAt(secure.port, "sslmode=require"), true],
  [
    "with TLS",
    "verify-full",
    () => urlAt(secure.port, `sslmode=verify-full&sslrootcert=${secure.certificatePath}`, "localhost"),
    true,
  ],
] as const)("a stock PostgreSQL %s, and sslmode %p", (_, __, url, isEncrypted) => {
  const settings = () => ({ DATABASE_URL: url(), LOG_LEVEL: "warn" });

  test("is migrated, found good, and served, every connection as the server answered", async () => {
    const migrated = await runOpspilot(["migrate"], { cwd: folder, env: settings() });
    expect(migrated).toEqual({ stdout: "The database is up to date.\n", stderr: "", exitCode: 0 });
    expect(await tables(Number(new URL(url()).port))).toEqual(expect.arrayContaining(["agents", "job", "queue"]));
    const port = String(await freePort());
    const server = spawnOpspilot(["serve"], { cwd: folder, env: { ...settings(), PORT: port } });
    try {
      await until(() => server.exitCode !== null || isReady(port), { ms: 20_000, what: "the server is ready" });
      expect(server.exitCode).toBeNull();
      const seen = await encryption(Number(new URL(url()).port));
      expect(Object.keys(seen)).toEqual(expect.arrayContaining(["opspilot", "opspilot jobs", "opspilot listen"]));
      expect(new Set(Object.values(seen))).toEqual(new Set([isEncrypted]));
      const found = await runOpspilot(["doctor"], { cwd: folder, env: { ...settings(), PORT: port } });
      expect(found.stdout).not.toContain("FAIL");
      expect(found.exitCode).toBe(0);
    } finally {
      server.kill();
      await server.exited;
    }
    expect(server.exitCode).toBe(0);
  }, 180_000);
});

describe.each([
  ["without TLS that must have it", () => urlAt(plain.port, "sslmode=require"), "the server does not offer it"],
  [
    "whose certificate nobody vouches for",
    () => urlAt(secure.port, "sslmode=verify-full", "localhost"),
    /self.signed certificate/,
  ],
] as const)("a stock PostgreSQL %s", (_, url, reason) => {
  const settings = () => ({ DATABASE_URL: url(), LOG_LEVEL: "warn" });

  test("is refused with the reason, in one line, by every command", async () => {
    for (const words of [["migrate"], ["token", "list"], ["serve"]]) {
      const { stderr, exitCode } = await runOpspilot(words, { cwd: folder, env: settings() });
      expect({ words, exitCode }).toEqual({ words, exitCode: 69 });
      expect(stderr).toMatch(/^opspilot: the database opspilot on \S+ \(DATABASE_URL\) cannot be used: .+\n$/);
      expect(stderr).toMatch(reason);
    }
    const { stdout, exitCode } = await runOpspilot(["doctor"], { cwd: folder, env: settings() });
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(reason);
  }, 180_000);
});

async function isReady(port: string): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { keepalive: false }).catch(() => null);
  return answer?.status === 200;
}
