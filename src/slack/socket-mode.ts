import { backoffMs, type Clock, withDeadline } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { clientOptions } from "./web-api.ts";

const CONNECT_LIMIT_MS = 20_000;
const CLOSE_LIMIT_MS = 3_000;
const BACKOFF = { minMs: 500, maxMs: 30_000 };
/** Slack renews connections every few hours; one that lived shorter than this failed. */
const STABLE_MS = 10_000;
/** After this many failures in a row somebody should know. */
const QUIET_FAILURES = 2;

export interface SocketReceiverDeps {
  appToken: string;
  apiUrl: string | null;
  clock: Clock;
  log: Log;
  /** Takes a callback; it is acknowledged as soon as this resolves, and not when it rejects. */
  receive(payload: unknown, envelopeId: string): Promise<void>;
}

/**
 * Callbacks over one Socket Mode connection that we keep open: no public address is needed. The SDK's own reconnecting is off: a
 * network that is away while it reconnects ends in a rejection that nobody can catch.
 */
export function createSocketReceiver(deps: SocketReceiverDeps): { start(): void; stop(): Promise<void> } {
  const { clock, log } = deps;
  const stopping = new AbortController();
  let done: Promise<void> = Promise.resolve();

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopping.signal.aborted) {
      const startMs = clock.monotonicMs();
      const error = await hold(deps, stopping.signal);
      if (stopping.signal.aborted) return;
      failures = clock.monotonicMs() - startMs >= STABLE_MS ? 0 : failures + 1;
      if (failures > QUIET_FAILURES) log.warn({ error, failures }, "Slack's Socket Mode cannot be kept connected");
      if (failures > 0) await clock.sleep(backoffMs(failures - 1, BACKOFF), stopping.signal);
    }
  }

  return {
    start() {
      done = run();
    },
    async stop() {
      stopping.abort();
      await done;
    },
  };
}

/** One connection, from its beginning to its end. Resolves with why it failed, or undefined when it ended in order. */
async function hold(deps: SocketReceiverDeps, stop: AbortSignal): Promise<string | undefined> {
  const client = await createClient(deps, stop);
  const ended = Promise.withResolvers<undefined>();
  client.on("disconnected", () => ended.resolve(undefined));
  client.on("interactive", (event: SocketEvent) => take(deps, event));
  const whenStopped = () => ended.resolve(undefined);
  stop.addEventListener("abort", whenStopped, { once: true });
  const late = (error: unknown) => deps.log.debug({ error: errorMessage(error) }, "a late failure of Socket Mode");
  try {
    const opening = Promise.race([client.start(), ended.promise]);
    const opened = await withDeadline(opening, CONNECT_LIMIT_MS, "connecting to Socket Mode", late);
    if (opened === undefined) return "the connection was closed";
    deps.log.info("Slack's Socket Mode is connected");
    await ended.promise;
    return undefined;
  } catch (error) {
    return error === undefined ? "the connection was closed" : errorMessage(error);
  } finally {
    stop.removeEventListener("abort", whenStopped);
    await withDeadline(client.disconnect(), CLOSE_LIMIT_MS, "closing Socket Mode", late).catch(late);
    client.removeAllListeners("interactive");
  }
}

/** What the SDK hands over for one envelope. */
type SocketEvent = { ack: () => Promise<void>; envelope_id: string; body: unknown };

/** What is not acknowledged Slack shows as failed to the person, who may press again. */
function take({ receive, log }: SocketReceiverDeps, event: SocketEvent): void {
  const acknowledge = () =>
    event.ack().catch((error: unknown) => {
      log.warn({ error: errorMessage(error) }, "a callback could not be acknowledged");
    });
  receive(event.body, event.envelope_id).then(acknowledge, (error: unknown) => {
    log.error({ error: errorMessage(error) }, "a callback could not be taken");
  });
}

async function createClient({ appToken, apiUrl }: SocketReceiverDeps, stop: AbortSignal) {
  const { SocketModeClient } = await import("@slack/socket-mode");
  const { logger, ...options } = clientOptions(apiUrl, stop, CONNECT_LIMIT_MS);
  return new SocketModeClient({ appToken, autoReconnectEnabled: false, logger, clientOptions: options });
}
