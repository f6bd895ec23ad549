import { connect, type Socket } from "node:net";
import type { ServerFrame } from "../../src/protocol/frames.ts";
import { envelopeOf } from "./frames.ts";
import { until } from "./until.ts";

/** An agent's side of a socket, on Bun's own client. */
export class TestAgent {
  readonly frames: ServerFrame[] = [];
  closed: { code: number; reason: string } | undefined;
  readonly #socket: WebSocket;

  private constructor(url: string, headers: Record<string, string>) {
    this.#socket = new WebSocket(url, { headers } as never);
    this.#socket.onmessage = (event) => this.frames.push(JSON.parse(String(event.data)));
    this.#socket.onclose = (event) => {
      this.closed = { code: event.code, reason: event.reason };
    };
  }

  /** Resolves once the socket is open, or closed already. */
  static async connect(url: string, headers: Record<string, string> = {}): Promise<TestAgent> {
    const agent = new TestAgent(url, headers);
    await until(() => agent.#socket.readyState !== WebSocket.CONNECTING, { what: "the socket is open" });
    return agent;
  }

  /** An envelope that is fine, with these changes; or any text or bytes as they are. */
  send(message: Record<string, unknown> | string | Uint8Array): void {
    const isEnvelope = typeof message === "object" && !(message instanceof Uint8Array);
    this.#socket.send(isEnvelope ? JSON.stringify(envelopeOf(message)) : (message as string));
  }

  /** The frame that came as the n-th (from 0). */
  async frame(n: number): Promise<ServerFrame> {
    return until(() => this.frames[n], { what: `frame ${n}; so far ${JSON.stringify(this.frames)}` });
  }

  async close(code?: number): Promise<void> {
    this.#socket.close(code);
    await this.ended();
  }

  async ended(): Promise<{ code: number; reason: string }> {
    return until(() => this.closed, { what: "the socket is closed" });
  }
}

/** A client that speaks TCP and just as much WebSocket as a test wants: it answers no ping by itself. */
export class RawAgent {
  /** All that came after the upgrade's answer. */
  received = Buffer.alloc(0);
  isEnded = false;

  private constructor(readonly socket: Socket) {}

  static async connect(port: number): Promise<RawAgent> {
    const socket = connect(port, "127.0.0.1");
    const agent = new RawAgent(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      agent.isEnded = true;
    });
    socket.on("data", (chunk: Buffer) => {
      agent.received = Buffer.concat([agent.received, chunk]);
    });
    socket.write(
      "GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    const end = await until(() => agent.received.indexOf("\r\n\r\n") + 1, { what: "the upgrade" });
    agent.received = agent.received.subarray(end + 3);
    return agent;
  }

  send(changes: Record<string, unknown>): boolean {
    return this.socket.write(frameOf(0x1, Buffer.from(JSON.stringify(envelopeOf(changes)))));
  }

  pong(): void {
    this.socket.write(frameOf(0xa, Buffer.alloc(0)));
  }

  /** How many pings the server has sent. */
  pings(): number {
    return opcodesOf(this.received).filter((opcode) => opcode === 0x9).length;
  }
}

/** A client's frame; its mask is zero, which changes nothing. */
export function frameOf(opcode: number, payload: Uint8Array): Uint8Array {
  const { length } = payload;
  const head =
    length < 126 ? [0x80 | length] : length < 65536 ? [0xfe, length >> 8, length & 255] : [0xff, ...lengthOf(length)];
  return Buffer.concat([Buffer.from([0x80 | opcode, ...head, 0, 0, 0, 0]), payload]);
}

function lengthOf(length: number): number[] {
  return [0, 0, 0, 0, (length >>> 24) & 255, (length >> 16) & 255, (length >> 8) & 255, length & 255];
}

function opcodesOf(bytes: Buffer): number[] {
  const opcodes: number[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    opcodes.push((bytes[at] ?? 0) & 15);
    const short = (bytes[at + 1] ?? 0) & 127;
    at +=
      2 +
      (short < 126
        ? short
        : short === 126
          ? 2 + bytes.readUInt16BE(at + 2)
          : 8 + Number(bytes.readBigUInt64BE(at + 2)));
  }
  return opcodes;
}
