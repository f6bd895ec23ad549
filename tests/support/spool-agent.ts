import { alertOf, envelopeOf } from "./frames.ts";

/** Sent and not yet acknowledged, at most. */
const WINDOW = 100;
const RECONNECT_MS = 50;

/**
 * An agent with a spool: it sends alerts with ids, each of a source of its own, keeps each until it is acknowledged,
 * connects again by itself, and then sends what is left once more, with the same ids.
 */
export class SpoolAgent {
  /** The sources whose alerts were acknowledged. */
  readonly acknowledged = new Set<string>();
  /** Whatever came that was neither an acknowledgement nor a welcome. */
  readonly surprises: string[] = [];
  /** With which code each socket that was open has closed, but for our own stop. */
  readonly closings: number[] = [];
  readonly #waiting: string[];
  readonly #sent = new Set<string>();
  #socket: WebSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  /** Starts at once. `sources` are sent in their order. */
  constructor(
    readonly url: string,
    readonly token: string,
    readonly sources: readonly string[],
  ) {
    this.#waiting = [...sources];
    this.#connect();
  }

  /** How many alerts nobody has answered for yet. */
  get left(): number {
    return this.sources.length - this.acknowledged.size;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  #connect(): void {
    const socket = new WebSocket(`${this.url.replace("http", "ws")}/v1/stream`);
    this.#socket = socket;
    let isOpen = false;
    socket.onopen = () => {
      isOpen = true;
      this.#pump(socket);
    };
    socket.onmessage = ({ data }) => this.#receive(socket, JSON.parse(String(data)));
    socket.onclose = ({ code }) => {
      if (isOpen && !this.#isStopped) this.closings.push(code);
      this.#sendAgain();
      if (!this.#isStopped) this.#timer = setTimeout(() => this.#connect(), RECONNECT_MS);
    };
  }

  #receive(socket: WebSocket, frame: { type: string; id?: string }): void {
    if (frame.type === "welcome") return;
    if (frame.type === "ack" && frame.id !== undefined && this.#sent.delete(frame.id)) {
      this.acknowledged.add(frame.id);
      this.#pump(socket);
    } else {
      this.surprises.push(JSON.stringify(frame));
      // What was refused is for later: by way of another socket.
      socket.close();
    }
  }

  #pump(socket: WebSocket): void {
    while (this.#sent.size < WINDOW && socket.readyState === WebSocket.OPEN) {
      const source = this.#waiting.shift();
      if (source === undefined) return;
      this.#sent.add(source);
      socket.send(alertText("1.1", this.token, source, source));
    }
  }

  /** What was sent on a socket that is gone, and not acknowledged, comes first on the next. */
  #sendAgain(): void {
    this.#waiting.unshift(...this.#sent);
    this.#sent.clear();
  }
}

/** An alert's frame as text; of the two versions only 1.1 knows ids. */
export function alertText(ver: "1.0" | "1.1", token: string, source: string, id?: string): string {
  const data = JSON.stringify(alertOf({ source, logs: `${source}: the end of its log` }));
  return JSON.stringify(envelopeOf({ ver, ts: Date.now() / 1000, token, type: "alert", data, id }));
}
