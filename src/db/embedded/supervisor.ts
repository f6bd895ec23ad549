import { backoffMs } from "../../lib/backoff.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { repeat } from "../../lib/repeat.ts";
import { rotatePostgresLog } from "./postgres-log.ts";
import type { Postmaster } from "./postmaster.ts";

const RESTART = { minMs: 100, maxMs: 10_000 };

/** One that ran for less died of the same cause as the one before: the waits go on growing. */
const STEADY_MS = 60_000;
const ROTATE_MS = 60_000;

/** Keeps a PostgreSQL running. */
export interface Supervisor {
  /** Undefined while none runs. */
  current(): Postmaster | undefined;
  /** Watches no longer; the postmaster runs on. Safe to call twice. */
  stop(): Promise<void>;
}

export interface SupervisorOptions {
  /** Starts another one, or joins one that someone else started. */
  restart(): Promise<Postmaster>;
  logPath: string;
  clock: Clock;
  log: Log;
}

/** running → (it ends) → wait, longer each time → start → running; until it is stopped. */
export function supervise(first: Postmaster, { restart, logPath, clock, log }: SupervisorOptions): Supervisor {
  const stopping = new AbortController();
  const aborted = new Promise<undefined>((resolve) =>
    stopping.signal.addEventListener("abort", () => resolve(undefined), { once: true }),
  );
  let current: Postmaster | undefined = first;
  let attempt = 0;

  async function watch(postmaster: Postmaster): Promise<void> {
    const startMs = clock.monotonicMs();
    const reason = await Promise.race([postmaster.whenEnded(), aborted]);
    if (stopping.signal.aborted) return;
    current = undefined;
    if (clock.monotonicMs() - startMs > STEADY_MS) attempt = 0;
    log.error({ pid: postmaster.pid, reason }, "PostgreSQL has ended: it is started again");
  }

  async function bringBack(): Promise<void> {
    await clock.sleep(backoffMs(attempt++, RESTART), stopping.signal);
    if (stopping.signal.aborted) return;
    try {
      current = await restart();
    } catch (error) {
      log.error({ reason: errorMessage(error) }, "PostgreSQL cannot be started");
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) await (current ? watch(current) : bringBack());
  }

  const rotation = repeat(
    clock,
    ROTATE_MS,
    async () => rotatePostgresLog(logPath),
    (error) => log.warn({ reason: errorMessage(error) }, "PostgreSQL's log cannot be rotated"),
  );
  const running = run();
  return {
    current: () => current,
    stop: async () => {
      stopping.abort();
      await Promise.all([running, rotation.stop()]);
    },
  };
}
