/**
 * Every test, in groups side by side: most of a test's time is waiting for real programs. What a group printed is shown when it
 * has ended, so that each one's summary stands whole. Ends with 1 when a group failed.
 */
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildExecutable } from "./support/executable.ts";

/** A test waits for states, each with a limit of its own: this one ends what hangs. */
const TEST_LIMIT_MS = 240_000;
/** As many as two cores bear beside the executables and the browser of the first group. */
const SHARDS = 2;
const RUN = ["test", "--timeout", String(TEST_LIMIT_MS)];
/** Those of the executable that wait the longest, so that all groups take about as long. */
const WAITING = ["tests/e2e/announcing.test.ts", "tests/e2e/explaining.test.ts"];
const EXECUTABLE = [...new Bun.Glob("tests/e2e/*.test.ts").scanSync()].filter((path) => !WAITING.includes(path)).sort();
const OTHERS = ["tests/unit", "tests/integration", "tests/tidy.test.ts", ...WAITING];

/** What runs beside what: the executable and the page in a browser, and all others in shards. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  executable: [...RUN, ...EXECUTABLE, "tests/browser"],
  ...Object.fromEntries(
    Array.from({ length: SHARDS }, (_, at) => [`shard ${at + 1}`, [...RUN, `--shard=${at + 1}/${SHARDS}`, ...OTHERS]]),
  ),
};

async function runGroup(dir: string, name: string, args: readonly string[]): Promise<boolean> {
  const path = join(dir, name);
  const output = await open(path, "w");
  const startedMs = performance.now();
  try {
    const child = Bun.spawn([process.execPath, ...args], { stdin: "ignore", stdout: output.fd, stderr: output.fd });
    const status = await child.exited;
    process.stdout.write(await Bun.file(path).text());
    const seconds = Math.round((performance.now() - startedMs) / 1_000);
    process.stdout.write(
      `${name}: ${status === 0 ? "passed" : `failed, exit status ${status}`} after ${seconds} s\n\n`,
    );
    return status === 0;
  } finally {
    await output.close();
  }
}

// Once for all groups, which would otherwise build it side by side.
await buildExecutable();
const dir = await mkdtemp(join(tmpdir(), "opspilot-tests-"));
try {
  process.stdout.write(`running side by side: ${Object.keys(GROUPS).join(", ")}\n`);
  const passed = await Promise.all(Object.entries(GROUPS).map(([name, args]) => runGroup(dir, name, args)));
  process.exitCode = passed.every(Boolean) ? 0 : 1;
} finally {
  await rm(dir, { recursive: true, force: true });
}
