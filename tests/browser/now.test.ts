import { afterAll, beforeAll, describe, expect } from "bun:test";
import { browserTest } from "../support/browser.ts";
import { live, type PageWorld, startPageWorld, unitAlert } from "../support/page-world.ts";

/** A machine that runs other tests beside this one paints late. */
const BUSY_MS = 5_000;

describe("what is going on now", () => {
  let world: PageWorld;
  beforeAll(async () => {
    world = await startPageWorld();
  }, 60_000);
  afterAll(() => world?.[Symbol.asyncDispose](), 60_000);

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

  browserTest("shows an alert as a row in two browsers", async () => {
    const host = await world.host("web-2");
    await using first = await world.open("/app");
    await using second = await world.open("/app/incidents");
    await Promise.all([live(first.page), live(second.page)]);
    const tookMs: number[] = [];
    for (let n = 1; n <= 8; n++) {
      const startMs = performance.now();
      await host.fail(unitAlert(`unit-${n}`));
      await Promise.all([first, second].map(({ page }) => page.getByRole("link", { name: `unit-${n}` }).waitFor()));
      tookMs.push(performance.now() - startMs);
    }
    expect(Math.max(...tookMs)).toBeLessThan(BUSY_MS);
    expect(tookMs.toSorted((a, b) => a - b)[4]).toBeLessThan(1_000);
    await first.page.getByRole("heading", { name: "8 critical on 1 of 2 hosts" }).waitFor();
    await first.page.waitForFunction(() => document.title.startsWith("(8) "));
    expect(await first.page.locator('link[rel="icon"]').getAttribute("href")).toContain("alert-8");
    expect([...first.problems, ...second.problems]).toEqual([]);
  });

  browserTest("moves nothing under a reader who has scrolled, and tells how many are new", async () => {
    const host = await world.host("web-3");
    for (let n = 1; n <= 30; n++) await host.fail(unitAlert(`old-${n}`, { severity: "warning" }));
    await using opened = await world.open("/app", { viewport: { width: 360, height: 640 } });
    const { page, problems } = opened;
    await page.getByRole("link", { name: "old-30" }).waitFor();
    await live(page);
    await page.mouse.move(180, 300);
    await page.mouse.wheel(0, 900);
    await page.waitForFunction(() => scrollY > 500);
    await page.evaluate(() => {
      const known = globalThis as unknown as { shift: number };
      known.shift = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) known.shift += (entry as unknown as { value: number }).value;
      }).observe({ type: "layout-shift", buffered: false });
    });
    const rowAt = () => page.evaluate(() => document.elementFromPoint(180, 300)?.closest("a")?.getAttribute("href"));
    const before = await rowAt();
    for (let n = 1; n <= 3; n++) await host.fail(unitAlert(`fresh-${n}`));
    await page.getByRole("button", { name: "3 new" }).waitFor();
    expect(await rowAt()).toBe(before);
    expect(await page.evaluate(() => (globalThis as unknown as { shift: number }).shift)).toBe(0);
    await page.getByRole("button", { name: "3 new" }).click();
    await page.getByRole("link", { name: "fresh-3" }).waitFor();
    expect(await page.evaluate(() => scrollY)).toBe(0);
    expect(problems).toEqual([]);
  });
});
