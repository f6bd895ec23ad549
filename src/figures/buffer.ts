import { addTally, type Tally } from "./samples.ts";

/** Names of all tallies together, some 100 bytes each: of 5,000 hosts with 8 figures each, seven minutes. */
const NAMES_MAX = 300_000;

/** What hosts said within one minute. */
export interface Minute {
  /** Its middle, by the monotonic clock: where it lies is said by its age, whatever clocks are set to meanwhile. */
  readonly middleMs: number;
  readonly byAgent: Map<string, Tally>;
}

/** What is heard and not yet written, by minutes. Bounded: while nothing can be written the oldest minutes go. */
export function createFigureBuffer(namesMax = NAMES_MAX) {
  const minutes = new Map<number, Minute>();
  let names = 0;
  let lost = 0;

  function add(key: number, middleMs: number, agentId: string, tally: Tally): void {
    const { byAgent } = minuteOf(key, middleMs);
    const known = byAgent.get(agentId);
    const before = known?.names.length ?? 0;
    if (known) addTally(known, tally);
    else byAgent.set(agentId, tally);
    names += (byAgent.get(agentId)?.names.length ?? 0) - before;
    while (names > namesMax) dropOldest();
  }

  function minuteOf(key: number, middleMs: number): Minute {
    const found = minutes.get(key) ?? { middleMs, byAgent: new Map() };
    minutes.set(key, found);
    return found;
  }

  function dropOldest(): void {
    const [oldest] = [...minutes].sort(([, a], [, b]) => a.middleMs - b.middleMs);
    if (oldest) lost += remove(oldest[0])?.byAgent.size ?? 0;
  }

  function remove(key: number): Minute | undefined {
    const found = minutes.get(key);
    minutes.delete(key);
    for (const tally of found?.byAgent.values() ?? []) names -= tally.names.length;
    return found;
  }

  return {
    add,
    /** Takes out all minutes but the present one, oldest first. */
    take(present: number | undefined): [key: number, minute: Minute][] {
      const keys = [...minutes.keys()].filter((key) => key !== present);
      const taken = keys.map((key): [number, Minute] => [key, remove(key) as Minute]);
      return taken.sort(([, a], [, b]) => a.middleMs - b.middleMs);
    },
    isEmpty: () => minutes.size === 0,
    /** Minutes of hosts that wait. */
    size: () => [...minutes.values()].reduce((total, { byAgent }) => total + byAgent.size, 0),
    /** Minutes of hosts that were let go since this was asked last. */
    takeLost(): number {
      const count = lost;
      lost = 0;
      return count;
    },
  };
}
