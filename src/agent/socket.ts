import type { ServerAddress } from "../config/agent.ts";
import type { Clock } from "../lib/clock.ts";
import { errorCode, errorMessage } from "../lib/errors.ts";
import { ENROLMENT_HEADER } from "../protocol/frames.ts";

/** A connection attempt that has not ended after this is given up: firewalls drop packets without a word. */
const OPEN_LIMIT_MS = 30_000;
/** The other side answers a close within this, or is cut off. */
const CLOSE_LIMIT_MS = 2_000;

/** How a socket ended. */
export interface SocketEnd {
  /** The close code; 1006 when the network or the other side broke off, or the socket never opened. */
  readonly code: number;
  /** The other side's words, or the system's. */
  readonly reason: string;
  readonly wasOpen: boolean;
}

/** What happens on a socket. Each is called in its own turn, `ended` last and once. */
export interface SocketEvents {
  opened(): void;
  /** A text frame. */
  received(text: string): void;
  /** Anything came: a frame, a ping or a pong. */
  heard(): void;
  ended(end: SocketEnd): void;
}

/** One WebSocket to the server. */
export interface Socket {
  send(text: string): void;
  ping(): void;
  /** Closes in order; the end comes within two seconds, whatever the other side does. */
  close(code: number, reason: string): void;
  /** Cuts it off. */
  terminate(): void;
}

/** Opens sockets; a test can put another one in its place. */
export type OpenSocket = (events: SocketEvents) => Socket;

/** With what is used of Bun's client beyond the standard. */
type BunSocket = WebSocket & Pick<Socket, "ping" | "terminate">;

interface SocketDeps {
  readonly server: ServerAddress;
  readonly token: string;
  /** An enrolment token, by which an unknown token becomes known. */
  readonly enrolment?: string | null;
  readonly version: string;
  readonly clock: Clock;
}

/** By Bun's client: TLS with the given authority or the usual ones, through the proxy if there is one. */
export function createSocketOpener(deps: SocketDeps): OpenSocket {
  return (events) => open(deps, events);
}

function open({ server, token, enrolment = null, version, clock }: SocketDeps, events: SocketEvents): Socket {
  const enrolling: Record<string, string> = enrolment === null ? {} : { [ENROLMENT_HEADER]: enrolment };
  const options = {
    headers: { authorization: `Bearer ${token}`, "user-agent": `opspilot/${version}`, ...enrolling },
    ...networkOptions(server),
  };
  const socket = new WebSocket(server.url, options as never) as BunSocket;
  const ended = new AbortController();
  let wasOpen = false;
  let failure = "";

  socket.onopen = () => {
    wasOpen = true;
    events.opened();
  };
  socket.onmessage = ({ data }) => {
    events.heard();
    if (typeof data === "string") events.received(data);
  };
  for (const type of ["ping", "pong"]) socket.addEventListener(type, () => events.heard());
  socket.onerror = (event) => {
    failure = reasonOf((event as ErrorEvent).message, (event as ErrorEvent).error);
  };
  socket.onclose = ({ code, reason }) => {
    if (ended.signal.aborted) return;
    ended.abort();
    events.ended({ code, reason: reason || failure, wasOpen });
  };
  const giveUpAfter = async (ms: number, why: string, isInTime: () => boolean) => {
    await clock.sleep(ms, ended.signal);
    if (ended.signal.aborted || isInTime()) return;
    failure ||= why;
    socket.terminate();
  };
  void giveUpAfter(OPEN_LIMIT_MS, `no answer within ${OPEN_LIMIT_MS / 1000} s`, () => wasOpen);

  return {
    send: (text) => socket.send(text),
    ping: () => socket.ping(),
    close(code, reason) {
      if (ended.signal.aborted) return;
      socket.close(code, reason);
      void giveUpAfter(CLOSE_LIMIT_MS, "the close was not answered", () => false);
    },
    terminate: () => socket.terminate(),
  };
}

/** What Bun's clients, of WebSocket and of HTTP alike, are to be told about the way to the server. */
export function networkOptions({ ca, proxy }: ServerAddress): Record<string, unknown> {
  const tls = ca === null ? {} : { tls: { ca } };
  if (proxy === null) return tls;
  return { ...tls, proxy: { url: proxy, ...(proxy.startsWith("https:") ? tls : {}) } };
}

const UNTRUSTED = "set OPSPILOT_CA to the PEM file of the authority that signed it";
const CLOCK = "is the clock of this host right?";

/** What a person can do about it. */
const ADVICE: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  CERT_NOT_YET_VALID: CLOCK,
  CERT_HAS_EXPIRED: CLOCK,
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "its name is not known",
};

/** Why a connection could not be made, for a person: what Bun says, without the URL, and what can be done about it. */
export function reasonOf(message: string, error: unknown): string {
  const text = (message || errorMessage(error ?? "")).replace(/^WebSocket connection to '[^']*' failed: /, "");
  const status = /^Expected 101 status code: (\d{3})/.exec(text)?.[1];
  if (status !== undefined) return describeStatus(Number(status));
  const code = errorCode(error, "");
  const advice = ADVICE[code];
  const what = code === "" || text.includes(code) ? text : `${text} (${code})`;
  return advice === undefined ? what : `${what}: ${advice}`;
}

/** What stands between answered instead of the server, or the server instead of its stream. */
function describeStatus(status: number): string {
  if (status === 404) return "it answered 404: is there an OpsPilot server at this URL?";
  if (status >= 500) return `it answered ${status}: is the server behind the proxy or balancer running?`;
  if (status >= 300 && status < 400)
    return `it answered ${status}, which is not followed: set the URL that it points to`;
  return `it answered ${status} instead of opening the stream`;
}
