import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { outcomeOf } from "../support/test-outcome.ts";

const FILES = {
  "well.test.ts": `import { test } from "bun:test"; test("one", () => {}); test("two", () => {});`,
  "badly.test.ts": `import { expect, test } from "bun:test"; test("three", () => expect(1).toBe(2)); test("four", () => {});`,
  "broken.test.ts": `import { test } from "bun:test"; throw new Error("before any test"); test("five", () => {});`,
};

let dir = "";
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "opspilot-outcome-"));
  await mkdir(join(dir, "tests"));
  for (const [name, text] of Object.entries(FILES)) await Bun.write(join(dir, "tests", name), text);
});
afterAll(() => rm(dir, { recursive: true }));

async function run(...files: (keyof typeof FILES)[]) {
  const args = [process.execPath, "test", ...files.map((file) => `tests/${file}`)];
  const child = Bun.spawn(args, { cwd: dir, stdout: "pipe", stderr: "pipe" });
  const [output, errors, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return outcomeOf(status, output + errors);
}

describe("the outcome of a run", () => {
  test("counts what passed", async () => {
    expect(await run("well.test.ts")).toEqual({ isPassed: true, tests: 2, failed: 0, failedFiles: [] });
  });

  test("names the files in which a test failed", async () => {
    const outcome = await run("well.test.ts", "badly.test.ts");
    expect(outcome).toEqual({ isPassed: false, tests: 4, failed: 1, failedFiles: ["tests/badly.test.ts"] });
  });

  test("has failed where a file could not be read", async () => {
    expect(await run("badly.test.ts", "broken.test.ts")).toMatchObject({ isPassed: false, failedFiles: [] });
  });

  test("has failed where it was ended before it could say how it came out", () => {
    const output = "\ntests/badly.test.ts:\n(fail) three [1.00ms]\n";
    expect(outcomeOf(137, output)).toEqual({ isPassed: false, tests: 0, failed: 0, failedFiles: [] });
  });
});
