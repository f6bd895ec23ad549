import type { ServerFrame } from "../../src/protocol/frames.ts";
import { envelopeOf, gzipped } from "./frames.ts";
import { until } from "./until.ts";

type Command = Extract<ServerFrame, { type: "command" }>;

/** What comes of a restart: it holds, it runs and fails again, or the command itself fails. */
export type RestartEnd = "holds" | "fails_again" | "fails";

/** A host that the stand-in plays. */
export interface StandInOptions {
  readonly hostname: string;
  readonly token: string;
  readonly allow?: readonly string[];
  readonly metrics?: () => Record<string, unknown>;
  readonly collectors?: Record<string, unknown>;
  readonly facts?: Record<string, unknown>;
  /** How its restarts end, by the name of the unit or container. */
  readonly restarts?: Partial<Record<string, RestartEnd>>;
  /** The logs that are shown when somebody asks for them. */
  readonly logs?: (source: string) => string;
  /** From the restart to the word that it works, or failed again. */
  readonly settleMs?: number;
}

const RECONNECT_MS = 1_000;
const HEARTBEAT_MS = 10_000;
const RUN_MS = 400;

/** Speaks the protocol as a host's agent does, comes back when the server does, and answers what it is asked. */
export class StandInHost {
  readonly #url: string;
  readonly #options: StandInOptions;
  readonly #failures = new Map<string, Record<string, unknown>>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #id = crypto.randomUUID().slice(0, 8);
  readonly #acknowledged = new Set<string>();
  readonly #unacknowledged = new Map<string, Record<string, unknown>>();
  #socket: WebSocket | undefined;
  #sent = 0;
  #isClosed = false;
  /** What it was asked. */
  readonly commands: Command[] = [];

  constructor(serverUrl: string, options: StandInOptions) {
    this.#url = `${serverUrl.replace(/^http/, "ws")}/v1/stream`;
    this.#options = options;
    this.#connect();
  }

  /** Resolves once the server has read its first word. */
  async ready(): Promise<void> {
    await until(() => this.#socket?.readyState === WebSocket.OPEN, { ms: 15_000, what: "the host is connected" });
  }

  /** Something fails here. Resolves once the server has it. */
  async fail(alert: Record<string, unknown>): Promise<void> {
    this.#failures.set(String(alert.source), alert);
    await this.#tell(alert);
  }

  /** It works again. */
  async recover(source: string): Promise<void> {
    const { type } = this.#failures.get(source) ?? { type: "systemd" };
    await this.#tell({ type, source, message: `${source} is active again`, state: "resolved" });
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#socket?.close(1000);
  }

  async #tell(alert: Record<string, unknown>): Promise<void> {
    const id = `${this.#id}-${++this.#sent}`;
    const frame = { id, type: "alert", data: gzipped({ at: Date.now() / 1000, ...alert }), compression: "gzip" };
    this.#unacknowledged.set(id, frame);
    if (this.#socket?.readyState === WebSocket.OPEN) this.#send(frame);
    await until(() => this.#isClosed || this.#acknowledged.delete(id), { ms: 60_000, what: `${id} is acknowledged` });
  }

  #connect(): void {
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onopen = () => {
      this.#beat();
      for (const frame of this.#unacknowledged.values()) this.#send(frame);
    };
    socket.onmessage = ({ data }) => this.#hear(JSON.parse(String(data)) as ServerFrame);
    socket.onclose = () => {
      if (!this.#isClosed) this.#later(RECONNECT_MS, () => this.#connect());
    };
  }

  #beat(): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    const { hostname, allow = [], metrics, collectors, facts } = this.#options;
    const heartbeat = { hostname, version: "0.1.0", allow, ...facts, metrics: metrics?.(), collectors };
    this.#send({ type: "heartbeat", data: JSON.stringify(heartbeat), compression: "none" });
    this.#later(HEARTBEAT_MS, () => this.#beat());
  }

  #send(frame: Record<string, unknown>): void {
    const { token } = this.#options;
    this.#socket?.send(JSON.stringify(envelopeOf({ ver: "1.1", ts: Date.now() / 1000, token, ...frame })));
  }

  #hear(frame: ServerFrame): void {
    if (frame.type === "ack") {
      this.#unacknowledged.delete(frame.id);
      this.#acknowledged.add(frame.id);
    }
    if (frame.type !== "command") return;
    this.commands.push(frame);
    const startMs = performance.now();
    this.#later(frame.command === "service_status" ? 20 : RUN_MS, () =>
      this.#answer(frame, performance.now() - startMs),
    );
  }

  #answer({ id, command, params }: Command, tookMs: number): void {
    const source = String(params.service ?? params.container ?? "");
    const end = this.#options.restarts?.[source] ?? "holds";
    const result = this.#resultOf(command, source, end);
    const data = JSON.stringify({
      command_id: id,
      duration_ms: Math.round(tookMs),
      finished_at: Date.now() / 1000,
      ...result,
    });
    this.#send({ type: "result", data, compression: "none" });
    if (command.startsWith("restart") && end !== "fails") this.#settle(source, end);
  }

  #resultOf(command: string, source: string, end: RestartEnd): Record<string, unknown> {
    switch (command) {
      case "service_status":
        return {
          status: "done",
          exit_code: 0,
          output: JSON.stringify({ active_state: "active", sub_state: "running" }),
        };
      case "get_logs":
      case "container_logs":
        return { status: "done", exit_code: 0, output: this.#options.logs?.(source) ?? "no log" };
      case "host_report":
        return { status: "done", exit_code: 0, output: "load 0.42, 12 processes of interest" };
      case "ping":
        return { status: "done", exit_code: 0, output: "pong" };
      default:
        return end === "fails"
          ? { status: "failed", exit_code: 1, error: `Job for ${source}.service failed.` }
          : { status: "done", exit_code: 0, output: `${source}: active (running)` };
    }
  }

  #settle(source: string, end: RestartEnd): void {
    this.#later(this.#options.settleMs ?? 1_500, () => {
      const failure = this.#failures.get(source);
      const told = end === "fails_again" && failure ? this.#tell(failure) : this.recover(source);
      // Nobody waits for it: it is sent again after a new connection.
      told.catch(() => this.close());
    });
  }

  #later(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms);
    this.#timers.add(timer);
  }
}
