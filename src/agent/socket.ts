import type { ServerAddress } from "../config/agent.ts";
import type { Clock } from "../lib/clock.ts";
import { networkOptions, reasonOf } from "./network.ts";

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

/** What is used of Bun's client beyond the standard. */
interface BunSocket extends WebSocket {
  ping(): void;
  terminate(): void;
}

export interface SocketDeps {
  readonly server: ServerAddress;
  readonly token: string;
  readonly version: string;
  readonly clock: Clock;
}

/** By Bun's client: TLS with the given authority or the usual ones, through the proxy if there is one. */
export function createSocketOpener(deps: SocketDeps): OpenSocket {
  return (events) => open(deps, events);
}

function open({ server, token, version, clock }: SocketDeps, events: SocketEvents): Socket {
  const options = {
    headers: { authorization: `Bearer ${token}`, "user-agent": `opspilot/${version}` },
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
