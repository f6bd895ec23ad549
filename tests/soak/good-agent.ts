import { quantile } from "../bench/report.ts";
import { TestAgent } from "../support/agent.ts";
import { until } from "../support/until.ts";

const EVERY_MS = 50;
const ANSWER_LIMIT_MS = 30_000;

/** An agent that behaves, beside those that do not: how long its heartbeats take to be acknowledged. */
export class GoodAgent {
  #tookMs: number[] = [];
  #isStopped = false;
  readonly #running: Promise<void>;

  private constructor(
    readonly socket: TestAgent,
    token: string,
  ) {
    this.#running = this.#beat(token);
  }

  static async connect(url: string, token: string): Promise<GoodAgent> {
    return new GoodAgent(await TestAgent.connect(`${url.replace("http", "ws")}/v1/stream`), token);
  }

  /** Since the last call: milliseconds that half, and 99 of 100, were below. */
  take(): { p50Ms: number; p99Ms: number } {
    const took = this.#tookMs;
    this.#tookMs = [];
    return { p50Ms: quantile(took, 0.5), p99Ms: quantile(took, 0.99) };
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
    await this.socket.close();
  }

  async #beat(token: string): Promise<void> {
    for (let n = 0; !this.#isStopped && this.socket.closed === undefined; n++) {
      const id = `h${n}`;
      const startMs = performance.now();
      this.socket.send({ ver: "1.1", id, token });
      await until(() => this.#isAnswered(id), { ms: ANSWER_LIMIT_MS, what: "a heartbeat is acknowledged" });
      this.#tookMs.push(performance.now() - startMs);
      await Bun.sleep(EVERY_MS);
    }
  }

  #isAnswered(id: string): boolean {
    return this.socket.closed !== undefined || this.socket.frames.some((frame) => "id" in frame && frame.id === id);
  }
}
