import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CollectorDeps } from "../../src/agent/collectors/collector-model.ts";
import { createDockerApi } from "../../src/agent/docker-api.ts";
import type { Collector, HostAlert } from "../../src/agent/model.ts";
import { createProcessRunner } from "../../src/agent/run-process.ts";
import { type CollectorSettings, THRESHOLDS } from "../../src/config/agent-collectors.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { quiet } from "./log.ts";
import { until } from "./until.ts";

/** A folder, collectors that work in it, and what they tell. */
export class CollectorBench {
  readonly folder = mkdtempSync(join(tmpdir(), "opspilot-collectors-"));
  readonly alerts: HostAlert[] = [];
  readonly #running: Collector[] = [];

  deps(
    changes: Partial<Omit<CollectorDeps, "settings">> & { settings?: Partial<CollectorSettings> } = {},
  ): CollectorDeps {
    const clock = changes.clock ?? createSystemClock();
    const searchPath = changes.searchPath ?? join(this.folder, "no-programs");
    const settings = { enabled: [], thresholds: THRESHOLDS, logRules: [], checks: [], ignore: [], recoveryMs: 200 };
    return {
      clock,
      log: quiet,
      run: createProcessRunner({ searchPath, clock: createSystemClock() }),
      searchPath,
      docker: createDockerApi({ socketPath: join(this.folder, "docker.sock") }),
      stateDir: join(this.folder, "state"),
      ...changes,
      settings: { ...settings, ...changes.settings },
    };
  }

  start(collector: Collector): Collector {
    collector.start(async (alert) => void this.alerts.push(alert));
    this.#running.push(collector);
    return collector;
  }

  /** Waits for the n-th alert (from 0). */
  async alert(n: number): Promise<HostAlert> {
    return until(() => this.alerts[n], { what: `alert ${n}; so far ${JSON.stringify(this.alerts)}`, ms: 10_000 });
  }

  /** Source, state and message of all that was told. */
  told(): string[] {
    return this.alerts.map(({ source, state, message }) => `${source} ${state}: ${message}`);
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.map((collector) => collector.stop()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}
