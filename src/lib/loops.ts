import { backoffMs, type Clock, endsWithin } from "./clock.ts";
import { errorMessage } from "./errors.ts";
import type { Log } from "./log.ts";

/** What a loop does, and how often. */
export interface LoopOptions {
  /** As the log and /readyz name it: "decisions". */
  readonly name: string;
  /**
   * One turn. Resolves with the milliseconds until the next is due, or nothing: then `everyMs` pass. The signal aborts at the
   * stop; a turn that throws is logged, and tried again after a growing wait.
   */
  readonly turn: (signal: AbortSignal) => Promise<number | undefined>;
  /** Longest rest: the guarantee, where nobody wakes the loop. */
  readonly everyMs: number;
  /** Least time from the end of a turn to the next one, however often it is woken; none when not said. */
  readonly restMs?: number;
  /** Longest wait after a turn that threw: 15 s when not said, and never longer than `everyMs`. */
  readonly retryMsMax?: number;
  /** Whether the first turn waits for `everyMs` or a wake. */
  readonly restsFirst?: boolean;
  /** A turn that takes longer is reported. */
  readonly turnLimitMs?: number;
  /** For the log: "decisions could not be looked after". */
  readonly failed: string;
}

/** Work that is done again and again, one turn at a time. */
export interface Loop extends Running {
  /** Something may be due: the next turn comes as soon as it may; a wake during a turn is for the next one. */
  wake(): void;
}

const TURN_LIMIT_MS = 15_000;
/** Longest wait of a turn that comes by itself for the one before it. */
const LINE_LIMIT_MS = 100;
const SHARED_TURN_MS = 5_000;
const RETRY = { minMs: 200, maxMs: 15_000 };

/** Milliseconds until the first of the moments, after `ms` more, at which loops take their turns together. */
export function untilSharedTurn(nowMs: number, ms: number): number {
  return Math.ceil((nowMs + ms) / SHARED_TURN_MS) * SHARED_TURN_MS - nowMs;
}

/** All loops of a process; each waits by `clock`. */
export function createLoops(clock: Clock, log: Log) {
  const turns = new Map<object, { name: string; lateAtMs: number }>();
  const halting = new AbortController();
  const waitInLine = createLine(clock);

  /** Runs one turn, and says so when it is late and when it has come to its end after all. */
  async function runTurn(options: LoopOptions, signal: AbortSignal): Promise<number | undefined> {
    const { name, turnLimitMs = TURN_LIMIT_MS } = options;
    const key = {};
    turns.set(key, { name, lateAtMs: clock.monotonicMs() + turnLimitMs });
    const timer = setTimeout(
      () => log.error({ loop: name, limitMs: turnLimitMs }, "a loop's turn is late"),
      turnLimitMs,
    );
    try {
      return await options.turn(signal);
    } finally {
      clearTimeout(timer);
      turns.delete(key);
    }
  }

  return {
    start: (options: LoopOptions) => startLoop(options, { clock, log, runTurn, waitInLine, halted: halting.signal }),
    /** Tells all of them to come to an end, without waiting for it: each is waited for by its owner's `stop`. */
    halt: (): void => halting.abort(),
    /** Names of those whose turn takes too long now. */
    late(): string[] {
      const nowMs = clock.monotonicMs();
      const names = [...turns.values()].filter(({ lateAtMs }) => lateAtMs <= nowMs).map(({ name }) => name);
      return [...new Set(names)];
    },
  };
}

export type Loops = ReturnType<typeof createLoops>;

/**
 * Turns that come by themselves come together, and stand in line: each begins when the one before it is over, so that at rest one
 * connection to the database is enough for all. A turn that takes long holds the next up for a moment only.
 */
function createLine(clock: Clock) {
  let last: Promise<void> | undefined;
  return async (signal: AbortSignal): Promise<() => void> => {
    const before = last;
    const { promise, resolve } = Promise.withResolvers<void>();
    last = promise;
    if (before !== undefined) await endsWithin(clock, LINE_LIMIT_MS, before, signal);
    return () => {
      if (last === promise) last = undefined;
      resolve();
    };
  };
}

interface LoopDeps {
  /** Waits for the turn before, and resolves with what is to be called when one's own is over. */
  waitInLine: (signal: AbortSignal) => Promise<() => void>;
  clock: Clock;
  log: Log;
  runTurn: (options: LoopOptions, signal: AbortSignal) => Promise<number | undefined>;
  halted: AbortSignal;
}

function startLoop(options: LoopOptions, { clock, log, runTurn, waitInLine, halted }: LoopDeps): Loop {
  const { everyMs, retryMsMax = RETRY.maxMs, restMs = 0, restsFirst = false } = options;
  const stopping = new AbortController();
  const signal = AbortSignal.any([stopping.signal, halted]);
  let waking = new AbortController();
  let failures = 0;

  async function turnOnce(): Promise<number> {
    try {
      const dueMs = await runTurn(options, signal);
      failures = 0;
      return untilDue(dueMs);
    } catch (error) {
      if (signal.aborted) return 0;
      log.warn({ error: errorMessage(error), loop: options.name }, options.failed);
      return Math.min(backoffMs(failures++, RETRY), retryMsMax, everyMs);
    }
  }

  /** A time that is no more than a guarantee is shared by all loops: a process that is at rest wakes once for all of them. */
  function untilDue(dueMs: number | undefined): number {
    // What was due before is due now.
    if (dueMs !== undefined && dueMs < everyMs) return Math.max(dueMs, 0);
    const nowMs = clock.monotonicMs();
    const sharedMs = Math.floor((nowMs + everyMs) / SHARED_TURN_MS) * SHARED_TURN_MS;
    return sharedMs > nowMs ? sharedMs - nowMs : everyMs;
  }

  /** Until the next turn: when it is due or somebody wakes the loop, but not before the rest is over. One timer, mostly. */
  async function rest(waitMs: number): Promise<void> {
    const startedMs = clock.monotonicMs();
    await clock.sleep(waitMs, AbortSignal.any([signal, waking.signal]));
    const leftMs = restMs - (clock.monotonicMs() - startedMs);
    if (leftMs > 0) await clock.sleep(leftMs, signal);
  }

  async function run(): Promise<void> {
    if (restsFirst) await clock.sleep(everyMs, AbortSignal.any([signal, waking.signal]));
    let isWoken = true;
    while (!signal.aborted) {
      const isOver = isWoken ? undefined : await waitInLine(signal);
      waking = new AbortController();
      const restMs = await turnOnce();
      isOver?.();
      await rest(restMs);
      isWoken = waking.signal.aborted;
    }
  }

  const running = run();
  return {
    wake: () => waking.abort(),
    stop() {
      stopping.abort();
      return running;
    },
  };
}

/** Something that runs until it is stopped. */
export interface Running {
  /** Ends it, and resolves once the last run is over. Safe to call twice. */
  stop(): Promise<void>;
}

/** Runs `task` again and again, `intervalMs` after the end of the last run, one at a time; a failure goes to `failed`. */
export function repeat(
  clock: Clock,
  intervalMs: number,
  task: () => Promise<void>,
  failed: (error: unknown) => void,
): Running {
  const stopping = new AbortController();
  const loop = async () => {
    while (!stopping.signal.aborted) {
      await clock.sleep(intervalMs, stopping.signal);
      if (stopping.signal.aborted) return;
      await task().catch(failed);
    }
  };
  const done = loop();
  return {
    stop: () => {
      stopping.abort();
      return done;
    },
  };
}
