import { afterAll, beforeAll, describe, expect } from "bun:test";
import type { Page } from "playwright-core";
import { browserTest, openPage } from "../support/browser.ts";
import { unanswered } from "../support/looks.ts";
import { live, type PageWorld, startPageWorld, unitAlert } from "../support/page-world.ts";

describe("who sees no colours, or wants no motion", () => {
  let world: PageWorld;
  beforeAll(async () => {
    world = await startPageWorld();
    const host = await world.host("web-1");
    for (const severity of ["critical", "warning", "info"])
      await host.fail(unitAlert(`nginx-${severity}`, { severity }));
    const gone = await world.host("old-1");
    await Promise.all(["web-1", "old-1"].map(world.agentId));
    gone.close();
  }, 180_000);
  afterAll(() => world?.[Symbol.asyncDispose](), 60_000);

  /** Gives all moods one colour. */
  async function takeColours(page: Page): Promise<void> {
    await page.evaluate(() => {
      const moods = ["critical", "warning", "info", "good", "accent", "muted", "tone", "mood"];
      for (const mood of moods) {
        document.documentElement.style.setProperty(`--${mood}`, "#333");
        document.documentElement.style.setProperty(`--${mood}-soft`, "#eee");
      }
    });
  }

  /** How each of these looks, as many as there are. */
  async function picturesOf(page: Page, selectors: readonly string[]): Promise<string[]> {
    const pictures: string[] = [];
    for (const selector of selectors) {
      const place = page.locator(selector).first();
      await place.waitFor();
      pictures.push((await place.screenshot()).toString("base64"));
    }
    return pictures;
  }

  browserTest("tells severities, and hosts that are silent, apart by their shapes", async () => {
    await using opened = await world.open("/app/incidents");
    const { page } = opened;
    await live(page);
    await page.getByRole("link", { name: "nginx-info" }).waitFor();
    await takeColours(page);
    const marks = ["critical", "warning", "info"].map((severity) => `a.row.is-${severity} .row-mark svg`);
    expect(new Set(await picturesOf(page, marks)).size).toBe(3);
    await page.getByRole("link", { name: "Hosts" }).click();
    await page.locator(".host-row.is-offline").waitFor();
    const dots = ["offline", "online"].map((state) => `.host-state.is-${state} .dot`);
    expect(new Set(await picturesOf(page, dots)).size).toBe(2);
    // Beside the shape there is a word, for those who hear the page.
    const words = await page.locator(".host-state").allTextContents();
    expect(words.toSorted()).toEqual(["reporting", "silent"]);
  });

  browserTest("sees nothing move that was asked not to", async () => {
    const running = (page: Page) =>
      page.evaluate(() => document.getAnimations().filter(({ playState }) => playState === "running").length);
    for (const reducedMotion of ["no-preference", "reduce"] as const) {
      await using opened = await openPage("about:blank", { reducedMotion });
      const { page } = opened;
      await unanswered(/counts/)(page);
      await page.goto(`${world.server.url}/app`);
      await page.locator(".is-loading .bones").waitFor({ state: "attached" });
      expect({ reducedMotion, moves: (await running(page)) > 0 }).toEqual({
        reducedMotion,
        moves: reducedMotion !== "reduce",
      });
      await page.keyboard.press("?");
      await page.locator("dialog[open]").waitFor();
      expect({ reducedMotion, moves: (await running(page)) > 0 }).toEqual({
        reducedMotion,
        moves: reducedMotion !== "reduce",
      });
    }
  });
});
