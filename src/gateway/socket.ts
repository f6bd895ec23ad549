import { Elysia } from "elysia";
import type { ClientAddress } from "../lib/addresses.ts";
import { ENROLMENT_HEADER } from "../protocol/frames.ts";
import { FRAME_BYTES_MAX } from "../protocol/limits.ts";
import { ROLE_FIELD } from "../protocol/roles.ts";

/** What a socket calls. Elysia passes each event on to the function of this name in the socket's `data`. */
export interface SocketEvents {
  message(socket: unknown, message: unknown): void;
  close(socket: unknown, code: number, reason: string): void;
  drain(): void;
  ping(): void;
  pong(): void;
}

/** What we use of Bun's ServerWebSocket. */
export interface Socket {
  data: SocketEvents;
  readonly remoteAddress: string;
  /** Bytes sent, -1 when they wait in the send buffer, 0 when they were dropped. */
  sendText(text: string): number;
  getBufferedAmount(): number;
  cork(callback: () => void): void;
  ping(): number;
  close(code: number, reason: string): void;
  terminate(): void;
  pause(): void;
  resume(): void;
}

/** What the upgrade request says of who is there. */
export interface Peer {
  /** The token of its Authorization header, or "". */
  readonly bearer: string;
  /** The enrolment token that it brings, or "". */
  readonly enrolment: string;
  readonly address: string;
}

/** Who may open one: its frames prove who it is. */
const FOR_EVERYBODY = { [ROLE_FIELD]: "everybody" } as const;

/** Past this a peer that takes nothing up is cut off. Above GatewayLimits.sendBufferBytesMax, which only stops reading it. */
const SEND_BUFFER_BYTES_HARD = 4 * 1024 * 1024;

/** Belongs into the root Elysia's `websocket` option: anywhere else it does not count. */
export const WEBSOCKET_OPTIONS = {
  maxPayloadLength: FRAME_BYTES_MAX,
  backpressureLimit: SEND_BUFFER_BYTES_HARD,
  closeOnBackpressureLimit: true,
  // Silence is the heartbeat's business: Bun's own timeout would also cut off sockets that we do not read for a while.
  idleTimeout: 0,
  // Agents compress payloads themselves, within a bound; this would be a second way in for bombs.
  perMessageDeflate: false,
};

/**
 * The route of the stream. Elysia's own dispatch parses each message before anybody sees its text and makes an object with
 * 14 bound functions for it; so `open` must put our own events into the socket's `data`, which also frees the request.
 */
export function streamRoutes(addressOf: ClientAddress, open: (socket: Socket, peer: Peer) => void) {
  return new Elysia({ name: "gateway" })
    .resolve(({ request, server }) => ({
      peer: {
        bearer: bearerOf(request.headers.get("authorization")),
        enrolment: request.headers.get(ENROLMENT_HEADER) ?? "",
        address: addressOf(request, server),
      },
    }))
    .ws("/v1/stream", {
      detail: {
        summary: "The agents' stream",
        description: "WebSocket. Agents send heartbeats, alerts and results, and receive commands.",
        tags: ["stream"],
        ...FOR_EVERYBODY,
      },
      open(ws) {
        open(ws.raw as unknown as Socket, ws.data.peer);
      },
    });
}

function bearerOf(header: string | null): string {
  return /^Bearer +(\S+)$/i.exec(header ?? "")?.[1] ?? "";
}
