import { join } from "node:path";
import type { BrowserContextOptions, Locator, Page } from "playwright-core";
import { type OpenedPage, openPage } from "./browser.ts";
import { createTestDatabase, type TestDatabase } from "./postgres.ts";
import { startTestServer, type TestServer } from "./server.ts";
import { StandInHost, type StandInOptions } from "./stand-in-host.ts";
import { until } from "./until.ts";

const PICTURES = join(import.meta.dir, "../../dist/pictures");

/** Keeps a picture in dist/pictures for whoever asks for them with `PICTURES=1`: they take a tenth of the time. */
export async function takePicture(page: Page, name: string): Promise<void> {
  if (Bun.env.PICTURES === "1") await page.screenshot({ path: join(PICTURES, `${name}.png`) });
}

/** A telephone held upright, and a desktop. */
export const PHONE = { width: 360, height: 640 } as const;
export const DESKTOP = { width: 1280, height: 800 } as const;

/** What may be done on hosts of these tests. */
export const ALLOW = ["restart_service:nginx*", "service_status:*", "get_logs:*", "host_report:*", "ping:*"];

/** A whole server with hosts that are played, for pages to look at. */
export interface PageWorld extends AsyncDisposable {
  readonly server: TestServer;
  readonly database: TestDatabase;
  /** A host that is connected, and allows what ALLOW says. */
  host(hostname: string, options?: Partial<StandInOptions>): Promise<StandInHost>;
  /** The number of a host, once the server knows it by its name. */
  agentId(hostname: string): Promise<string>;
  /** Opens a path of the page. */
  open(path: string, options?: BrowserContextOptions): Promise<OpenedPage>;
}

/** Starts one; `env` are settings of the server. */
export async function startPageWorld(env: Record<string, string> = {}): Promise<PageWorld> {
  const database = await createTestDatabase();
  const server = await startTestServer(database.url, env);
  const hosts: StandInHost[] = [];
  return {
    server,
    database,
    async host(hostname, options = {}) {
      const token = `token-of-${hostname}`;
      const host = new StandInHost(server.url, { hostname, token, allow: ALLOW, ...options });
      hosts.push(host);
      await host.ready();
      return host;
    },
    agentId: (hostname) =>
      until(
        async () => {
          const { body } = await server.api("/v1/agents");
          return body.find((agent: { hostname: string | null }) => agent.hostname === hostname)?.id;
        },
        { ms: 15_000, what: `${hostname} is known` },
      ),
    open: (path, options = {}) => openPage(server.url + path, { viewport: DESKTOP, ...options }),
    async [Symbol.asyncDispose]() {
      for (const host of hosts) host.close();
      await server.stop();
      await database.close();
    },
  };
}

/** An alert of a unit, as an agent tells it. */
export function unitAlert(source: string, changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    type: "systemd",
    source,
    severity: "critical",
    exit_code: 1,
    message: `${source}.service failed: exit code 1`,
    logs: `${source}[12]: starting\n${source}[12]: bind() to 0.0.0.0:80 failed (98: Address already in use)\nsystemd[1]: ${source}.service: Failed`,
    ...changes,
  };
}

/** Waits until the page follows what happens. */
export async function live(page: Page): Promise<void> {
  await page.locator(".connection.is-live").waitFor();
}

/** An incident's row in a list; what is newest names it, too. */
export function rowOf(page: Page, source: string): Locator {
  return page.locator("a.row", { hasText: source });
}
