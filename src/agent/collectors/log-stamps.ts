/** A time as engines write it in front of a line: Docker with nine digits, Podman 4 with none, and in its own zone. */
const STAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) /;
/** "2026-11-28T13:42:08Z 3": that second, and how many of its lines were read. */
const PLACE = /^(\S+) (\d{1,9})$/;

/** A line of a container's output. */
export interface StampedLine {
  readonly stamp: string;
  /** Without the time. */
  readonly text: string;
  /** Its time tells it from others. */
  readonly isWhole: boolean;
  /** It was read before. */
  readonly isRepeated: boolean;
}

/**
 * Reads lines from a place on. An engine gives again what it has of that very moment: all of which was read where moments
 * are nanoseconds, and of a second so many lines as were counted.
 */
export function createStampReader(startPlace: string) {
  const [, from = startPlace, countText] = PLACE.exec(startPlace) ?? [];
  let toSkip = countText === undefined ? Number.POSITIVE_INFINITY : Number(countText);
  let last = from;
  let count = countText === undefined ? 0 : Number(countText);

  return {
    /** The moment from which on lines are wanted. */
    from,
    read(text: string): StampedLine | undefined {
      const [head, , fraction, ,] = STAMP.exec(text) ?? [];
      if (head === undefined) return undefined;
      const stamp = head.trim();
      const isRepeated = stamp === from && toSkip > 0;
      if (isRepeated) toSkip--;
      else if (stamp === last) count++;
      else [last, count] = [stamp, 1];
      return { stamp, text: text.slice(head.length), isWhole: fraction !== undefined, isRepeated };
    },
    /** Up to where all was read. */
    place: (): string => (/\.\d/.test(last) ? last : `${last} ${count}`),
  };
}

/** As Docker writes it, in nanoseconds. */
export function stampOf(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000000Z");
}

/** "1706140800.000000001", of the same moment. */
export function secondsOf(stamp: string): string {
  const [seconds, nano] = momentOf(stamp);
  return `${seconds}.${nano}`;
}

/** True when the one is the earlier moment. */
export function isBefore(stamp: string, other: string): boolean {
  const [seconds, nano] = momentOf(stamp);
  const [otherSeconds, otherNano] = momentOf(other);
  return seconds < otherSeconds || (seconds === otherSeconds && nano < otherNano);
}

function momentOf(stamp: string): [seconds: number, nano: string] {
  const [, moment = "", fraction = "", zone = "Z"] = STAMP.exec(`${stamp} `) ?? [];
  return [Math.floor(Date.parse(`${moment}${zone}`) / 1000) || 0, fraction.padEnd(9, "0")];
}
