import type { Sql } from "postgres";
import { withDeadline } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";

/** Asks one question at a time, on a connection that is destroyed when no answer comes: nothing piles up. */
export interface Asker<T> {
  /** Who asks while an answer is awaited gets the same one. Rejects when none comes in time. */
  ask(limitMs: number): Promise<T>;
  /** The next question goes over another connection. */
  forget(): void;
}

/** `connect` makes a client with one connection. */
export function createAsker<T>(connect: () => Sql, question: (sql: Sql) => Promise<T>, log: Log): Asker<T> {
  let client: Sql | undefined;
  let asking: Promise<T> | undefined;
  const late = (error: unknown) => log.debug({ error: errorMessage(error) }, "an answer of the database came late");

  async function ask(limitMs: number): Promise<T> {
    client ??= connect();
    const asked = client;
    try {
      return await withDeadline(question(asked), limitMs, "an answer of the database", late);
    } catch (error) {
      log.debug({ error: errorMessage(error) }, "the database does not answer");
      if (client === asked) forget();
      throw error;
    }
  }

  function forget(): void {
    const former = client;
    client = undefined;
    former?.end({ timeout: 0 }).catch(late);
  }

  return {
    ask(limitMs) {
      asking ??= ask(limitMs).finally(() => {
        asking = undefined;
      });
      return asking;
    },
    forget,
  };
}
