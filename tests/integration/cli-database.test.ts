import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256Hex } from "../../src/lib/hash.ts";
import { runOpspilot } from "../support/command-line.ts";
import { createEmptyDatabase, type TestDatabase } from "../support/postgres.ts";

let folder = "";
let own: TestDatabase;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-cli-"));
  own = await createEmptyDatabase();
});
afterAll(async () => {
  await own.close();
  rmSync(folder, { recursive: true, force: true });
});

const opspilot = (...words: string[]) =>
  runOpspilot(words, { cwd: folder, env: { DATABASE_URL: own.url, LOG_LEVEL: "warn" } });

describe("opspilot token", () => {
  test("makes, lists and revokes tokens, on a database that is new, too", async () => {
    const created = await opspilot("token", "create", "--hostname", "web-1");
    expect(created.exitCode).toBe(0);
    const token = created.stdout.trim();
    expect(token).toMatch(/^opa_[\w-]{43}$/);
    const [row] = await own.database.sql`select id, token_hash, hostname from agents`;
    expect(row).toMatchObject({ token_hash: sha256Hex(token), hostname: "web-1" });

    const json = await opspilot("token", "create", "--json");
    const second = JSON.parse(json.stdout);
    expect(second).toEqual({ id: expect.any(String), hostname: null, token: expect.stringMatching(/^opa_/) });

    expect(created.stderr).not.toContain("install.sh");
    const list = await opspilot("token", "list");
    expect(list.stdout).toContain(`${row?.id}  offline  never`);
    expect(list.stdout).toContain("web-1");
    const listed = JSON.parse((await opspilot("token", "list", "--json")).stdout);
    expect(listed.map((agent: { id: string }) => agent.id)).toEqual([second.id, row?.id]);
    expect(JSON.stringify(listed)).not.toMatch(/token|opa_/);

    const revoked = await opspilot("token", "revoke", row?.id);
    expect(revoked).toMatchObject({ stdout: "", exitCode: 0 });
    const again = await opspilot("token", "revoke", row?.id);
    expect(again).toEqual({
      stdout: "",
      stderr: `opspilot: there is no agent ${row?.id}, and no such token\n`,
      exitCode: 1,
    });
    const known = await own.database.sql`select agent_id from revoked_tokens`;
    expect([...known]).toEqual([{ agent_id: row?.id }]);
    const actors = await own.database.sql`select distinct split_part(actor, ':', 1) as by from events`;
    expect([...actors]).toEqual([{ by: "cli" }]);
  });

  test("makes, lists and revokes tokens of the API, whose role and end it says", async () => {
    const created = await opspilot("token", "create", "--role", "operator", "--name", "ci", "--expires", "90d");
    expect(created.exitCode).toBe(0);
    expect(created.stdout).toMatch(/^opt_[\w-]{43}\n$/);
    expect(created.stderr).toContain("The token ci (operator, until ");
    const [row] = await own.database.sql`
      select id, role, token_hash, created_by, (until - now()) > interval '89 days' as lasts from access_tokens`;
    expect(row).toMatchObject({ role: "operator", token_hash: sha256Hex(created.stdout.trim()), lasts: true });
    expect(row?.created_by).toStartWith("cli:");
    const taken = await opspilot("token", "create", "--role", "viewer", "--name", "CI");
    expect(taken).toMatchObject({ stdout: "", stderr: "opspilot: a token that is good has this name\n", exitCode: 1 });
    expect((await opspilot("token", "list", "--access")).stdout).toMatch(
      new RegExp(`^TOKEN .*\\n${row?.id}  operator  \\S+Z  never +ci\\n$`),
    );
    expect((await opspilot("token", "revoke", row?.id)).exitCode).toBe(0);
    expect((await opspilot("token", "list", "--access", "--json")).stdout).toBe("[]\n");
  }, 180_000);

  test("makes, lists and revokes tokens for hosts to enrol with", async () => {
    const created = await opspilot("token", "create", "--enrol", "--uses", "50", "--expires", "7d", "--json");
    const { id, token, uses_left } = JSON.parse(created.stdout);
    expect([token, uses_left]).toEqual([expect.stringMatching(/^ope_[\w-]{43}$/), 50]);
    expect((await opspilot("token", "list", "--enrol")).stdout).toContain(`${id}  50/50      20`);
    expect((await opspilot("token", "revoke", id)).stderr).toBe(`The enrolment token ${id} is revoked.\n`);
    expect((await opspilot("token", "list", "--enrol", "--json")).stdout).toBe("[]\n");
  }, 180_000);

  test("rotates an agent's token, with a grace time", async () => {
    const { id, token } = JSON.parse((await opspilot("token", "create", "--json")).stdout);
    const rotated = await opspilot("token", "rotate", id, "--grace", "1h");
    expect(rotated.exitCode).toBe(0);
    expect(rotated.stdout).toMatch(/^opa_[\w-]{43}\n$/);
    const [row] = await own.database.sql`
      select token_hash, previous_token_hash, previous_until > now() as is_good from agents where id = ${id}`;
    const hashes = { token_hash: sha256Hex(rotated.stdout.trim()), previous_token_hash: sha256Hex(token) };
    expect(row).toEqual({ ...hashes, is_good: true });
    const nobody = "00000000-0000-4000-8000-000000000000";
    expect((await opspilot("token", "rotate", nobody)).exitCode).toBe(1);
  }, 180_000);

  test.each([
    [["--role", "root", "--name", "ci"], "--role: expected viewer, operator, admin"],
    [["--role", "viewer"], "--name: expected"],
    [["--role", "viewer", "--name", "a@b"], "--name: expected"],
    [["--role", "viewer", "--name", "ci", "--expires", "soon"], "--expires: expected a duration such as 90d"],
    [["--role", "viewer", "--name", "ci", "--hostname", "web-1"], "--hostname does not go with the rest"],
    [["--name", "ci"], "--name does not go with the rest"],
    [["--enrol", "--uses", "0"], "--uses: expected a whole number from 1 to 10000"],
    [["--enrol", "--role", "viewer", "--name", "ci"], "--enrol does not go with the rest"],
  ])("create %p is a mistake of usage", async (words, message) => {
    const { stdout, stderr, exitCode } = await opspilot("token", "create", ...words);
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 64 });
    expect(stderr).toContain(message);
  });
});

describe("opspilot migrate", () => {
  test("says that the database is up to date, twice", async () => {
    for (let time = 0; time < 2; time++) {
      expect(await opspilot("migrate")).toMatchObject({ stdout: "The database is up to date.\n", exitCode: 0 });
    }
  });

  test("tells a database that cannot be reached in one message", async () => {
    const env = { DATABASE_URL: "postgres://me:hunter2@127.0.0.1:1/ops" };
    const { stdout, stderr, exitCode } = await runOpspilot(["migrate"], { cwd: folder, env });
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 69 });
    expect(stderr).toContain("DATABASE_URL");
    expect(stderr).not.toMatch(/hunter2|^\s+at /m);
  }, 180_000);
});
