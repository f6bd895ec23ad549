import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHeuristics } from "../../src/analysis/heuristics.ts";
import { createHeuristicsThread } from "../../src/analysis/heuristics-thread.ts";
import type { Evidence } from "../../src/analysis/model.ts";
import { quiet } from "../support/log.ts";
import { patientThreads } from "../support/processes.ts";
import { until } from "../support/until.ts";

const LONG_MS = 60_000;
let dir: string;
let threads: ReturnType<typeof createHeuristicsThread>[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "opspilot-thread-"));
  return () => rm(dir, { recursive: true, force: true });
});

afterEach(async () => {
  for (const thread of threads) await thread.stop();
  threads = [];
});

function start(options: Parameters<typeof createHeuristicsThread>[1] = {}) {
  const thread = createHeuristicsThread(quiet, options);
  threads.push(thread);
  return thread;
}

/** A thread that does with each evidence what `body` says. */
async function entryOf(body: string): Promise<string> {
  const path = join(dir, `${Bun.randomUUIDv7()}.ts`);
  const head = 'import { parentPort } from "node:worker_threads";';
  await Bun.write(path, `${head}\nparentPort!.on("message", (evidence) => {${body}});\n`);
  return path;
}

function evidenceOf(line: string): Evidence {
  return { type: "systemd", source: "web", message: "web failed", logs: line, exitCode: 1 };
}

const IN_USE = evidenceOf("Error: listen EADDRINUSE: address already in use :::3000");
const ECHO = 'parentPort!.postMessage({ answer: { category: "crash", why: evidence.source } });';

describe("explaining in a thread", () => {
  test("says what the heuristics say, of all that is asked at once, in a thread to which others come first", async () => {
    const explain = createHeuristics();
    const asked = [IN_USE, evidenceOf("no space left on device"), evidenceOf("it stopped")];
    const thread = start();
    expect(await Promise.all(asked.map((one) => thread.explain(one)))).toEqual(asked.map((one) => explain(one)));
    expect(patientThreads(process.pid)).toBeGreaterThan(0);
  });

  test("ends once nobody asks, and begins anew with the next", async () => {
    const thread = start({ idleMs: 50 });
    const first = await thread.explain(IN_USE);
    await until(() => patientThreads(process.pid) === 0, { ms: LONG_MS, what: "the thread is gone" });
    expect(await thread.explain(IN_USE)).toEqual(first);
  });

  test("tells which evidence the rules stumbled over, and goes on", async () => {
    const fails = `if (evidence.source === "bad") parentPort!.postMessage({ failed: "stumbled" }); else ${ECHO}`;
    const thread = start({ entry: await entryOf(fails) });
    const [bad, good] = await Promise.allSettled([
      thread.explain({ ...IN_USE, source: "bad" }),
      thread.explain(IN_USE),
    ]);
    expect(bad).toMatchObject({ status: "rejected", reason: { reason: "failed", message: "stumbled" } });
    expect(good).toMatchObject({ status: "fulfilled", value: { why: "web" } });
  });

  test.each([
    ["comes to no end", `while (evidence.source === "bad") {} ${ECHO}`],
    ["dies", `if (evidence.source === "bad") process.exit(1); else ${ECHO}`],
    ["throws", `if (evidence.source === "bad") throw new Error("a fault"); else ${ECHO}`],
  ])("a thread that %s costs only what it was about", async (_, body) => {
    const thread = start({ entry: await entryOf(body), answerLimitMs: 3_000 });
    const sources = ["a", "bad", "b"];
    const answers = await Promise.allSettled(sources.map((source) => thread.explain({ ...IN_USE, source })));
    expect(answers).toMatchObject([
      { status: "fulfilled", value: { why: "a" } },
      { status: "rejected", reason: { reason: "ended" } },
      { status: "fulfilled", value: { why: "b" } },
    ]);
  });

  test("a stop answers whoever waits, at once", async () => {
    const thread = start({ entry: await entryOf("") });
    const asked = [thread.explain(IN_USE), thread.explain(IN_USE)];
    const settled = Promise.allSettled(asked);
    await thread.stop();
    await thread.stop();
    for (const one of await settled) expect(one).toMatchObject({ status: "rejected", reason: { reason: "stopped" } });
    expect(thread.explain(IN_USE)).rejects.toMatchObject({ reason: "stopped" });
  });
});
