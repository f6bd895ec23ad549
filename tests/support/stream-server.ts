import type { Server, ServerWebSocket } from "bun";
import { decodeData } from "../../src/protocol/decode.ts";
import type { Envelope, ServerFrame } from "../../src/protocol/frames.ts";
import { PAYLOAD_BYTES_MAX } from "../../src/protocol/limits.ts";

/** A frame as it came, with its payload decoded. */
export interface AgentFrame extends Envelope {
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into payloads without describing them first
  readonly payload: any;
  /** As text. */
  readonly sizeBytes: number;
}

type Peer = ServerWebSocket<{ isWelcomed: boolean }>;

/** What a test may do to an agent's socket. */
export interface StreamSocket {
  send(frame: ServerFrame | Record<string, unknown>): void;
  close(code: number, reason?: string): void;
  /** Without a word, as a cable does that is pulled out. */
  cut(): void;
}

export interface StreamServerOptions {
  readonly port?: number;
  readonly tls?: { cert: string; key: string };
  readonly heartbeatSeconds?: number;
  /** Answers a frame instead of the server; true leaves it to the server: a welcome for the first, an ack for each. */
  readonly answer?: (frame: AgentFrame, socket: StreamSocket) => boolean | undefined;
  /** Answers a request for a socket instead of opening one. */
  readonly refuse?: (upgrades: number) => Response | undefined;
  /** What the server takes for the time. */
  readonly nowMs?: () => number;
}

/** The server's side of the stream, as a test wants it. */
export class StreamServer {
  readonly frames: AgentFrame[] = [];
  readonly upgrades: { authorization: string | null; userAgent: string | null }[] = [];
  readonly closes: { code: number; reason: string }[] = [];
  readonly port: number;
  pings = 0;
  options: StreamServerOptions;
  readonly #server: Server<{ isWelcomed: boolean }>;
  readonly #open = new Set<Peer>();

  constructor(options: StreamServerOptions = {}) {
    this.options = options;
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: options.port ?? 0,
      ...(options.tls ? { tls: options.tls } : {}),
      fetch: (request) => this.#request(request),
      websocket: {
        idleTimeout: 0,
        maxPayloadLength: 2 * 1024 * 1024,
        open: (socket) => void this.#open.add(socket),
        ping: () => void this.pings++,
        message: (socket, message) => this.#receive(socket, String(message)),
        close: (socket, code, reason) => {
          this.#open.delete(socket);
          this.closes.push({ code, reason });
        },
      },
    });
    this.port = this.#server.port ?? 0;
  }

  get url(): string {
    return `${this.options.tls ? "wss" : "ws"}://127.0.0.1:${this.port}/v1/stream`;
  }

  /** The alerts' messages, in the order in which they came. */
  get messages(): string[] {
    return this.frames.flatMap(({ type, payload }) => (type === "alert" ? [payload.message] : []));
  }

  get openSockets(): number {
    return this.#open.size;
  }

  /** To every agent that is connected. */
  send(frame: ServerFrame): void {
    for (const socket of this.#open) socket.send(JSON.stringify(frame));
  }

  close(code: number, reason = ""): void {
    for (const socket of this.#open) socket.close(code, reason);
  }

  cut(): void {
    for (const socket of this.#open) socket.terminate();
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }

  #request(request: Request): Response | undefined {
    const headers = { date: new Date(this.options.nowMs?.() ?? Date.now()).toUTCString() };
    if (!request.headers.has("upgrade")) return new Response("", { headers });
    const { headers: given } = request;
    this.upgrades.push({ authorization: given.get("authorization"), userAgent: given.get("user-agent") });
    const refusal = this.options.refuse?.(this.upgrades.length);
    if (refusal) return refusal;
    return this.#server.upgrade(request, { data: { isWelcomed: false } })
      ? undefined
      : new Response("", { status: 400 });
  }

  #receive(socket: Peer, text: string): void {
    const envelope = JSON.parse(text) as Envelope;
    const data = envelope.data === "" ? undefined : decodeData(envelope, PAYLOAD_BYTES_MAX[envelope.type]);
    const payload = data?.ok ? JSON.parse(data.text) : undefined;
    const frame: AgentFrame = { ...envelope, payload, sizeBytes: Buffer.byteLength(text) };
    this.frames.push(frame);
    const handle: StreamSocket = {
      send: (answer) => void socket.send(JSON.stringify(answer)),
      close: (code, reason) => socket.close(code, reason),
      cut: () => socket.terminate(),
    };
    if (this.options.answer && this.options.answer(frame, handle) !== true) return;
    if (!socket.data.isWelcomed) this.#welcome(socket);
    if (frame.id !== undefined) handle.send({ type: "ack", id: frame.id });
  }

  #welcome(socket: Peer): void {
    socket.data.isWelcomed = true;
    const heartbeatSeconds = this.options.heartbeatSeconds ?? 30;
    socket.send(JSON.stringify({ type: "welcome", agent_id: "agent-1", heartbeat_s: heartbeatSeconds }));
  }
}
