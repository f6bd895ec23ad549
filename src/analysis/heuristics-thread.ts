import { setPriority } from "node:os";
import { join } from "node:path";
import { type MessagePort, parentPort, Worker } from "node:worker_threads";
import { isExecutable } from "../config/environment.ts";
import { errorMessage, OpsPilotError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { createHeuristics } from "./heuristics.ts";
import type { Evidence, HeuristicAnswer } from "./model.ts";

/** Far above what the longest log takes (some 30 ms), on a machine that gives the thread a hundredth of a core. */
const ANSWER_LIMIT_MS = 30_000;
/** Nobody asked for so long: its memory is given back. */
const IDLE_MS = 60_000;
/** Of 19: all other work of the machine comes first, and what is left is enough for some hundred incidents a second. */
const NICENESS = 10;

/** The heuristics in a thread of their own. */
export interface HeuristicsThread {
  /** Rejects with a HeuristicsError where they fail on this evidence, or do not come to an end. */
  explain(evidence: Evidence): Promise<HeuristicAnswer>;
  /** Ends the thread; who waits for an answer gets a HeuristicsError. Safe to call twice. */
  stop(): Promise<void>;
}

/** `failed`: the rules stumbled over this evidence. `ended`: they came to no end with it. `stopped`: they were not asked to the end. */
export class HeuristicsError extends OpsPilotError<"failed" | "ended" | "stopped"> {}

interface ThreadOptions {
  /** The file that a thread runs. */
  entry: string;
  answerLimitMs: number;
  idleMs: number;
}

/** What the thread is asked, and what it answers. */
type Answer = { answer: HeuristicAnswer } | { failed: string };

interface Asked {
  evidence: Evidence;
  resolve: (answer: HeuristicAnswer) => void;
  reject: (error: HeuristicsError) => void;
}

/**
 * Explains beside the event loop, one evidence after the other: a log of 256 KB takes tens of milliseconds, in which no agent would be
 * heard. The thread begins with the first evidence, where it compiles the rules, and ends when there is none for a while. One
 * that gives no answer, or dies, is ended, and costs only the evidence that it was about.
 */
export function createHeuristicsThread(log: Log, options: Partial<ThreadOptions> = {}): HeuristicsThread {
  const { answerLimitMs = ANSWER_LIMIT_MS, idleMs = IDLE_MS } = options;
  const waiting: Asked[] = [];
  let running: { worker: Worker; asked: Asked | undefined } | undefined;
  let timer: Timer | undefined;
  let isStopped = false;

  function next(): void {
    clearTimeout(timer);
    const asked = waiting.shift();
    if (asked === undefined) {
      timer = unrefTimeout(end, idleMs);
      return;
    }
    running ??= { worker: begin(), asked: undefined };
    running.asked = asked;
    running.worker.postMessage(asked.evidence);
    timer = unrefTimeout(() => fail("gave no answer in time"), answerLimitMs);
  }

  function begin(): Worker {
    const worker = new Worker(options.entry ?? entryOfAll());
    worker.unref();
    worker.on("message", (answer: Answer) => running?.worker === worker && settle(answer));
    worker.on("error", (error) => running?.worker === worker && fail(errorMessage(error)));
    worker.on("exit", () => running?.worker === worker && fail("ended by itself"));
    return worker;
  }

  function settle(answer: Answer): void {
    const asked = running?.asked;
    if (running === undefined || asked === undefined) return;
    running.asked = undefined;
    if ("answer" in answer) asked.resolve(answer.answer);
    else asked.reject(new HeuristicsError("failed", answer.failed));
    next();
  }

  function fail(why: string): void {
    log.error({ why }, "the thread of the heuristics is begun anew");
    const asked = running?.asked;
    void end();
    asked?.reject(new HeuristicsError("ended", `the heuristics' thread ${why}`));
    next();
  }

  function end(): Promise<unknown> {
    const worker = running?.worker;
    running = undefined;
    return Promise.resolve(worker?.terminate()).catch((error) => log.warn({ error }, "a thread could not be ended"));
  }

  return {
    explain(evidence) {
      if (isStopped) return Promise.reject(stopped());
      return new Promise((resolve, reject) => {
        // Only what is asked for: the rest of an incident need not be copied.
        const { type, source, message, logs, exitCode } = evidence;
        waiting.push({ evidence: { type, source, message, logs, exitCode }, resolve, reject });
        if (running?.asked === undefined) next();
      });
    },
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      const left = [running?.asked, ...waiting.splice(0)];
      await end();
      for (const asked of left) asked?.reject(stopped());
    },
  };
}

const stopped = () => new HeuristicsError("stopped", "the heuristics are stopped");

/** An executable has one entry, which knows its threads. */
function entryOfAll(): string {
  return isExecutable() ? Bun.main : join(import.meta.dir, "../main.ts");
}

function unrefTimeout(work: () => unknown, ms: number): Timer {
  const timer = setTimeout(work, ms);
  timer.unref();
  return timer;
}

/** The other side: answers until the thread is ended. */
export function runHeuristicsThread(port: MessagePort | null = parentPort): void {
  giveWay();
  const explain = createHeuristics();
  port?.on("message", (evidence: Evidence) => port.postMessage(answerOf(explain, evidence)));
}

function answerOf(explain: (evidence: Evidence) => HeuristicAnswer, evidence: Evidence): Answer {
  try {
    return { answer: explain(evidence) };
  } catch (error) {
    return { failed: errorMessage(error) };
  }
}

/** Of this thread alone, as Linux has it (setpriority(2), PRIO_PROCESS). Where a sandbox forbids that, it explains all the same. */
function giveWay(): void {
  try {
    setPriority(0, NICENESS);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}
