import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runOpspilot, spawnOpspilot } from "../support/command-line.ts";
import { freePort } from "../support/executable.ts";
import { alertOf, envelopeOf, gzipped } from "../support/frames.ts";
import { DEBIAN_HOME, type StockPostgres, startStockPostgres } from "../support/stock-postgres.ts";
import { until } from "../support/until.ts";

const OWN_NAME = Bun.spawnSync(["id", "-un"]).stdout.toString().trim();

const ENGINES = [
  ["the built-in one", undefined],
  ...(existsSync(DEBIAN_HOME) ? ([["Debian's", DEBIAN_HOME]] as const) : []),
] as const;

/** What a database's administrator may have set for a role, and nobody would think of. */
const ODD = [
  "DateStyle = 'German'",
  "IntervalStyle = 'sql_standard'",
  "TimeZone = 'Asia/Kathmandu'",
  "bytea_output = 'escape'",
  "standard_conforming_strings = off",
  "default_transaction_isolation = 'serializable'",
  "client_encoding = 'LATIN1'",
];

describe.each(ENGINES)("on a PostgreSQL of one's own, %s", (_, home) => {
  let folder = "";
  let own: StockPostgres;
  const stops: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "opspilot-own-"));
    const trusted = "host all trusted 127.0.0.1/32 trust";
    const login = { user: "boss", password: "secret", database: "shared" };
    const hba = ["local all all peer", trusted];
    own = await startStockPostgres(login, { hasTls: false, hba, ...(home === undefined ? {} : { home }) });
    await own.admin(
      "shared",
      "revoke create on schema public from public",
      "revoke connect on database shared from public",
    );
  }, 180_000);
  afterEach(async () => {
    await Promise.all(stops.splice(0).map((stop) => stop()));
  });
  afterAll(async () => {
    await own.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A role that may connect, and what it is given beside. */
  const role = (name: string, ...statements: string[]) =>
    own.admin(
      "shared",
      `create role "${name}" login password 'secret'`,
      `grant connect on database shared to "${name}"`,
      ...statements,
    );
  const urlOf = (user: string) => `postgres://${user}:secret@127.0.0.1:${own.port}/shared`;
  const run = (url: string, ...words: string[]) =>
    runOpspilot(words, { cwd: folder, env: { DATABASE_URL: url, LOG_LEVEL: "warn" } });

  /** The server, once it is ready. */
  async function serve(url: string, more: Record<string, string> = {}) {
    const port = String(await freePort());
    const env = { DATABASE_URL: url, LOG_LEVEL: "warn", PORT: port, ...more };
    const server = spawnOpspilot(["serve"], { cwd: folder, env });
    stops.push(async () => {
      server.kill();
      await server.exited;
    });
    const isReady = async () => {
      if (server.exitCode !== null) throw new Error(await server.stderr.text());
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { keepalive: false }).catch(() => null);
      return answer?.status === 200;
    };
    await until(isReady, { ms: 30_000, what: "the server is ready" });
    return { at: `127.0.0.1:${port}`, env };
  }

  /** An alert goes all the way: through our driver, Drizzle's and that of the jobs. */
  async function becomesAnIncident(at: string): Promise<void> {
    const socket = new WebSocket(`ws://${at}/v1/stream`);
    socket.onopen = () =>
      socket.send(JSON.stringify(envelopeOf({ type: "alert", data: gzipped(alertOf()), compression: "gzip" })));
    const isExplained = async () => {
      const answer = await fetch(`http://${at}/v1/incidents`, { keepalive: false });
      const [incident] = (await answer.json()) as { status: string; created_at: string }[];
      if (incident?.status !== "analyzed") return false;
      expect(Math.abs(Date.now() - Date.parse(incident.created_at))).toBeLessThan(60_000);
      return true;
    };
    await until(isExplained, { ms: 20_000, what: "the incident is explained" });
    socket.close();
  }

  test("a role with nothing but a schema gets on there, however its sessions are set", async () => {
    const settings = ODD.map((setting) => `alter role ops set ${setting}`);
    await role(
      "ops",
      "create schema ops authorization ops",
      "alter role ops set search_path = pg_temp, ops",
      ...settings,
    );
    expect(await run(urlOf("ops"), "migrate")).toMatchObject({ stderr: "", exitCode: 0 });
    const { at, env } = await serve(urlOf("ops"));
    await becomesAnIncident(at);
    const found = await runOpspilot(["doctor"], { cwd: folder, env });
    expect(found.stdout).not.toContain("FAIL");
    expect(found.exitCode).toBe(0);
    await own.admin(
      "shared",
      `do $$ begin
        assert (select count(*) > 20 from pg_tables where schemaname = 'ops');
        assert not exists (select from pg_tables where tableowner = 'ops' and schemaname <> 'ops');
      end $$`,
    );
  }, 180_000);

  test.each([
    ["of an odd name, which is the role's", "Ops-Pilot", ['create schema "Ops-Pilot" authorization "Ops-Pilot"']],
    [
      "that is the first it may write to",
      "later",
      ["create schema later authorization later", "alter role later set search_path = public, later"],
    ],
  ])(
    "a schema %s, will do",
    async (_, name, statements) => {
      await role(name, ...statements);
      const { at } = await serve(urlOf(name));
      await becomesAnIncident(at);
    },
    180_000,
  );

  const grant = "GRANT CREATE ON SCHEMA public TO poor";
  test.each([
    ["may make no tables", "poor", [], "permission denied for schema public", grant],
    [
      "has no schema",
      "homeless",
      ["alter role homeless set search_path = nowhere"],
      "no schema has been selected to create in",
      "CREATE SCHEMA homeless AUTHORIZATION homeless",
    ],
    [
      "may not connect",
      "stranger",
      ["revoke connect on database shared from stranger"],
      'permission denied for database "shared"',
      "GRANT CONNECT ON DATABASE shared TO stranger",
    ],
    [
      "may not read the tables that another made",
      "guest",
      [
        "create schema house",
        "create table house.agents ()",
        "create table house.opspilot_migrations ()",
        "grant usage on schema house to guest",
        "alter role guest set search_path = house",
      ],
      "permission denied for table agents",
      "GRANT boss TO guest",
    ],
  ])(
    "a role that %s is told PostgreSQL's reason, and what mends it, by every command",
    async (_, name, statements, reason, mend) => {
      await role(name, ...statements);
      for (const command of ["migrate", "serve"]) {
        const { stderr, exitCode } = await run(urlOf(name), command);
        expect({ command, exitCode }).toEqual({ command, exitCode: 69 });
        expect(stderr).toContain(reason);
        expect(stderr).toContain(mend);
        expect(stderr.trim()).not.toContain("\n");
      }
      const { stdout, exitCode } = await run(urlOf(name), "doctor");
      expect(exitCode).toBe(1);
      expect(stdout).toContain(reason);
      expect(stdout).toContain(`→ ${mend}`);
    },
    180_000,
  );

  test("what is said to mend it does", async () => {
    await role("mended");
    const { stderr } = await run(urlOf("mended"), "migrate");
    await own.admin("shared", /run: (.+)\)/.exec(stderr)?.[1] ?? "");
    expect(await run(urlOf("mended"), "migrate")).toMatchObject({ stderr: "", exitCode: 0 });
  }, 180_000);

  test("a URL without a password will do where the server trusts, or knows the user by the socket", async () => {
    await role("trusted", "create schema trusted authorization trusted");
    await role(OWN_NAME, `create schema "${OWN_NAME}" authorization "${OWN_NAME}"`);
    await serve(`postgres://trusted@127.0.0.1:${own.port}/shared`);
    await serve(`postgres:///shared?host=${own.socketDir}&port=${own.port}`);
    const needs = `postgres://ops@127.0.0.1:${own.port}/shared`;
    for (const command of ["migrate", "doctor"])
      expect(JSON.stringify(await run(needs, command))).toMatch(/password authentication failed|asks for a password/);
  }, 180_000);

  test("while the database takes no writes a change is refused for now, and may be tried again", async () => {
    await role("failing", "create schema failing authorization failing");
    const { at } = await serve(urlOf("failing"));
    await becomesAnIncident(at);
    await own.admin(
      "shared",
      "alter role failing set default_transaction_read_only = on",
      "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'failing'",
    );
    const patch = async () => {
      const [incident] = (await (await fetch(`http://${at}/v1/incidents`)).json()) as { id: number }[];
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({ status: "acknowledged" });
      return fetch(`http://${at}/v1/incidents/${incident?.id}`, { method: "PATCH", headers, body });
    };
    const answer = await until(() => patch().catch(() => null), { ms: 20_000 });
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "5"]);
  }, 180_000);

  test("two in one database, each with a schema of its own, both announce", async () => {
    for (const name of ["first", "second"]) {
      await role(name, `create schema ${name} authorization ${name}`);
      await serve(urlOf(name), {
        WEBHOOK_URL: "http://127.0.0.1:9/",
        WEBHOOK_SECRET: "0123456789abcdef0123456789abcdef",
      });
    }
    const doBothLead = () =>
      own
        .admin(
          "shared",
          `do $$ begin
            assert (select count(*) = 2 from (select from first.outlets union all select from second.outlets) o);
          end $$`,
        )
        .then(() => true)
        .catch(() => false);
    await until(doBothLead, { ms: 15_000, what: "each leads its outlet" });
  }, 180_000);
});
