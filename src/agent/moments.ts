import { readFileSync } from "node:fs";
import type { Clock } from "../lib/clock.ts";

/**
 * A moment by the host's clock, which may be put back or forward (by NTP, by a person, by the snapshot of a machine), and by one
 * that only goes on: with both it is known how long ago it was, and what the first would call it now, to another process too.
 */
export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
  /** The machine's start from which the second one counts. */
  readonly boot: string;
}

const BOOT_ID = "/proc/sys/kernel/random/boot_id";
/** Enough to tell one start from the next in a saved state, of which there may be thousands. */
const BOOT_CHARS = 8;
/** Each process knows the machine's start to a second; less than this is no step. */
const DOUBT_MS = 2_000;
/** How often it is looked whether the clock was put back. */
const LOOK_MS = 1_000;

/** Notes moments, and tells what became of the clock since. */
export function createMoments(clock: Pick<Clock, "now" | "monotonicMs">) {
  const boot = bootOf(ownBootId());

  /** When the machine was started, by the clock as it stands now. */
  const startMs = () => clock.now() - clock.monotonicMs();

  function stepMs(moment: Moment): number {
    // What was noted before the machine's start was so before that, whatever the clock said.
    const isSameStart = moment.boot === boot;
    const ms = isSameStart ? startMs() - (moment.wallMs - moment.monotonicMs) : Math.min(startMs() - moment.wallMs, 0);
    return Math.abs(ms) <= DOUBT_MS ? 0 : ms;
  }

  /** For how long it has been. */
  function ageMs({ wallMs, monotonicMs, boot: itsBoot }: Moment): number {
    const ms = itsBoot === boot ? clock.monotonicMs() - monotonicMs : clock.now() - wallMs;
    return Math.max(0, ms);
  }

  return {
    now: (): Moment => ({ wallMs: clock.now(), monotonicMs: clock.monotonicMs(), boot }),
    /** By how much the clock was put forward since then, or back, where it is negative; 0 for what is too little to be told. */
    stepMs,
    ageMs,
  };
}

export type Moments = ReturnType<typeof createMoments>;

/** Waits until the clock is put back: the last moment before that was seen; undefined when the signal aborts first. */
export async function whenSetBack(clock: Clock, moments: Moments, signal: AbortSignal): Promise<Moment | undefined> {
  let first = moments.now();
  let before = first;
  while (!signal.aborted) {
    await clock.sleep(LOOK_MS, signal);
    if (signal.aborted) return undefined;
    const stepMs = moments.stepMs(first);
    if (stepMs < 0) return before;
    before = moments.now();
    if (stepMs > 0) first = before;
  }
  return undefined;
}

/** Where a sandbox hides it, the moments of other processes are as those of other starts. */
const ownBootId = (): string => visibleBootId() ?? crypto.randomUUID();

/** The name of this start of the machine, undefined where a sandbox hides it. */
export function visibleBootId(): string | undefined {
  try {
    return readBootId();
  } catch {
    return undefined;
  }
}

/** The name of this start of the machine. */
export function readBootId(): string {
  return readFileSync(BOOT_ID, "utf8").trim();
}

/** The same of any start's name: the journal writes it without its dashes. */
export function bootOf(bootId: string): string {
  return bootId.replaceAll("-", "").slice(0, BOOT_CHARS);
}

/** What of a saved state is one. */
export function isMoment(value: unknown): value is Moment {
  if (typeof value !== "object" || value === null) return false;
  const { wallMs, monotonicMs, boot } = value as Partial<Record<keyof Moment, unknown>>;
  return typeof wallMs === "number" && typeof monotonicMs === "number" && typeof boot === "string";
}
