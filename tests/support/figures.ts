import { writeArray } from "../../src/db/arrays.ts";
import { createFigures } from "../../src/figures/service.ts";
import { createLoops } from "../../src/lib/loops.ts";
import { createTestClock, type TestClock } from "./clock.ts";
import { quiet } from "./log.ts";
import type { TestDatabase } from "./postgres.ts";

const DAY_MS = 86_400_000;

/** A node's figures, on a clock that the test moves; they are written when the loops run, and by `stop`. */
export function createTestFigures(
  { database }: TestDatabase,
  options: { clock?: TestClock; sql?: TestDatabase["database"]["sql"]; retentionMs?: number; log?: typeof quiet } = {},
) {
  const { clock = createTestClock(Date.now()), sql = database.sql, retentionMs = 30 * DAY_MS, log = quiet } = options;
  return { clock, ...createFigures({ sql, clock, loops: createLoops(clock, log), log, retentionMs }) };
}

/** The present minute by the database's clock. */
export async function presentMinute({ database }: TestDatabase): Promise<number> {
  const [row] = await database.sql<{ minute: number }[]>`select floor(extract(epoch from now()) / 60)::int as minute`;
  return row?.minute ?? 0;
}

/** Minutes of a host as they were written by then: `value` says what each showed. */
export async function addMinutes(
  { database }: TestDatabase,
  agentId: string,
  minutes: readonly number[],
  value: (minute: number) => number = () => 10,
): Promise<void> {
  await database.sql`
    insert into figures_1m (agent_id, minute, samples, names, stats)
    select ${agentId}, t.minute, 2, '{cpu_pct}', t.stats::real[]
    from unnest(${minutes as number[]}::int[],
      ${minutes.map((minute) => writeArray([[value(minute) - 1, value(minute), value(minute) + 1]], String))}::text[]) t (minute, stats)`;
}

/** From the first to the last, which is not included. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, at) => from + at);
}
