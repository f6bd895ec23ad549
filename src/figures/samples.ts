import type { Metrics } from "../protocol/frames.ts";

/** As many disks as our agent sends. */
const DISKS_MAX = 50;
const MOUNT_CHARS_MAX = 200;
/** Beyond it a figure is no load and no percentage, and would not fit its column. */
const VALUE_MAX = 1_000_000;

/** Figures of one host over some time: for each name how many there were, the least, their sum, the most. */
export interface Tally {
  samples: number;
  readonly names: string[];
  readonly numbers: number[];
}

/** Numbers of each name. */
const WIDTH = 4;

/** What one heartbeat says; no names where it says nothing that is kept. */
export function tallyOf(metrics: Partial<Metrics>): Tally {
  const tally: Tally = { samples: 1, names: [], numbers: [] };
  const put = (name: string, value: number | undefined) => {
    if (value === undefined || !(value >= 0 && value <= VALUE_MAX) || tally.names.includes(name)) return;
    tally.names.push(name);
    tally.numbers.push(1, value, value, value);
  };
  put("cpu_pct", metrics.cpu_pct);
  put("load1", metrics.load1);
  put("mem_used_pct", percentOf(metrics.mem_used_bytes, metrics.mem_total_bytes));
  put("swap_used_pct", percentOf(metrics.swap_used_bytes, metrics.swap_total_bytes));
  for (const { mount, used_bytes, total_bytes } of (metrics.disks ?? []).slice(0, DISKS_MAX))
    if (mount.length <= MOUNT_CHARS_MAX) put(`disk:${mount}`, percentOf(used_bytes, total_bytes));
  return tally;
}

function percentOf(used: number | undefined, total: number | undefined): number | undefined {
  return used === undefined || !total ? undefined : Math.min(100, (100 * used) / total);
}

/** Adds the second to the first. */
export function addTally(tally: Tally, other: Tally): void {
  tally.samples += other.samples;
  for (const [at, name] of other.names.entries()) {
    const [count = 0, least = 0, sum = 0, most = 0] = numbersAt(other, at);
    // Heartbeats of a host name the same in the same order.
    const place = tally.names[at] === name ? at : tally.names.indexOf(name);
    if (place < 0) {
      tally.names.push(name);
      tally.numbers.push(count, least, sum, most);
      continue;
    }
    const [c = 0, l = 0, s = 0, m = 0] = numbersAt(tally, place);
    tally.numbers.splice(place * WIDTH, WIDTH, c + count, Math.min(l, least), s + sum, Math.max(m, most));
  }
}

function numbersAt({ numbers }: Tally, place: number): number[] {
  return numbers.slice(place * WIDTH, (place + 1) * WIDTH);
}

/** For each name the least, the mean and the most, with as many digits as are worth their room. */
export function statsOf(tally: Tally): number[][] {
  return tally.names.map((_, at) => {
    const [count = 1, least = 0, sum = 0, most = 0] = numbersAt(tally, at);
    return [least, sum / count, most].map(rounded);
  });
}

/** To hundredths. */
export function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
