import { join } from "node:path";
import { createDockerApi } from "../../src/agent/docker-api.ts";
import { createExecutor, type Executor } from "../../src/agent/executor.ts";
import { openLedger } from "../../src/agent/ledger.ts";
import type { IncomingCommand } from "../../src/agent/model.ts";
import { createProcessRunner } from "../../src/agent/run-process.ts";
import { type Clock, createSystemClock } from "../../src/lib/clock.ts";
import { parseAllow } from "../../src/protocol/commands.ts";
import type { ResultPayload } from "../../src/protocol/frames.ts";
import { quiet } from "./log.ts";

/** An executor with its ledger in a folder, and how to ask it. */
export interface TestExecutor extends Executor {
  /** Sends a command that came just now. */
  ask(command: string, params?: unknown, more?: Partial<IncomingCommand>): Promise<ResultPayload>;
}

export interface TestExecutorOptions {
  readonly folder: string;
  /** As in OPSPILOT_ALLOW. */
  readonly allow?: string;
  readonly searchPath: string;
  readonly socketPath?: string;
  readonly clock?: Clock;
}

/** On the real ledger and real processes; programs are those of the search path. */
export function createTestExecutor(options: TestExecutorOptions): TestExecutor {
  const { folder, allow = "", searchPath, socketPath = join(folder, "none.sock") } = options;
  const clock = options.clock ?? createSystemClock();
  const parsed = parseAllow(allow);
  if ("fault" in parsed) throw new Error(parsed.fault);
  const executor = createExecutor({
    allow: parsed.entries,
    ledger: openLedger({ dir: join(folder, "commands"), clock, log: quiet }),
    run: createProcessRunner({ searchPath, clock }),
    docker: createDockerApi({ socketPath }),
    about: { version: "0.0.0-test", collectors: () => ({ systemd: { state: "sees", for_s: 5 } }) },
    updateRequest: join(folder, "update.request"),
    clock,
    log: quiet,
  });
  const ask: TestExecutor["ask"] = (command, params = {}, more = {}) =>
    executor.run({
      id: crypto.randomUUID(),
      command,
      params: params as Record<string, unknown>,
      ttl_s: 60,
      receivedMs: clock.monotonicMs(),
      ...more,
    });
  return { ...executor, ask };
}
