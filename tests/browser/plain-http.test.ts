import { afterAll, beforeAll, describe, expect } from "bun:test";
import type { Page } from "playwright-core";
import { browserTest } from "../support/browser.ts";
import { ADMIN_TOKEN } from "../support/http-app.ts";
import { live, type PageWorld, startPageWorld, unitAlert } from "../support/page-world.ts";
import { until } from "../support/until.ts";

const TABS = 12;

describe("by a name and plain http, where a browser gives a page less than by localhost", () => {
  let world: PageWorld;
  let url = "";
  beforeAll(async () => {
    world = await startPageWorld({ ADMIN_TOKEN, ACCESS: "token", AGENT_ENROLLMENT: "open" });
    url = world.server.url.replace("127.0.0.1", "ops.internal");
  }, 180_000);
  afterAll(() => world?.[Symbol.asyncDispose](), 60_000);

  /** Streams of changes that the server holds. */
  async function streams(): Promise<number> {
    const answer = await fetch(`${world.server.url}/metrics`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
    return Number(/^opspilot_event_streams (\d+)$/m.exec(await answer.text())?.[1]);
  }

  const rowOf = (page: Page, source: string) => page.locator("a.row", { hasText: source });

  async function signIn(page: Page): Promise<void> {
    await page.getByLabel("Token").fill(ADMIN_TOKEN);
    await page.keyboard.press("Enter");
    await live(page);
  }

  browserTest(
    "twelve tabs are live on one stream, and each shows what happens",
    async () => {
      await using opened = await world.open("/app/sign-in");
      const context = opened.page.context();
      await opened.page.close();
      await until(async () => (await streams()) === 0, { ms: 20_000, what: "no stream is left" });
      const first = await context.newPage();
      await first.goto(`${url}/app`);
      expect(await first.evaluate(() => [location.hostname, isSecureContext])).toEqual(["ops.internal", false]);
      await signIn(first);
      const pages = [first];
      for (let n = 1; n < TABS; n++) {
        const page = await context.newPage();
        await page.goto(`${url}/app`);
        pages.push(page);
      }
      await Promise.all(pages.map(live));
      expect(await streams()).toBe(1);
      const host = await world.host("web-1");
      await host.fail(unitAlert("everywhere"));
      await Promise.all(pages.map((page) => rowOf(page, "everywhere").waitFor()));
      expect(await streams()).toBe(1);
      // Who goes on alone still hears all.
      const [last] = pages.splice(-1);
      for (const page of pages) await page.close();
      await host.fail(unitAlert("afterwards"));
      if (last) await rowOf(last, "afterwards").waitFor();
      expect(await streams()).toBe(1);
    },
    180_000,
  );

  browserTest("one signs in, copies, restarts and sees that it holds", async () => {
    const host = await world.host("web-2");
    await host.fail(unitAlert("nginx"));
    await using opened = await world.open("/app/sign-in");
    const { page } = opened;
    await page.goto(`${url}/app/incidents?q=nginx`);
    await signIn(page);
    await page.getByRole("link", { name: "nginx" }).click();
    await page.getByRole("button", { name: "Restart" }).waitFor();
    expect(await page.evaluate(() => navigator.clipboard)).toBeUndefined();
    await page.locator(".fix .copy").click();
    await page.locator(".fix").getByText("Copied").waitFor();
    const commands = await page.locator(".fix-text code").allTextContents();
    await page.getByRole("link", { name: "Incidents", exact: true }).click();
    const search = page.getByLabel("Search");
    await until(async () => (await search.inputValue()) === "", { ms: 15_000, what: "the filters are cleared" });
    await search.focus();
    await page.keyboard.press("Control+V");
    const pasted = async () => (await search.inputValue()) === commands.join(" ");
    await until(pasted, { ms: 15_000, what: "what was copied is pasted" });
    await page.goBack();
    await page.getByRole("button", { name: "Restart" }).click();
    await page.getByRole("button", { name: "Restart now" }).click();
    await page.locator(".outcome", { hasText: "Holds" }).waitFor();
    expect(host.commands.filter(({ command }) => command === "restart_service")).toHaveLength(1);
  });
});
