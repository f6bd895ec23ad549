/**
 * Every test, in groups side by side: most of a test's time is waiting for real programs. What a group printed is shown when it
 * has ended, so that each one's summary stands whole. Files in which a test failed are run again, alone: a limit that was passed
 * because others had the machine is then held. Ends with a line that counts all, and with 1 when a test failed alone, too.
 */
import { chmod, mkdtemp, open, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildExecutable } from "./support/executable.ts";
import { type Outcome, outcomeOf } from "./support/test-outcome.ts";

/** A test waits for states, each with a limit of its own: this one ends what hangs. */
const TEST_LIMIT_MS = 240_000;
/** Beside the first group, with its executables and its browser: two cores are half idle with one less, and all of it takes three minutes more. */
const SHARDS = 3;
const RUN = ["test", "--timeout", String(TEST_LIMIT_MS)];
/** Those of the executable that wait the longest, so that all groups take about as long. */
const WAITING = ["tests/e2e/announcing.test.ts", "tests/e2e/explaining.test.ts"];
const EXECUTABLE = [...new Bun.Glob("tests/e2e/*.test.ts").scanSync()].filter((path) => !WAITING.includes(path)).sort();
const OTHERS = ["tests/unit", "tests/integration", "tests/tidy.test.ts", ...WAITING];
/** Where more files fail than these, it is not the machine. */
const AGAIN_FILES_MAX = 3;

/** What runs beside what: the executable and the page in a browser, and all others in shards. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  executable: [...RUN, ...EXECUTABLE, "tests/browser"],
  ...Object.fromEntries(
    Array.from({ length: SHARDS }, (_, at) => [`shard ${at + 1}`, [...RUN, `--shard=${at + 1}/${SHARDS}`, ...OTHERS]]),
  ),
};

/** Where Linux keeps files in memory: tests wait for their own programs then, not for the disk that all share. */
const IN_MEMORY = "/dev/shm";
/** Some thirty databases and an executable. */
const ROOM_BYTES_MIN = 6 * 2 ** 30;

/** A folder for all temporary files, in memory where there is room for them. Short: the path of a socket has an end. */
async function makeTemporary(): Promise<string> {
  const { bavail, bsize } = await statfs(IN_MEMORY).catch(() => ({ bavail: 0, bsize: 0 }));
  const hasRoom = Math.min(bavail * bsize, await availableMemory()) >= ROOM_BYTES_MIN;
  const dir = await mkdtemp(join(hasRoom ? IN_MEMORY : tmpdir(), "ops-"));
  // PostgreSQL runs as another user where root starts it, who must get in.
  await chmod(dir, 0o755);
  return dir;
}

async function availableMemory(): Promise<number> {
  const [, kib] = /^MemAvailable:\s+(\d+) kB/m.exec(await Bun.file("/proc/meminfo").text()) ?? [];
  return Number(kib ?? 0) * 1024;
}

const say = (text: string) => process.stdout.write(`${text}\n`);

async function runGroup(dir: string, name: string, args: readonly string[]): Promise<Outcome> {
  const path = join(dir, name);
  const output = await open(path, "w");
  const startedMs = performance.now();
  try {
    const env = { ...process.env, TMPDIR: dir };
    const child = Bun.spawn([process.execPath, ...args], {
      stdin: "ignore",
      stdout: output.fd,
      stderr: output.fd,
      env,
    });
    const status = await child.exited;
    const text = await Bun.file(path).text();
    process.stdout.write(text);
    const seconds = Math.round((performance.now() - startedMs) / 1_000);
    say(`${name}: ${status === 0 ? "passed" : `failed, exit status ${status}`} after ${seconds} s\n`);
    return outcomeOf(status, text);
  } finally {
    await output.close();
  }
}

/** What failed beside the others, alone; nothing where that would not tell more. */
async function runAgain(dir: string, first: readonly Outcome[]): Promise<Outcome | undefined> {
  const files = first.flatMap(({ failedFiles }) => failedFiles);
  const isTold = first.every(({ isPassed, failedFiles }) => isPassed || failedFiles.length > 0);
  if (!isTold || files.length === 0 || files.length > AGAIN_FILES_MAX) return undefined;
  say(`failed beside the others, and run again alone: ${files.join(", ")}\n`);
  return runGroup(dir, "again", [...RUN, ...files]);
}

// Once for all groups, which would otherwise build it side by side.
await buildExecutable();
const dir = await makeTemporary();
try {
  say(`running side by side: ${Object.keys(GROUPS).join(", ")}`);
  const first = await Promise.all(Object.entries(GROUPS).map(([name, args]) => runGroup(dir, name, args)));
  const again = await runAgain(dir, first);
  const ran = first.reduce((sum, { tests }) => sum + tests, 0);
  const failed = again?.failed ?? first.reduce((sum, one) => sum + one.failed, 0);
  process.exitCode = (again?.isPassed ?? first.every(({ isPassed }) => isPassed)) ? 0 : 1;
  say(`${ran - failed} passed, ${failed} failed`);
} finally {
  await rm(dir, { recursive: true, force: true });
}
