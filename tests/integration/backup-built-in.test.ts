import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, readdir, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import { tryLock } from "../../src/lib/file-lock.ts";
import { runOpspilot, spawnOpspilot } from "../support/command-line.ts";
import { makeDataDir } from "../support/own-postgres.ts";
import { until } from "../support/until.ts";

let dir = "";
beforeAll(async () => {
  dir = await makeDataDir();
});
afterAll(async () => {
  // Ends a PostgreSQL that was left behind, should one have been.
  await run("token", "list");
  await rm(dir, { recursive: true, force: true });
});

const settings = () => ({ cwd: dir, env: { OPSPILOT_DATA_DIR: join(dir, "d"), LOG_LEVEL: "warn" } });
const run = (...words: string[]) => runOpspilot(words, settings());
const entries = async () => (await readdir(join(dir, "d"))).filter((name) => /^\.?data/.test(name)).sort();
async function hosts(): Promise<unknown> {
  const { stdout, stderr } = await run("token", "list", "--json");
  return stdout === ""
    ? stderr
    : JSON.parse(stdout)
        .map(({ hostname }: { hostname: string }) => hostname)
        .sort();
}

describe("the built-in database", () => {
  test("is replaced by that of a backup, in one step; a kill in the middle leaves the one that was there", async () => {
    await run("token", "create", "--hostname", "kept");
    const made = await run("backup", "b.tar.zst", "--json");
    expect(made).toMatchObject({ exitCode: 0, stderr: "" });
    expect(JSON.parse(made.stdout)).toMatchObject({ place: "b.tar.zst", rows: expect.any(Number) });
    await run("token", "create", "--hostname", "later");
    await mkdir(join(dir, "all"));
    for (const name of [
      "opspilot-2026-01-01T00-00-00Z.tar.zst",
      "opspilot-2026-01-02T00-00-00Z.tar.zst",
      "mine.tar.zst",
    ])
      await Bun.write(join(dir, "all", name), "");
    const left = [
      "opspilot-2026-01-03T00-00-00Z.tar.zst.part-0a1b2c3d",
      "opspilot-2026-01-04T00-00-00Z.tar.zst.part-0a1b2c3e",
    ];
    for (const name of left) await Bun.write(join(dir, "all", name), "");
    const longAgo = Date.now() / 1000 - 90_000;
    await utimes(join(dir, "all", left[0] ?? ""), longAgo, longAgo);
    expect(await run("backup", "all", "--keep", "2")).toMatchObject({ exitCode: 0, stderr: "" });
    const kept = [
      "mine.tar.zst",
      "opspilot-2026-01-02T00-00-00Z.tar.zst",
      left[1],
      expect.stringMatching(/^opspilot-\d{4}.*Z\.tar\.zst$/),
    ];
    expect((await readdir(join(dir, "all"))).sort()).toEqual(kept);
    expect(await run("backup", "b2.tar.zst", "--keep", "2")).toMatchObject({ exitCode: 64 });

    expect(await run("restore", "b.tar.zst", "--check")).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/is whole: \d+ rows/),
    });
    expect(await run("restore", "none.tar.zst")).toMatchObject({
      exitCode: 78,
      stderr: expect.stringMatching(/is not there/),
    });
    expect(await run("restore", "b.tar.zst")).toMatchObject({
      exitCode: 78,
      stderr: expect.stringMatching(/holds a database already/),
    });
    const serving = tryLock(join(dir, "d/serve.lock"));
    expect(await run("restore", "b.tar.zst", "--replace")).toMatchObject({
      exitCode: 78,
      stderr: expect.stringMatching(/served already/),
    });
    serving?.release();

    const killed = spawnOpspilot(["restore", "b.tar.zst", "--replace"], settings());
    const isFilling = async () =>
      (await entries()).some((name) => name.startsWith(".") && existsSync(join(dir, "d", name, "postmaster.pid")));
    await until(isFilling, { ms: 30_000, what: "the new database is being filled" });
    killed.kill("SIGKILL");
    await killed.exited;
    expect(await hosts()).toEqual(["kept", "later"]);
    expect(await entries()).toEqual(["data"]);

    const restored = await run("restore", "b.tar.zst", "--replace");
    expect(restored).toMatchObject({
      exitCode: 0,
      stderr: "",
      stdout: expect.stringMatching(/What was there before is in .*data\.before-\d{14}/),
    });
    expect(await hosts()).toEqual(["kept"]);
    expect(await entries()).toEqual(["data", expect.stringMatching(/^data\.before-\d{14}$/)]);
  }, 180_000);
});
