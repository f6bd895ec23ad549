import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { Running } from "../lib/repeat.ts";
import type { ConnectionStatusFile } from "./connection-status.ts";
import { createReconnectPolicy, type NextTry } from "./reconnect.ts";
import { runSession, type SessionDeps, type SessionEnd } from "./session.ts";

/** The same trouble again and again is told once in this time. */
const REMINDER_MS = 15 * 60_000;

export interface ConnectionDeps extends Omit<SessionDeps, "welcomed"> {
  /** For people: where the server is. */
  readonly serverUrl: string;
  /** For `opspilot agent check`. */
  readonly status?: ConnectionStatusFile;
  /** The server has accepted us; the signal aborts when the agent stops. */
  readonly welcomed: (signal: AbortSignal) => void;
}

/** Keeps a connection to the server for as long as the agent runs. */
export function keepConnected(deps: ConnectionDeps): Running {
  const { clock, log, serverUrl: server } = deps;
  const stopping = new AbortController();
  const tell = createTelling(clock, log, server);
  const nextTry = createReconnectPolicy(clock);
  const sessionDeps: SessionDeps = {
    ...deps,
    welcomed(agentId) {
      tell.connected(agentId);
      deps.status?.connected();
      deps.welcomed(stopping.signal);
    },
  };

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const end = await runSession(sessionDeps, stopping.signal);
      if (stopping.signal.aborted) return;
      const next = nextTry(end);
      tell.ended(end, next);
      deps.status?.ended(`${next.message} (${end.refusal?.message || end.reason || end.code})`);
      await clock.sleep(next.waitMs, stopping.signal);
    }
  }

  const done = run();
  return {
    stop() {
      stopping.abort();
      return done;
    },
  };
}

/** A server that is away for days fills no log. */
function createTelling(clock: Clock, log: Log, server: string) {
  let last = { text: "", ms: Number.NEGATIVE_INFINITY };

  return {
    connected(agentId: string): void {
      last = { text: "", ms: Number.NEGATIVE_INFINITY };
      log.info({ server, agent: agentId }, "connected");
    },
    ended({ code, reason, refusal, wasOpen }: SessionEnd, { level, message, waitMs }: NextTry): void {
      const why = refusal?.message || reason;
      const text = `${message} ${why}`;
      const isNews = text !== last.text || clock.monotonicMs() - last.ms >= REMINDER_MS;
      if (isNews) last = { text, ms: clock.monotonicMs() };
      const fields = { server, ...(why ? { reason: why } : {}), ...(wasOpen ? { code } : {}) };
      log[isNews ? level : "debug"]({ ...fields, again_in_s: Math.round(waitMs / 1000) }, message);
    },
  };
}
