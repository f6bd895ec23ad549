import { afterAll, beforeAll, describe, expect } from "bun:test";
import type { Page } from "playwright-core";
import { browserTest } from "../support/browser.ts";
import { live, type PageWorld, rowOf, startPageWorld, unitAlert } from "../support/page-world.ts";

describe("by keyboard alone", () => {
  let world: PageWorld;
  beforeAll(async () => {
    world = await startPageWorld();
  }, 180_000);
  afterAll(() => world?.[Symbol.asyncDispose](), 60_000);

  const focused = (page: Page) => page.evaluate(() => document.activeElement?.textContent?.trim() ?? "");

  browserTest("the whole story: find it, restart it, see that it holds, and go back", async () => {
    const host = await world.host("web-1");
    await host.fail(unitAlert("nginx"));
    await host.fail(unitAlert("cron", { severity: "info" }));
    await using opened = await world.open("/app");
    const { page, problems } = opened;
    await live(page);
    await rowOf(page, "nginx").waitFor();
    const { keyboard } = page;
    await keyboard.press("g");
    await keyboard.press("i");
    await page.waitForURL("**/app/incidents");
    await rowOf(page, "nginx").waitFor();
    await keyboard.press("j");
    expect(await focused(page)).toContain("nginx");
    await keyboard.press("j");
    expect(await focused(page)).toContain("cron");
    await keyboard.press("k");
    await keyboard.press("Enter");
    await page.getByRole("heading", { name: /already taken/ }).waitFor();
    await page.waitForFunction(() => document.activeElement?.classList.contains("cause-text"));
    await page.getByRole("button", { name: "Restart" }).waitFor();
    await keyboard.press("r");
    await page.getByRole("dialog", { name: /Restart nginx/ }).waitFor();
    // Keys of the page do nothing while a question is asked.
    await keyboard.press("a");
    await keyboard.press("Tab");
    await keyboard.press("Tab");
    expect(await focused(page)).toBe("Restart now");
    await keyboard.press("Enter");
    await page.locator(".outcome", { hasText: "Holds" }).waitFor();
    await keyboard.press("u");
    await page.waitForURL("**/app/incidents");
    expect((await world.server.api("/v1/incidents/1")).body.decisions).toHaveLength(1);
    expect(problems).toEqual([]);
  });

  browserTest("no key acts in a field; Escape closes what asks, and the focus goes back", async () => {
    const host = await world.host("web-2");
    await host.fail(unitAlert("postfix"));
    await using opened = await world.open("/app/incidents");
    const { page } = opened;
    await live(page);
    await rowOf(page, "postfix").waitFor();
    const { keyboard } = page;
    await keyboard.press("/");
    await keyboard.type("jxar?gn");
    expect(await page.getByLabel("Search").inputValue()).toBe("jxar?gn");
    expect(await page.locator("dialog[open]").count()).toBe(0);
    await page.waitForURL("**/app/incidents?q=jxar*");
    await page.getByText("Nothing fits these filters").waitFor();
    await page.getByRole("link", { name: "Clear the filters" }).focus();
    await keyboard.press("Enter");
    await rowOf(page, "postfix").waitFor();
    await page.getByRole("link", { name: "Settings" }).focus();
    await keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await keyboard.press("Escape");
    await page.waitForFunction(() => document.querySelector("dialog[open]") === null);
    expect(await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe("Settings");
  });
});
