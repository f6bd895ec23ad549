import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAgent } from "../../src/agent/agent.ts";
import { createDockerApi } from "../../src/agent/docker-api.ts";
import { createExecutor } from "../../src/agent/executor.ts";
import { openLedger } from "../../src/agent/ledger.ts";
import type { HostAlert, ReportAlert } from "../../src/agent/model.ts";
import { createProcessRunner } from "../../src/agent/run-process.ts";
import { statePaths } from "../../src/agent/state-dir.ts";
import { loadAgentConfig } from "../../src/config/agent.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { FakeSystemd } from "./fake-systemd.ts";
import { quiet } from "./log.ts";
import type { TestServer } from "./server.ts";
import { until } from "./until.ts";

/** In this process or another. */
export type AskedServer = Pick<TestServer, "url" | "api">;

interface OwnIncident {
  id: number;
  source: string;
  analysis: unknown;
}

/** A host with the real agent and its real executor; systemd and the journal are stand-ins of its own, alerts are the test's. */
export class LookingHost {
  readonly systemd: FakeSystemd;
  readonly #folder: string;
  #report: ReportAlert = async () => undefined;
  #stop: () => Promise<void> = async () => undefined;

  private constructor(
    readonly server: AskedServer,
    /** As the server names it. */
    readonly id: string,
    readonly token: string,
  ) {
    this.#folder = mkdtempSync(join(tmpdir(), "opspilot-looking-"));
    this.systemd = new FakeSystemd(this.#folder);
  }

  /** `allow` is as in OPSPILOT_ALLOW. Resolves once the server knows what the agent allows. */
  static async start(server: AskedServer, { allow = "" } = {}): Promise<LookingHost> {
    const { body } = await server.api("/v1/agents", { method: "POST", body: {} });
    const host = new LookingHost(server, body.id, body.token);
    await host.#start(allow);
    return host;
  }

  async #start(allow: string): Promise<void> {
    const dir = this.#folder;
    const env = {
      OPSPILOT_SERVER: this.server.url,
      OPSPILOT_TOKEN: this.token,
      OPSPILOT_DATA_DIR: dir,
      OPSPILOT_ALLOW: allow,
    };
    const config = loadAgentConfig({}, { env, cwd: dir, uid: 1, home: undefined });
    const clock = createSystemClock();
    const agent = await startAgent({
      ...{ config, version: "0.0.0-test", clock, log: quiet },
      createCollectors: () => [
        {
          name: "test",
          start: (report) => {
            this.#report = report;
          },
          stop: async () => undefined,
          health: () => undefined,
          check: async () => ({ name: "test", ok: true, detail: "" }),
        },
      ],
      createExecutor: (collectors) =>
        createExecutor({
          ...{ allow: config.allow, clock, log: quiet, about: { version: "0.0.0-test", collectors } },
          ledger: openLedger({ dir: statePaths(config.stateDir).commands, clock, log: quiet }),
          run: createProcessRunner({ searchPath: this.systemd.searchPath, clock }),
          docker: createDockerApi({ socketPath: join(dir, "docker.sock") }),
          updateRequest: statePaths(config.stateDir).updateRequest,
        }),
    });
    this.#stop = agent.stop;
    const isKnown = async () => (await this.server.api(`/v1/agents/${this.id}`)).body.meta?.allow !== undefined;
    await until(isKnown, { what: "the agent is known" });
  }

  /** Something fails here; the number of the incident that it opens, once the rules have explained it. */
  async fail(changes: Partial<HostAlert> = {}): Promise<number> {
    const alert = {
      ...{ type: "systemd", source: "app", message: "app.service failed", state: "firing" as const },
      ...changes,
    };
    const before = (await this.#incidents()).map(({ id }) => id);
    await this.#report({ atMs: Date.now(), ...alert });
    const isNew = (one: OwnIncident) =>
      one.source === alert.source && one.analysis !== null && !before.includes(one.id);
    const { id } = await until(async () => (await this.#incidents()).find(isNew), { what: `a new ${alert.source}` });
    return id;
  }

  async #incidents(): Promise<OwnIncident[]> {
    return (await this.server.api(`/v1/agents/${this.id}/incidents?limit=1000`)).body;
  }

  /** What systemctl and journalctl were asked here. */
  asked(): string[] {
    const names = ["systemctl", "journalctl"] as const;
    return names.flatMap((name) => this.systemd.calls(name).map(({ words }) => [name, ...words].join(" ")));
  }

  async stop(): Promise<void> {
    await this.#stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
