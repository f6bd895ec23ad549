import { connect, type Socket } from "node:net";
import { until } from "./until.ts";

/** One event as it came. */
export interface StreamEvent {
  readonly id: string | undefined;
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into events without describing them first
  readonly data: any;
}

/** A reader of server-sent events on a plain socket, which can stop to take any. */
export class EventReader {
  /** The answer's status line and headers. */
  head = "";
  readonly events: StreamEvent[] = [];
  /** Lines that are comments. */
  comments = 0;
  /** The last part of the answer has come, or the connection is gone. */
  isEnded = false;
  #rest = Buffer.alloc(0);
  #text = "";

  private constructor(readonly socket: Socket) {}

  /** Resolves once the answer's headers are there. */
  static async open(url: string, path = "/v1/events", headers: Record<string, string> = {}): Promise<EventReader> {
    const { hostname, port } = new URL(url);
    const reader = new EventReader(connect(Number(port), hostname));
    const { socket } = reader;
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      reader.isEnded = true;
    });
    socket.on("data", (chunk: Buffer) => reader.#take(chunk));
    const lines = Object.entries({ host: "localhost", ...headers }).map(([name, value]) => `${name}: ${value}`);
    socket.write(`GET ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
    await until(() => reader.head !== "" || reader.isEnded, { ms: 20_000, what: "the answer's headers" });
    return reader;
  }

  /** The first event with this name that fits; the stream goes on meanwhile. */
  async event(name: string, fits: (data: StreamEvent["data"]) => boolean = () => true): Promise<StreamEvent> {
    return until(() => this.events.find((one) => one.name === name && fits(one.data)), {
      ms: 20_000,
      what: `an event ${name}; so far ${JSON.stringify(this.events.map((one) => [one.name, one.data.id ?? one.data.kind]))}`,
    });
  }

  get lastId(): string {
    return this.events.findLast(({ id }) => id !== undefined)?.id ?? "";
  }

  close(): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    if (this.head === "") this.#takeHead();
    if (this.head !== "") this.#takeChunks();
  }

  #takeHead(): void {
    const end = this.#rest.indexOf("\r\n\r\n");
    if (end < 0) return;
    this.head = this.#rest.subarray(0, end).toString();
    this.#rest = this.#rest.subarray(end + 4);
  }

  /** Of HTTP: a length in hexadecimal, the bytes. */
  #takeChunks(): void {
    for (;;) {
      const lineEnd = this.#rest.indexOf("\r\n");
      const size = Number.parseInt(this.#rest.subarray(0, Math.max(lineEnd, 0)).toString(), 16);
      if (lineEnd < 0 || this.#rest.length < lineEnd + 2 + size + 2) return;
      if (size === 0) this.isEnded = true;
      this.#text += this.#rest.subarray(lineEnd + 2, lineEnd + 2 + size).toString();
      this.#rest = this.#rest.subarray(lineEnd + 2 + size + 2);
      this.#takeBlocks();
    }
  }

  #takeBlocks(): void {
    const blocks = this.#text.split("\n\n");
    this.#text = blocks.pop() ?? "";
    for (const block of blocks) {
      const lines = block.split("\n");
      this.comments += lines.filter((line) => line.startsWith(":")).length;
      const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const [name, data] = [field("event"), field("data")];
      if (name !== undefined && data !== undefined) this.events.push({ id: field("id"), name, data: JSON.parse(data) });
    }
  }
}
