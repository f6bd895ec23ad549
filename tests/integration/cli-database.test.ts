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

    const list = await opspilot("token", "list");
    expect(list.stdout).toContain(`${row?.id}  offline  never`);
    expect(list.stdout).toContain("web-1");
    const listed = JSON.parse((await opspilot("token", "list", "--json")).stdout);
    expect(listed.map((agent: { id: string }) => agent.id)).toEqual([second.id, row?.id]);
    expect(JSON.stringify(listed)).not.toMatch(/token|opa_/);

    const revoked = await opspilot("token", "revoke", row?.id);
    expect(revoked).toMatchObject({ stdout: "", exitCode: 0 });
    const again = await opspilot("token", "revoke", row?.id);
    expect(again).toEqual({ stdout: "", stderr: `opspilot: there is no agent ${row?.id}\n`, exitCode: 1 });
    const known = await own.database.sql`select agent_id from revoked_tokens`;
    expect([...known]).toEqual([{ agent_id: row?.id }]);
    const actors = await own.database.sql`select distinct split_part(actor, ':', 1) as by from events`;
    expect([...actors]).toEqual([{ by: "cli" }]);
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
  }, 15_000);
});
