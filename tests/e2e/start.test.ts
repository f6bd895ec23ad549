import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { chown, stat } from "node:fs/promises";
import { join } from "node:path";
import { version } from "../../package.json" with { type: "json" };
import { emptyFolder, postmasterPid, removeFolder, runExecutable, runningPostmaster, USERS } from "../support/e2e.ts";
import { buildExecutable, startExecutable } from "../support/executable.ts";
import { rest } from "../support/rest.ts";
import { until } from "../support/until.ts";

const START_LIMIT_MS = 240_000;
/** On a machine that is busy with something else. */
const READY_LIMIT_MS = 60_000;
const TEST_LIMIT_MS = 240_000;
const SIZE_BYTES_MAX = 150_000_000;
/** Neither root nor nobody nor, in all likelihood, whoever runs the tests. */
const STRANGER = 64_999;

beforeAll(async () => void (await buildExecutable()), START_LIMIT_MS);

test("the executable is at most 150 MB", async () => {
  expect((await stat(await buildExecutable())).size).toBeLessThanOrEqual(SIZE_BYTES_MAX);
});

describe("Bun's own settings", () => {
  const settingsOf = (pid: number) =>
    readFileSync(`/proc/${pid}/environ`, "utf8")
      .split("\0")
      .filter((line) => /^(?:BUN|MIMALLOC)_/.test(line))
      .sort();
  const [COLLECTOR, ALLOCATOR] = ["BUN_GC_TIMER_INTERVAL=60000", "MIMALLOC_PURGE_HOLES_MIN_INTERVAL=60000"];
  let folder = "";
  beforeEach(async () => {
    folder = await emptyFolder();
  });
  afterEach(() => removeFolder(folder));

  for (const [name, env, expected] of [
    ["keep collector and allocator quiet at rest", {}, [COLLECTOR, ALLOCATOR]],
    [
      "that somebody set are left as they are",
      { BUN_GC_TIMER_INTERVAL: "2000" },
      ["BUN_GC_TIMER_INTERVAL=2000", ALLOCATOR],
    ],
  ] as const)
    test(
      `${name}, in the process that was started, and not in its database's`,
      async () => {
        const server = await startExecutable({ dir: folder, env });
        await server.waitReady(READY_LIMIT_MS);
        expect(settingsOf(server.pid)).toEqual([...expected]);
        expect(settingsOf(runningPostmaster(folder))).toEqual([]);
        expect(await server.stop()).toBe(0);
      },
      TEST_LIMIT_MS,
    );
});

describe("what lies in the working directory", () => {
  let folder = "";
  beforeEach(async () => {
    folder = await emptyFolder();
  });
  afterEach(() => removeFolder(folder));

  test(
    "a bunfig.toml runs nothing",
    async () => {
      const marker = join(folder, "ran");
      await Bun.write(join(folder, "bunfig.toml"), 'preload = ["./preload.ts"]\n');
      await Bun.write(join(folder, "preload.ts"), `await Bun.write(${JSON.stringify(marker)}, "ran");\n`);
      expect(await runExecutable({ dir: folder, args: ["version"] })).toEqual({ status: 0, lines: [version] });
      expect(await Bun.file(marker).exists()).toBeFalse();
    },
    TEST_LIMIT_MS,
  );

  test(
    "a .env is not read where --env-file names another: Bun itself reads none",
    async () => {
      await Bun.write(join(folder, ".env"), "RETENTION=soon\n");
      await Bun.write(join(folder, "other.env"), "LOG_LEVEL=loud\n");
      const { status, lines } = await runExecutable({ dir: folder, args: ["serve", "--env-file", "other.env"] });
      const text = lines.join("\n");
      expect({ status, text }).toEqual({ status: 78, text: expect.stringContaining("  LOG_LEVEL: expected") });
      expect(text).not.toContain("RETENTION");
    },
    TEST_LIMIT_MS,
  );

  test(
    "a .env of our own counts",
    async () => {
      await Bun.write(join(folder, ".env"), "RETENTION=soon\n");
      const { status, lines } = await runExecutable({ dir: folder, args: ["serve"] });
      expect({ status, text: lines.join("\n") }).toEqual({
        status: 78,
        text: expect.stringContaining("  RETENTION: "),
      });
    },
    TEST_LIMIT_MS,
  );

  test(
    "a .env that another user could have written is refused",
    async () => {
      const path = join(folder, ".env");
      await Bun.write(path, "LOG_LEVEL=debug\n");
      // Only root can give a file away; for others the next worse thing.
      if (process.getuid?.() === 0) await chown(path, STRANGER, STRANGER);
      else await Bun.$`chmod 666 ${path}`;
      const { status, lines } = await runExecutable({ dir: folder, args: ["serve"] });
      expect({ status, text: lines.join("\n") }).toEqual({
        status: 78,
        text: expect.stringContaining(`${path}: is refused`),
      });
    },
    TEST_LIMIT_MS,
  );
});

describe.each(USERS)("as %s", (_, user) => {
  let folder = "";
  beforeAll(async () => {
    folder = await emptyFolder();
  });
  afterAll(() => removeFolder(folder), START_LIMIT_MS);

  test(
    "the first start makes the database, a later one goes on with it",
    async () => {
      const first = await startExecutable({ dir: folder, ...user });
      await first.waitReady(READY_LIMIT_MS);
      const { status, body: agent } = await rest(first.url, "/v1/agents", { hostname: "web-1" });
      expect(status).toBe(201);
      expect(await first.stop()).toBe(0);

      const later = await startExecutable({ dir: folder, ...user });
      await later.waitReady(READY_LIMIT_MS);
      const { body: agents } = await rest(later.url, "/v1/agents");
      expect(agents).toMatchObject([{ id: agent.id, hostname: "web-1" }]);
      expect(await later.stop()).toBe(0);
    },
    TEST_LIMIT_MS,
  );
});

/** Starts it twice in a folder of its own, and gives how many milliseconds each start took. */
describe("a first start that does not get far", () => {
  let folder = "";
  beforeEach(async () => {
    folder = await emptyFolder();
  });
  afterEach(() => removeFolder(folder), START_LIMIT_MS);

  test.each([
    ["unpacking PostgreSQL", /^postgres$/],
    ["making the database", /^\.data-new-/],
  ])(
    "and is killed while %s is gone through again",
    async (_, isMade) => {
      const killed = await startExecutable({ dir: folder });
      await until(() => namesIn(join(folder, "data")).some((name) => isMade.test(name)), { ms: TEST_LIMIT_MS });
      process.kill(killed.pid, "SIGKILL");
      expect(await killed.exited).toBe(137);

      const again = await startExecutable({ dir: folder });
      await again.waitReady(READY_LIMIT_MS);
      expect(namesIn(join(folder, "data")).filter((name) => /new/.test(name))).toEqual([]);
      expect(await again.stop()).toBe(0);
    },
    TEST_LIMIT_MS,
  );

  test(
    "with SIGTERM in the middle ends in order, and leaves nothing running",
    async () => {
      const server = await startExecutable({ dir: folder });
      await until(() => namesIn(join(folder, "data")).length > 0, { ms: TEST_LIMIT_MS });
      expect(await server.stop("SIGTERM")).toBe(0);
      expect(postmasterPid(folder)).toBeUndefined();
    },
    TEST_LIMIT_MS,
  );

  test(
    "and a second one at the same time: one serves, the other is refused",
    async () => {
      const servers = [await startExecutable({ dir: folder }), await startExecutable({ dir: folder })];
      const ends = servers.map((server) =>
        Promise.race([server.exited, server.waitReady(READY_LIMIT_MS).then(() => "ready" as const)]).catch(
          () => server.exited,
        ),
      );
      expect((await Promise.all(ends)).sort()).toEqual([78, "ready"]);
      for (const server of servers) await server.stop();
      expect(postmasterPid(folder)).toBeUndefined();
    },
    TEST_LIMIT_MS,
  );
});

/** Nothing while the folder is not there. */
function namesIn(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : [];
}
