import type { ServerAddress } from "../config/agent.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { networkOptions } from "./socket.ts";

/** A clock that is further off is told of: from here on the server shows it, too. */
const SKEW_SECONDS_MAX = 300;
const ASK_LIMIT_MS = 10_000;
/** Clocks drift slowly, and connections may come and go fast. */
const ASK_EVERY_MS = 3_600_000;

/** Compares this host's clock with the server's, by the Date header of whatever answers at its address. */
export function createClockSkew({ server, clock, log }: { server: ServerAddress; clock: Clock; log: Log }) {
  let askedMs = Number.NEGATIVE_INFINITY;
  let isOff = false;

  function tell(skewSeconds: number): void {
    const wasOff = isOff;
    isOff = Math.abs(skewSeconds) > SKEW_SECONDS_MAX;
    const fields = { seconds: Math.round(Math.abs(skewSeconds)) };
    if (isOff) log.warn(fields, `this host's clock is ${skewSeconds > 0 ? "ahead of" : "behind"} the server's`);
    else if (wasOff) log.info(fields, "this host's clock agrees with the server's again");
  }

  return {
    /** Asks the server, unless it was asked within the hour, and logs when the clocks differ. Never rejects. */
    async check(signal: AbortSignal): Promise<void> {
      if (clock.monotonicMs() - askedMs < ASK_EVERY_MS) return;
      askedMs = clock.monotonicMs();
      try {
        const serverMs = await askServerTime(server, signal);
        // The header counts whole seconds.
        if (serverMs !== undefined) tell((clock.now() - serverMs) / 1000);
      } catch (error) {
        log.debug({ error: errorMessage(error) }, "the server's time could not be asked for");
      }
    },
  };
}

async function askServerTime(server: ServerAddress, signal: AbortSignal): Promise<number | undefined> {
  const url = server.url.replace(/^ws/, "http").replace(/\/v1\/stream$/, "/healthz");
  const answer = await fetch(url, {
    // Else the variables of the environment would decide.
    proxy: false,
    ...networkOptions(server),
    method: "HEAD",
    redirect: "manual",
    keepalive: false,
    signal: AbortSignal.any([signal, AbortSignal.timeout(ASK_LIMIT_MS)]),
  } as BunFetchRequestInit);
  const date = Date.parse(answer.headers.get("date") ?? "");
  return Number.isNaN(date) ? undefined : date;
}
