import { readdirSync } from "node:fs";
import { startAgent } from "../../src/agent/agent.ts";
import type { Executor } from "../../src/agent/executor.ts";
import type { Collector, HostAlert, IncomingCommand, ReportAlert } from "../../src/agent/model.ts";
import { statePaths } from "../../src/agent/state-dir.ts";
import { type AgentConfig, loadAgentConfig } from "../../src/config/agent.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { createLog } from "../../src/lib/log.ts";
import type { ResultPayload } from "../../src/protocol/frames.ts";

/** Test time runs so much faster than the clock on the wall. */
export const SPEED = 20;

/** A clock that runs fast, for waits of minutes. */
export function createFastClock(speed = SPEED): Clock {
  const startMs = Date.now();
  const elapsedMs = () => performance.now() * speed;
  const offsetMs = elapsedMs();
  return {
    now: () => startMs + elapsedMs() - offsetMs,
    monotonicMs: elapsedMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const timer = setTimeout(done, ms / speed);
        function done(): void {
          clearTimeout(timer);
          signal?.removeEventListener("abort", done);
          resolve();
        }
        signal?.addEventListener("abort", done, { once: true });
      }),
  };
}

/** Runs whatever it is told at once, and remembers. */
export class FakeExecutor implements Executor {
  readonly allow = ["ping:*", "restart_service:nginx"];
  readonly commands: IncomingCommand[] = [];
  readonly settledIds: string[] = [];
  left: ResultPayload[] = [];
  run = async (command: IncomingCommand): Promise<ResultPayload> => {
    this.commands.push(command);
    return { command_id: command.id, status: "done", exit_code: 0, output: "pong" };
  };
  unfinished = async () => this.left;
  settled = async (commandId: string) => void this.settledIds.push(commandId);
  stop = async () => undefined;
}

export interface HostAgentOptions {
  readonly dir: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly executor?: FakeExecutor;
  readonly clock?: Clock;
  /** In place of the test. */
  readonly collectors?: readonly Collector[];
  /** The way to the server, where it is not what the settings make of it. */
  readonly server?: Partial<AgentConfig["server"]>;
}

/** An agent in this process whose only collector is the test. */
export class HostAgent {
  readonly log: string[] = [];
  readonly clock: Clock;
  readonly executor: FakeExecutor;
  readonly config: AgentConfig;
  #report: ReportAlert = async () => undefined;
  #stop: () => Promise<void> = async () => undefined;

  private constructor(url: string, { dir, env, executor, clock, server }: HostAgentOptions) {
    const settings = { OPSPILOT_SERVER: url, OPSPILOT_TOKEN: "token-of-a-test", OPSPILOT_DATA_DIR: dir, ...env };
    const config = loadAgentConfig({}, { env: settings, cwd: dir, uid: 1, home: undefined });
    this.config = { ...config, server: { ...config.server, ...server } };
    this.executor = executor ?? new FakeExecutor();
    this.clock = clock ?? createFastClock();
  }

  static async start(url: string, options: HostAgentOptions): Promise<HostAgent> {
    const agent = new HostAgent(url, options);
    const destination = { write: (line: string) => void agent.log.push(line) };
    const running = await startAgent({
      config: agent.config,
      version: "0.0.0-test",
      clock: agent.clock,
      log: createLog({ level: "debug", readable: false, destination }),
      createCollectors: () =>
        options.collectors ?? [
          {
            name: "test",
            start(report) {
              agent.#report = report;
            },
            stop: async () => undefined,
            health: () => undefined,
            check: async () => ({ name: "test", ok: true, detail: "" }),
          },
        ],
      createExecutor: () => agent.executor,
    });
    agent.#stop = running.stop;
    return agent;
  }

  report(changes: Partial<HostAlert> = {}): Promise<void> {
    const atMs = this.clock.now();
    return this.#report({
      type: "systemd",
      source: "nginx",
      message: "nginx failed",
      state: "firing",
      atMs,
      ...changes,
    });
  }

  /** How many of the spool's files hold something that the server has not got. */
  waiting(): number {
    return readdirSync(statePaths(this.config.stateDir).spool).length;
  }

  /** The log's messages of a level. */
  said(level: "info" | "warn" | "error"): string[] {
    return this.log.map((line) => JSON.parse(line)).flatMap((line) => (line.level === level ? [line.msg] : []));
  }

  stop(): Promise<void> {
    return this.#stop();
  }
}
