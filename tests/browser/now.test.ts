import { afterAll, beforeAll, describe, expect } from "bun:test";
import type { Page } from "playwright-core";
import { browserTest } from "../support/browser.ts";
import { DESKTOP, live, type PageWorld, PHONE, rowOf, startPageWorld, unitAlert } from "../support/page-world.ts";
import { until } from "../support/until.ts";

const ALERTS = 20;
/** From the host's word to the row in sight, of both browsers. */
const P95_MS = 1_000;

/** As Chromium tells it; the DOM's types do not know it yet. */
interface LayoutShift {
  readonly value: number;
  readonly sources: readonly { node: Node | null }[];
}

/** When a row of this source is in the document, by this machine's clock: both browsers run on it. */
function msOfRow(page: Page, source: string): Promise<number> {
  return page.evaluate(
    (wanted) =>
      new Promise<number>((resolve) => {
        const look = new MutationObserver(() => {
          const sources = [...document.querySelectorAll("a.row .row-source")];
          if (!sources.some(({ textContent }) => textContent === wanted)) return;
          look.disconnect();
          requestAnimationFrame(() => setTimeout(() => resolve(Date.now())));
        });
        look.observe(document, { childList: true, subtree: true, characterData: true });
      }),
    source,
  );
}

describe("what is going on now", () => {
  let world: PageWorld;
  beforeAll(async () => {
    world = await startPageWorld();
  }, 180_000);
  afterAll(() => world?.[Symbol.asyncDispose](), 60_000);

  async function resolveAll(): Promise<void> {
    const { body: open } = await world.server.api("/v1/incidents?view=short&status=open&limit=500");
    const ids = open.map(({ id }: { id: number }) => id);
    if (ids.length > 0) await world.server.api("/v1/incidents", { method: "PATCH", body: { ids, status: "resolved" } });
  }

  browserTest("begins with how to add a host, and turns over by itself when one connects", async () => {
    await using opened = await world.open("/app");
    const { page, problems } = opened;
    await page.getByRole("heading", { name: "No host reports yet" }).waitFor();
    await page.getByLabel("The host's name").fill("web-1");
    await page.getByRole("button", { name: "Make a token" }).click();
    const [, token = ""] = /--token (\S+)/.exec((await page.locator(".command-line").textContent()) ?? "") ?? [];
    await live(page);
    await world.host("web-1", { token });
    await page.getByRole("heading", { name: "All quiet; 1 host reporting" }).waitFor();
    expect(problems).toEqual([]);
  });

  browserTest(
    "shows an alert as a row in two browsers within a second, and that it opened among what is newest",
    async () => {
      const host = await world.host("web-2");
      await using first = await world.open("/app");
      await using second = await world.open("/app/incidents");
      await Promise.all([live(first.page), live(second.page)]);
      const tookMs: number[] = [];
      for (let n = 1; n <= ALERTS; n++) {
        const seen = [first, second].map(({ page }) => msOfRow(page, `unit-${n}`));
        await Promise.all([first, second].map(({ page }) => page.evaluate(() => undefined)));
        const startMs = Date.now();
        await host.fail(unitAlert(`unit-${n}`));
        tookMs.push(...(await Promise.all(seen)).map((ms) => ms - startMs));
      }
      expect(tookMs.toSorted((a, b) => a - b)[Math.ceil(tookMs.length * 0.95) - 1]).toBeLessThan(P95_MS);
      await first.page.getByRole("heading", { name: `${ALERTS} critical on 1 of 2 hosts` }).waitFor();
      await first.page.waitForFunction(() => document.title.startsWith("(20) "));
      expect(await first.page.locator('link[rel="icon"]').getAttribute("href")).toContain("alert-more");
      await first.page.locator(".feed").getByText(`Opened: critical unit-${ALERTS} · web-2`).waitFor();
      expect([...first.problems, ...second.problems]).toEqual([]);
    },
  );

  const PLACES = [
    { name: "on a phone", path: "/app", viewport: PHONE },
    { name: "in the pane of a desktop", path: "/app/incidents", viewport: DESKTOP },
  ] as const;
  for (const [nth, { name, path, viewport }] of PLACES.entries())
    browserTest(`moves nothing under a reader who has scrolled, and tells how many are new: ${name}`, async () => {
      await resolveAll();
      const host = await world.host(`web-${3 + nth}`);
      for (let n = 1; n <= 30; n++) await host.fail(unitAlert(`old-${n}`, { severity: "warning" }));
      await using opened = await world.open(path, { viewport });
      const { page, problems } = opened;
      await rowOf(page, "old-30").first().waitFor();
      await live(page);
      await page.mouse.move(180, 300);
      await page.mouse.wheel(0, 900);
      const scrolled = () => page.evaluate(() => scrollY + (document.querySelector(".pane-list")?.scrollTop ?? 0));
      await until(async () => (await scrolled()) > 500);
      await page.evaluate(() => {
        const known = globalThis as unknown as { shifts: string[] };
        known.shifts = [];
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries() as unknown as LayoutShift[])
            known.shifts.push(
              ...entry.sources.map(({ node }) => `${entry.value}: ${node?.parentElement?.outerHTML.slice(0, 200)}`),
            );
        }).observe({ type: "layout-shift", buffered: false });
      });
      const rowAt = () => page.evaluate(() => document.elementFromPoint(180, 300)?.closest("a")?.getAttribute("href"));
      const before = await rowAt();
      for (let n = 1; n <= 3; n++) await host.fail(unitAlert(`fresh-${n}`));
      await page.getByRole("button", { name: "3 new" }).waitFor();
      // Ages grow, too.
      await page.waitForFunction(() =>
        /^1\d s/.test(document.elementFromPoint(180, 300)?.closest("a")?.querySelector(".row-age")?.textContent ?? ""),
      );
      expect(await rowAt()).toBe(before);
      expect(await page.evaluate(() => (globalThis as unknown as { shifts: string[] }).shifts)).toEqual([]);
      await page.getByRole("button", { name: "3 new" }).click();
      await rowOf(page, "fresh-3").first().waitFor();
      expect(await scrolled()).toBe(0);
      expect(problems).toEqual([]);
    });
});
