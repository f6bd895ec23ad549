/**
 * Socket Mode: Slack offers an address, we open a WebSocket there, it says hello and sends envelopes, each of which is acknowledged
 * by its id. The protocol is our own and not the SDK's: under Bun that one passes every proxy by.
 */
import type { ProxyOf } from "../lib/bounded-fetch.ts";
import { backoffMs, type Clock, withDeadline } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import { fieldsOf, jsonOf } from "../lib/json.ts";
import type { Log } from "../lib/log.ts";
import { createWebApi } from "./web-api.ts";

const CONNECT_LIMIT_MS = 20_000;
const CLOSE_LIMIT_MS = 3_000;
/** We ask whether it is alive so often; one of which nothing was heard for twice as long is cut off. */
const PING_MS = 5_000;
const BACKOFF = { minMs: 500, maxMs: 30_000 };
/** Slack renews connections every few hours; one that lived shorter than this failed. */
const STABLE_MS = 10_000;
/** After this many failures in a row somebody should know. */
const QUIET_FAILURES = 2;

/** Where connections come from. */
export interface SocketAddress {
  appToken: string;
  apiUrl: string | null;
  proxyOf: ProxyOf;
}

export interface SocketReceiverDeps extends SocketAddress {
  clock: Clock;
  log: Log;
  /** Takes a callback; it is acknowledged as soon as this resolves, and not when it rejects. */
  receive(payload: unknown, envelopeId: string): Promise<void>;
}

/** Callbacks over one Socket Mode connection that we keep open: no public address is needed. */
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
  const { log } = deps;
  const late = (error: unknown) => log.debug({ error: errorMessage(error) }, "a late failure of Socket Mode");
  const taking = new Set<Promise<void>>();
  const take = (envelope: Envelope, acknowledge: () => void) => {
    const taken = takeOne(deps, envelope, acknowledge).finally(() => taking.delete(taken));
    taking.add(taken);
  };
  try {
    const connection = await openConnection(deps, take, stop);
    log.info("Slack's Socket Mode is connected");
    const why = await connection.ended;
    // What was taken is still acknowledged here, lest it comes again.
    await withDeadline(Promise.all(taking), CLOSE_LIMIT_MS, "acknowledging", late).catch(late);
    connection.close();
    return why;
  } catch (error) {
    return errorMessage(error);
  }
}

/** What is not acknowledged Slack shows as failed to the person, who may press again. */
async function takeOne(deps: SocketReceiverDeps, { payload, id }: Envelope, acknowledge: () => void): Promise<void> {
  try {
    await deps.receive(payload, id);
    acknowledge();
  } catch (error) {
    deps.log.error({ error: errorMessage(error) }, "a callback could not be taken");
  }
}

interface Envelope {
  readonly id: string;
  readonly payload: unknown;
}

/** A connection over which Slack said hello. */
export interface SocketConnection {
  /** Resolves when nothing more comes over it: with why it broke, or undefined when Slack or the signal ended it in order. */
  readonly ended: Promise<string | undefined>;
  close(): void;
}

/** What is used of Bun's client beyond the standard. */
interface BunSocket extends WebSocket {
  ping(): void;
  terminate(): void;
}

/** Opens a connection; `take` gets what is pressed from then on. Throws when Slack says no hello in time. */
export async function openConnection(
  { appToken, apiUrl, proxyOf }: SocketAddress,
  take: (envelope: Envelope, acknowledge: () => void) => void,
  stop: AbortSignal,
): Promise<SocketConnection> {
  const limit = AbortSignal.any([stop, AbortSignal.timeout(CONNECT_LIMIT_MS)]);
  const api = createWebApi({ token: appToken, apiUrl, proxyOf });
  const { url } = await api.call("apps.connections.open", limit, (client) => client.apps.connections.open({}));
  if (!url) throw new Error("apps.connections.open: no address in the answer");
  const proxy = proxyOf(new URL(url));
  const socket = new WebSocket(url, (proxy === null ? {} : { proxy }) as never) as BunSocket;
  const greeted = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<string | undefined>();
  const end = (why?: string) => {
    greeted.reject(new Error(why ?? "the connection was closed"));
    ended.resolve(why);
  };
  let isHeard = true;
  const pinging = setInterval(() => {
    if (!isHeard) return void socket.terminate();
    isHeard = false;
    if (socket.readyState === WebSocket.OPEN) socket.ping();
  }, PING_MS);

  socket.onmessage = ({ data }) => {
    isHeard = true;
    const message = fieldsOf(jsonOf(String(data)));
    if (message.type === "hello") greeted.resolve();
    if (message.type === "disconnect")
      end(message.reason === "link_disabled" ? "Socket Mode is off for the app" : undefined);
    if (message.type !== "interactive" || typeof message.envelope_id !== "string") return;
    const id = message.envelope_id;
    take({ id, payload: message.payload }, () => socket.send(JSON.stringify({ envelope_id: id })));
  };
  for (const sign of ["ping", "pong"]) {
    socket.addEventListener(sign, () => {
      isHeard = true;
    });
  }
  socket.onerror = (event) => end(withoutUrl((event as ErrorEvent).message));
  socket.onclose = ({ code, reason }) => {
    clearInterval(pinging);
    end(`the connection was closed (${code}${reason === "" ? "" : ` ${reason}`})`);
  };
  limit.addEventListener("abort", () => greeted.reject(new Error("Slack said no hello in time")), { once: true });
  stop.addEventListener("abort", () => end(), { once: true });
  try {
    await greeted.promise;
  } catch (error) {
    socket.terminate();
    throw error;
  }
  return { ended: ended.promise, close: () => socket.close(1000) };
}

/** Bun names the address, which holds a ticket. */
function withoutUrl(message: string): string {
  return message.replace(/^WebSocket connection to '[^']*' failed: /, "");
}
