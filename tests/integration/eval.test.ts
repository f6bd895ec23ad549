import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runOpspilot } from "../support/command-line.ts";
import { DecidedHost } from "../support/decisions.ts";
import { type FakeOpenRouter, GOOD_ANSWER, says, startFakeOpenRouter } from "../support/fake-openrouter.ts";
import { failing, say } from "../support/feedback.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

setDefaultTimeout(180_000);

let folder = "";
let database: TestDatabase;
let server: TestServer;
let model: FakeOpenRouter;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-eval-"));
  database = await createTestDatabase();
  model = startFakeOpenRouter();
  server = await startTestServer(database.url);
});
afterAll(async () => {
  await server.stop();
  await model.stop();
  await database.close();
  rmSync(folder, { recursive: true, force: true });
});

const settings = () => ({ DATABASE_URL: database.url, OPSPILOT_DATA_DIR: folder });
const opspilot = (words: string[], env: Record<string, string> = {}) =>
  runOpspilot(["eval", ...words], { cwd: folder, env: { ...settings(), ...env } });

describe("opspilot eval", () => {
  test("says where words come from while there are none", async () => {
    const { stdout, exitCode } = await opspilot([]);
    expect({ stdout, exitCode }).toEqual({ stdout: expect.stringContaining("/feedback"), exitCode: 0 });
    expect(JSON.parse((await opspilot(["--json"])).stdout)).toEqual({ total: 0, correct: 0, open: 0, results: [] });
  });

  test("measures the heuristics, and a model, on one's own incidents", async () => {
    const host = await DecidedHost.start(server);
    const right = await failing(server, host, "right");
    const wrong = await failing(server, host, "wrong");
    const again = await failing(server, host, "again");
    await say(server, right, { verdict: "right" });
    await say(server, wrong, { verdict: "wrong", cause: "It was full.", category: "disk_full" });
    await say(server, again, { verdict: "wrong" });

    const { stdout, exitCode } = await opspilot([]);
    expect(exitCode).toBe(0);
    const [sum] = stdout.trimEnd().split("\n").slice(-1);
    expect(sum).toBe("1 of 3 right: 33.3 %");
    expect(stdout).toContain("heuristics\nport_conflict        1/1  100.0 %\ndisk_full            0/1  0.0 %\n");
    expect(stdout).toContain(`\nincident ${wrong}: expected disk_full, got port_conflict (`);
    expect(stdout).toContain(`\nincident ${again}: it was said to be wrong, got port_conflict (`);

    model.behave(says("I cannot say."), says(JSON.stringify({ ...GOOD_ANSWER, category: "disk_full" })));
    const asked = await opspilot(["--model"], { OPENROUTER_BASE_URL: model.baseUrl, AI_MODEL: "some/model" });
    expect(asked.exitCode).toBe(0);
    const [, ofModel = ""] = asked.stdout.split("\nsome/model\n");
    expect(ofModel).toContain("port_conflict        0/1  0.0 %\ndisk_full            1/1  100.0 %\n");
    expect(ofModel).toContain("1 of 2 right: 50.0 %\n1 more: said to be wrong once, explained otherwise now");
    expect(ofModel).toMatch(/latency \d+ ms in the middle.*; cost 0\.\d{4} USD\nfailed: 1 rubbish\n$/);
    expect(model.seen).toHaveLength(3);
    // What people said is the right answer: that is not told.
    expect(JSON.stringify(model.seen.map(({ body }) => body))).not.toContain("SAID BY PEOPLE");
  });

  test("measures the same by `bun run eval --own`, and by a file", async () => {
    const script = join(import.meta.dir, "../bench/eval.ts");
    const run = async (words: string[]) => {
      const command = [process.execPath, "--no-env-file", script, ...words];
      const child = Bun.spawn(command, { cwd: folder, env: { HOME: folder, ...settings() }, stdout: "pipe" });
      return { stdout: await child.stdout.text(), exitCode: await child.exited };
    };
    expect(await run(["--own", "--json"])).toEqual({ stdout: (await opspilot(["--json"])).stdout, exitCode: 0 });
    const row = { id: "a", type: "docker", source: "db", message: "exited", exit_code: 1, decisive: "No space left" };
    const logs = "could not write: No space left on device";
    const path = join(folder, "cases.jsonl");
    await Bun.write(path, `${JSON.stringify({ ...row, logs, category: "disk_full" })}\n\n`);
    expect(await run([path])).toMatchObject({ stdout: expect.stringContaining("1 of 1 right: 100.0 %"), exitCode: 0 });
    expect((await run([])).exitCode).toBe(2);
  });

  test("without a model says what is missing", async () => {
    const { stderr, exitCode } = await opspilot(["--model"]);
    expect({ stderr, exitCode }).toEqual({ stderr: expect.stringContaining("OPENROUTER_KEY"), exitCode: 78 });
  });
});
