import type { Sql, TransactionSql } from "postgres";
import { backoffMs, type Clock, withDeadline } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Database } from "./client.ts";

/** Who listens on a channel. */
interface Listener {
  onMessage(payload: string): void;
  /** Messages come from now on; those before did not, nor those while the connection was away: read the state again. */
  onReady(): void;
}

/** How listening goes on this node. */
export interface ListeningState {
  readonly isConnected: boolean;
  /** How often the session was made anew. */
  readonly reconnects: number;
  /** How long the session's last probe took: what is notified is as late as that. */
  readonly lagMs: number;
}

const RETRY = { minMs: 100, maxMs: 1_000 };
const ANSWER_LIMIT_MS = 5_000;

/** A connection that only waits does not notice by itself that the other end is gone. */
const PROBE_INTERVAL_MS = 30_000;

/**
 * PostgreSQL's LISTEN and NOTIFY: they shorten a wait, and promise nothing. What must not be missed is polled. One
 * session for all channels.
 */
export function createNotifications(deps: { database: Database; clock: Clock; log: Log }) {
  const { database, clock, log } = deps;
  const listeners = new Map<string, Listener>();
  const closing = new AbortController();
  let session: Session | undefined;
  let running: Promise<void> | undefined;
  let isConnected = false;
  let joined = 0;
  let lagMs = 0;

  function guarded(what: string, call: () => void): void {
    try {
      if (!closing.signal.aborted) call();
    } catch (error) {
      log.error({ error, what }, "a listener failed");
    }
  }

  async function join(to: Session, channel: string, listener: Listener): Promise<void> {
    await to.listen(channel);
    guarded(channel, () => listener.onReady());
  }

  async function serve(to: Session): Promise<void> {
    try {
      await Promise.all([...listeners].map(([channel, listener]) => join(to, channel, listener)));
      isConnected = true;
      joined++;
      await to.lost(closing.signal);
    } catch (error) {
      log.debug({ error: errorMessage(error) }, "listening was interrupted");
    }
    isConnected = false;
    await to.end();
  }

  async function run(): Promise<void> {
    let attempt = 0;
    while (!closing.signal.aborted) {
      const startedMs = clock.monotonicMs();
      session = openSession(
        { database, clock, log },
        {
          onNotify: (channel, payload) => guarded(channel, () => listeners.get(channel)?.onMessage(payload)),
          onAnswer: (tookMs) => {
            lagMs = tookMs;
          },
        },
      );
      await serve(session);
      session = undefined;
      attempt = clock.monotonicMs() - startedMs > PROBE_INTERVAL_MS ? 0 : attempt + 1;
      await clock.sleep(backoffMs(attempt, RETRY), closing.signal);
    }
  }

  return {
    /** Listens, once started, whenever there is a connection, and again after each that was lost. One listener a channel. */
    listen(channel: string, listener: Listener): void {
      listeners.set(channel, listener);
      const current = session;
      if (current) join(current, channel, listener).catch((error) => current.breakOff(error));
    },
    /** Opens the session, and listens. Safe to call twice. */
    start(): void {
      running ??= run().catch((error) => log.error({ error }, "listening stopped"));
    },
    state: (): ListeningState => ({ isConnected, reconnects: Math.max(0, joined - 1), lagMs }),
    /** Ends the connection; nobody is called after it. Safe to call twice. */
    async close(): Promise<void> {
      closing.abort();
      await running;
    },
  };
}

export type Notifications = ReturnType<typeof createNotifications>;

/** One connection's life. */
function openSession(
  { database, clock, log }: { database: Database; clock: Clock; log: Log },
  { onNotify, onAnswer }: { onNotify: (channel: string, payload: string) => void; onAnswer: (tookMs: number) => void },
) {
  const over = new AbortController();
  const client = database.createSession({
    applicationName: "opspilot listen",
    onNotify,
    onClose: () => over.abort(),
  });
  const late = (error: unknown) => log.debug({ error: errorMessage(error) }, "an answer came late");
  const ask = async <T>(work: PromiseLike<T>): Promise<T> => {
    const askedMs = clock.monotonicMs();
    const answer = await withDeadline(Promise.resolve(work), ANSWER_LIMIT_MS, "an answer to a listening session", late);
    onAnswer(clock.monotonicMs() - askedMs);
    return answer;
  };

  return {
    listen: async (channel: string) => void (await ask(client`listen ${client(channel)}`)),
    /** Resolves when the connection is gone, leads to a server that only reads, answers no more, or the signal aborts. */
    async lost(signal: AbortSignal): Promise<void> {
      const either = AbortSignal.any([signal, over.signal]);
      for (;;) {
        await clock.sleep(PROBE_INTERVAL_MS, either);
        if (either.aborted) return;
        const [row] = await ask(
          client<{ readOnly: boolean }[]>`select current_setting('transaction_read_only') = 'on' as "readOnly"`,
        );
        if (row?.readOnly) return;
      }
    },
    breakOff(error: unknown): void {
      log.debug({ error: errorMessage(error) }, "a channel could not be joined");
      over.abort();
    },
    end: () => client.end({ timeout: 0 }),
  };
}

type Session = ReturnType<typeof openSession>;

/** Says `payload` (fewer than 8,000 bytes) on a channel to every node, this one too; within a transaction, at its commit. */
export async function notifyAll(sql: Sql | TransactionSql, channel: string, payload: string): Promise<void> {
  await sql`select pg_notify(${channel}, ${payload})`;
}
