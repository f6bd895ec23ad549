import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./executable.ts";
import { until } from "./until.ts";

/** A real Alertmanager. */
export interface Alertmanager {
  /** Gives it alerts, as Prometheus does. */
  post(alerts: readonly object[]): Promise<void>;
  stop(): Promise<void>;
}

/** Where it is installed (Debian's package `prometheus-alertmanager`). */
export function findAlertmanager(): string | undefined {
  return Bun.which("prometheus-alertmanager") ?? Bun.which("alertmanager") ?? undefined;
}

/** Starts one that sends all alerts in one group, at once, to the webhook. */
export async function startAlertmanager(program: string, webhook: string, token: string): Promise<Alertmanager> {
  const dir = mkdtempSync(join(tmpdir(), "opspilot-alertmanager-"));
  const port = await freePort();
  writeFileSync(
    join(dir, "alertmanager.yml"),
    `route: { receiver: opspilot, group_by: [job], group_wait: 100ms, group_interval: 2s }
receivers:
  - name: opspilot
    webhook_configs:
      - url: ${webhook}
        http_config: { authorization: { credentials: ${token} } }
`,
  );
  const args = ["--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address="];
  const listen = `--web.listen-address=127.0.0.1:${port}`;
  const child = Bun.spawn([program, ...args, listen], {
    cwd: dir,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  const url = `http://127.0.0.1:${port}`;
  await until(async () => (await fetch(`${url}/-/ready`, { keepalive: false }).catch(() => null))?.ok, {
    what: "Alertmanager is ready",
  });
  return {
    async post(alerts) {
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify(alerts);
      const answer = await fetch(`${url}/api/v2/alerts`, { method: "POST", headers, body, keepalive: false });
      if (!answer.ok) throw new Error(`Alertmanager took nothing: ${answer.status} ${await answer.text()}`);
    },
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
