import type { Sql } from "postgres";
import type { Clock } from "../lib/clock.ts";
import { errorCode, errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";

/** What was found holds so long, lest who asks often makes work; for those who are patient even longer while all is well. */
const HOLDS_MS = { good: 10_000, goodForPatient: 60_000, bad: 1_000 };
/** Out of resources (a full disk), a server that only reads, and what the system refuses. */
const CANNOT_WRITE = /^(53|25006|58)/;

/** Why nothing can be written, in PostgreSQL's words; null when it can. Who asks all day, and not for the moment, is patient. */
export type WriteProbe = (options?: { isPatient?: boolean }) => Promise<string | null>;

class TakenBack extends Error {}

/**
 * Whether something new can be written: null, or why not, in PostgreSQL's words. A full disk shows only where a file grows, so a
 * table is made, filled and taken back. Whatever else fails says nothing about that: a role may have no right to make one.
 */
export function createWriteProbe(sql: Sql, clock: Clock, log: Log): WriteProbe {
  let known: { why: string | null; atMs: number } | undefined;
  let trying: Promise<string | null> | undefined;

  async function tryOnce(): Promise<string | null> {
    const table = sql(`opspilot_probe_${crypto.randomUUID().slice(0, 8)}`);
    try {
      await sql.begin(async (tx) => {
        await tx`create table ${table} (filling text)`;
        await tx`insert into ${table} select repeat('x', 1000) from generate_series(1, 16)`;
        throw new TakenBack();
      });
      return null;
    } catch (error) {
      if (error instanceof TakenBack) return null;
      if (CANNOT_WRITE.test(errorCode(error))) return errorMessage(error);
      log.debug({ error: errorMessage(error) }, "it could not be tried whether the database can write");
      return null;
    }
  }

  async function look(): Promise<string | null> {
    const why = await tryOnce();
    known = { why, atMs: clock.monotonicMs() };
    return why;
  }

  return async ({ isPatient = false } = {}) => {
    const goodMs = isPatient ? HOLDS_MS.goodForPatient : HOLDS_MS.good;
    if (known && clock.monotonicMs() < known.atMs + (known.why === null ? goodMs : HOLDS_MS.bad)) return known.why;
    trying ??= look().finally(() => {
      trying = undefined;
    });
    return trying;
  };
}
