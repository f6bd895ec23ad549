import { afterAll, beforeAll, describe, expect } from "bun:test";
import { browserTest, openPage } from "../support/browser.ts";
import { live, type PageWorld, rowOf, startPageWorld, unitAlert } from "../support/page-world.ts";
import { until } from "../support/until.ts";

/** The server gives a sign of life each 15 s, with which the page asks for what has aged. */
const ALIVE_MS = 25_000;
const MINUTE_MS = 61_000;

describe("what ages is made new without a word of anybody's", () => {
  let world: PageWorld;
  beforeAll(async () => {
    world = await startPageWorld();
  }, 180_000);
  afterAll(() => world?.[Symbol.asyncDispose](), 60_000);

  const silence = (body: object) => world.server.api("/v1/silences", { method: "POST", body });

  browserTest(
    "the mark of a silence, as it is made, ended, and runs out, also where somebody has scrolled",
    async () => {
      const host = await world.host("web-1");
      for (let n = 1; n <= 30; n++) await host.fail(unitAlert(`noisy-${n}`));
      await using opened = await world.open("/app/incidents");
      const { page, problems } = opened;
      await live(page);
      await rowOf(page, "noisy-20").waitFor();
      await page.mouse.move(180, 500);
      await page.mouse.wheel(0, 600);
      const marked = page.locator("a.row", { hasText: "noisy-20" }).filter({ hasText: "silenced" });
      const { body } = await silence({ source: "noisy-2*" });
      await marked.waitFor();
      await world.server.api(`/v1/silences/${body.id}`, { method: "DELETE" });
      await marked.waitFor({ state: "detached" });
      await silence({ source: "noisy-20", until: new Date(Date.now() + 2_000).toISOString() });
      await marked.waitFor();
      await marked.waitFor({ state: "detached" });
      expect(problems).toEqual([]);
    },
  );

  browserTest(
    "the figures of the hosts in sight, and of one host",
    async () => {
      let cpu = 11;
      const metrics = () => ({ cpu_pct: cpu, mem_used_bytes: 2 ** 30, mem_total_bytes: 2 ** 32 });
      const checks = [{ name: "shop", up: false, for_s: 300, said: "HTTP 502 Bad Gateway" }, { name: "odd" }, "odd"];
      await world.host("web-2", { metrics, facts: { checks } });
      await using all = await openPage("about:blank");
      await using one = await world.open("/app/hosts?q=web-2");
      await all.page.clock.install();
      await all.page.goto(`${world.server.url}/app/hosts?q=web-2`);
      await all.page.locator(".host-figures", { hasText: "11 %" }).waitFor();
      await one.page.getByRole("link", { name: "web-2" }).click();
      await one.page.locator(".figures", { hasText: "11 %" }).waitFor();
      expect(await one.page.getByLabel("What it checks").locator("li").allInnerTexts()).toEqual([
        "shop fails for 5 min\n\nHTTP 502 Bad Gateway",
      ]);
      await Promise.all([live(all.page), live(one.page)]);
      cpu = 77;
      // Asked for a moment too early, the old figures would stand for another minute.
      const known = async () => (await world.server.api("/v1/agents?q=web-2")).body[0]?.meta?.metrics?.cpu_pct;
      await until(async () => (await known()) === 77, { ms: ALIVE_MS, what: "the server knows the new figures" });
      await all.page.clock.fastForward(MINUTE_MS);
      await Promise.all([
        all.page.locator(".host-figures", { hasText: "77 %" }).waitFor({ timeout: ALIVE_MS }),
        one.page.locator(".figures", { hasText: "77 %" }).waitFor({ timeout: ALIVE_MS }),
      ]);
    },
    180_000,
  );

  browserTest(
    "a host's charts, which stay while their next point is asked for",
    async () => {
      await world.host("web-3", { metrics: () => ({ cpu_pct: 42 }) });
      await using opened = await openPage("about:blank");
      const { page } = opened;
      await page.clock.install();
      const mayAnswer = Promise.withResolvers<void>();
      let isLater = false;
      let askedLater = 0;
      await page.route(/metrics\?/, async (route) => {
        const query = new URL(route.request().url()).searchParams;
        const [from = 0, to = 0] = ["from", "to"].map((name) => Number(query.get(name)));
        const cpu = isLater ? 32 : 31;
        if (isLater) askedLater++;
        if (isLater) await mayAnswer.promise;
        await route.fulfill({ json: { step_s: 60, from, to, series: { cpu_pct: [[to - 60, 1, cpu, 50]] } } });
      });
      await page.goto(`${world.server.url}/app/hosts?q=web-3`);
      await page.getByRole("link", { name: "web-3" }).click();
      await live(page);
      const chart = page.locator(".chart");
      await chart.getByText("31 % at the end").waitFor();
      isLater = true;
      await page.clock.fastForward(MINUTE_MS);
      await until(() => askedLater > 0);
      await chart.getByText("31 % at the end").waitFor();
      mayAnswer.resolve();
      await chart.getByText("32 % at the end").waitFor();
    },
    180_000,
  );
});
