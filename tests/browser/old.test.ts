import { afterAll, beforeAll, describe } from "bun:test";
import { browserTest, openPage } from "../support/browser.ts";
import { checkLooks } from "../support/looks.ts";
import { DESKTOP, live, type PageWorld, startPageWorld, unitAlert } from "../support/page-world.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

/** Data are old after 45 s. */
const LATER_MS = 61_000;

/** Where each view is, and what shows that it is loaded. */
const VIEWS: readonly { name: string; path: string; shown: string }[] = [
  { name: "now", path: "/app", shown: "a.row" },
  { name: "incidents", path: "/app/incidents", shown: "a.row" },
  { name: "incident", path: "/app/incidents/1", shown: ".cause-text" },
  { name: "hosts", path: "/app/hosts", shown: "a.host-row" },
  { name: "host", path: "/app/hosts/WEB", shown: ".facts" },
  { name: "silences", path: "/app/silences", shown: ".card .held" },
  { name: "settings", path: "/app/settings", shown: ".setup-part" },
];

describe("each view whose server is gone for longer than what it shows is believed", () => {
  let world: PageWorld;
  let quiet: PageWorld;
  beforeAll(async () => {
    world = await startPageWorld();
    quiet = await startPageWorld();
    const host = await world.host("web-1", { metrics: () => ({ cpu_pct: 23, load1: 0.7 }) });
    await host.fail(unitAlert("nginx"));
    await world.server.api("/v1/silences", { method: "POST", body: { source: "nginx" } });
    await quiet.host("web-1");
    await Promise.all([world.agentId("web-1"), quiet.agentId("web-1")]);
  }, 180_000);
  afterAll(() => Promise.all([world, quiet].map((one) => one?.[Symbol.asyncDispose]())), 60_000);

  /** Over a network of its own, which is cut once the view is there; by the page's clock a minute goes by then. */
  async function lookAtOld(of: PageWorld, view: (typeof VIEWS)[number]): Promise<void> {
    const proxy = await startTcpProxy(Number(new URL(of.server.url).port));
    try {
      await using opened = await openPage("about:blank", { viewport: DESKTOP, reducedMotion: "reduce" });
      const { page } = opened;
      await page.clock.install();
      const path = view.path.replace("WEB", await of.agentId("web-1"));
      await page.goto(`http://127.0.0.1:${proxy.port}${path}`);
      await live(page);
      await page.locator(view.shown).first().waitFor();
      proxy.cut();
      await page.getByRole("alert").filter({ hasText: "Not connected since" }).waitFor();
      await page.clock.fastForward(LATER_MS);
      await page.getByText(/What you see is [6-9]\d s old/).waitFor();
      await checkLooks(page, `${view.name}-old`);
    } finally {
      proxy.stop();
    }
  }

  for (const view of VIEWS) browserTest(view.name, () => lookAtOld(world, view));

  browserTest("now, where all was quiet", async () => {
    const view = { name: "now-quiet", path: "/app", shown: ".sentence.is-quiet" };
    await lookAtOld(quiet, view);
  });
});
