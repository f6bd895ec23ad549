import type { Clock } from "../../lib/clock.ts";
import { isRecord } from "../../lib/json.ts";
import { createMoments, isMoment, type Moment, whenSetBack } from "../moments.ts";
import type { ContainerEvent } from "./docker-events.ts";

/** Up to where an engine's events were heard. */
export interface EventPlace {
  /** The last event's moment, "1706140800.000000001". */
  readonly since: string;
  /** When it was heard, or nothing came after it still. */
  readonly heard: Moment;
  /** The latest moment of all events, by whatever the clock was then. */
  readonly latest: string;
}

/** An event is heard within this time. */
const LAG_MS = 5_000;
/** What is later than now by more than this was told by a clock that was put back since. */
const AHEAD_MS = 1_000;

/**
 * Goes on where listening ended. Engines find events by their moments, which the host's clock gives them: one that was put back
 * gives the new ones moments before those that were heard, and the old ones lie in the future then.
 */
export function createEventPlaces(clock: Clock, saved: EventPlace | undefined) {
  const moments = createMoments(clock);
  let place = saved ?? placeOf(clock.now());

  function placeOf(ms: number): EventPlace {
    return { since: secondsOf(ms), heard: moments.now(), latest: secondsOf(ms) };
  }

  return {
    place: (): EventPlace => place,
    /** From which moment on the engine is to be asked, in its words. */
    from(): string {
      const isSetBack = moments.stepMs(place.heard) < 0 || Number(place.since) * 1000 > clock.now();
      return isSetBack ? secondsOf(clock.now() - moments.ageMs(place.heard) - LAG_MS) : place.since;
    },
    /** It is of the time before the clock was put back, and was heard then. */
    wasHeard: ({ at, atMs }: ContainerEvent): boolean =>
      atMs > clock.now() + AHEAD_MS && Number(at) <= Number(place.latest),
    heard({ at }: ContainerEvent): void {
      const latest = Number(at) > Number(place.latest) ? at : place.latest;
      place = { since: at, heard: moments.now(), latest };
    },
    /** Waits until the clock is put back; false when the signal aborts first. All was heard until then. */
    async whenSetBack(signal: AbortSignal): Promise<boolean> {
      const before = await whenSetBack(clock, moments, signal);
      if (before) place = { ...place, heard: before };
      return before !== undefined;
    },
  };
}

export type EventPlaces = ReturnType<typeof createEventPlaces>;

/** What of a saved state is one; of one that a former version saved it is not known when it was heard. */
export function eventPlaceIn(value: unknown, clock: Clock): EventPlace | undefined {
  if (!isRecord(value) || typeof value.since !== "string") return undefined;
  const { since, heard, latest } = value;
  const heardMoment = isMoment(heard) ? heard : createMoments(clock).now();
  return { since, heard: heardMoment, latest: typeof latest === "string" ? latest : since };
}

function secondsOf(ms: number): string {
  return String(ms / 1000);
}
