import { constants } from "node:os";
import type { Clock } from "../../lib/clock.ts";
import type { ContainerEvent } from "./docker-events.ts";
import { isKilledCode } from "./docker-judge.ts";
import { CONTAINERS_MAX } from "./docker-known.ts";
import type { ContainerState } from "./docker-state.ts";
import { createBoundedMap } from "./happening.ts";

/** SIGINT, SIGQUIT, SIGKILL, SIGTERM, SIGRTMIN+3. */
const ENDING_SIGNALS = [2, 3, 9, 15, 37];
const SIGRTMIN = 34;
/** After such a signal an end within this time was wanted: more than an owner usually grants. */
const STOP_MS = 120_000;

type OwnersWay = Pick<ContainerState, "stopSignal" | "stopSeconds">;

export interface StopWishesOptions {
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly inspect: (id: string) => Promise<ContainerState | undefined>;
}

/** Who wants which container to end. */
export function createStopWishes({ clock, inspect }: StopWishesOptions) {
  const asked = createBoundedMap<{ sinceMs: number; untilMs: number; isVague: boolean }>(CONTAINERS_MAX);
  /** An engine that ends answers no question about a container that it waits for. */
  const ways = createBoundedMap<OwnersWay>(CONTAINERS_MAX);

  function sinceOf(id: string): number | undefined {
    const wish = asked.get(id);
    return wish && clock.monotonicMs() <= wish.untilMs ? wish.sinceMs : undefined;
  }

  function ask(id: string, { isVague = false, stopSeconds = 0 } = {}): void {
    const waitMs = stopSeconds < 0 ? Number.POSITIVE_INFINITY : STOP_MS + stopSeconds * 1000;
    const nowMs = clock.monotonicMs();
    // Who does not end when it is asked is killed later: it is still the first time that counts.
    const sinceMs = sinceOf(id) ?? nowMs;
    asked.set(id, { sinceMs, untilMs: nowMs + waitMs, isVague });
  }

  return {
    ask,
    /** How its owner wants it to be ended, as it was described. */
    note: ({ id, stopSignal, stopSeconds }: ContainerState): void => ways.set(id, { stopSignal, stopSeconds }),
    /** Somebody had a signal sent to it. */
    async signalled({ id, signal }: ContainerEvent & { kind: "signalled" }): Promise<void> {
      const way: OwnersWay | undefined = ways.get(id) ?? (await inspect(id));
      const isVague = signal === "";
      if (isVague || asksForEnd(signal, way?.stopSignal)) ask(id, { isVague, stopSeconds: way?.stopSeconds });
    },
    /** Whether its end was wanted; `maybe` by Podman, which does not say which signal it was. */
    take({ id, exitCode }: ContainerEvent & { kind: "died" }): "yes" | "maybe" | "no" {
      const wish = asked.get(id);
      asked.delete(id);
      if (wish === undefined || clock.monotonicMs() > wish.untilMs) return "no";
      return !wish.isVague || isKilledCode(exitCode) ? "yes" : "maybe";
    },
    /** Since when its end is wanted, on the clock that nobody sets. */
    sinceOf,
    forget: (id: string): void => void asked.delete(id),
  };
}

/** Others than the usual signals ask for an end where the container's owner says so. */
function asksForEnd(signal: string, stopSignal: string | undefined): boolean {
  const number = Number(signal);
  return ENDING_SIGNALS.includes(number) || signalNumber(stopSignal) === number;
}

/** A container's owner may name it or number it. */
function signalNumber(signal: string | undefined): number | undefined {
  if (!signal) return undefined;
  if (/^\d+$/.test(signal)) return Number(signal);
  const [, plus] = /^(?:SIG)?RTMIN\+(\d+)$/.exec(signal) ?? [];
  if (plus !== undefined) return SIGRTMIN + Number(plus);
  const signals: Readonly<Record<string, number | undefined>> = constants.signals;
  return signals[signal.startsWith("SIG") ? signal : `SIG${signal}`];
}
