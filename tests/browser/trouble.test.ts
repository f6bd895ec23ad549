import { afterAll, beforeAll, describe, expect } from "bun:test";
import { join } from "node:path";
import { findBarriers, findSmallTargets, sidewaysPx } from "../support/axe.ts";
import { browserTest, openPage } from "../support/browser.ts";
import { ALLOW, live, PHONE, rowOf, SCREENSHOTS, unitAlert } from "../support/page-world.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { serveInProcess } from "../support/served-process.ts";
import { StandInHost } from "../support/stand-in-host.ts";

/** What a page that lost its server may still say in its console. */
const isOfTheLoss = (problem: string) => /Failed to load resource|net::ERR/.test(problem);

describe("a page whose server is gone", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  }, 60_000);
  afterAll(() => database?.close(), 60_000);

  browserTest(
    "says so within seconds, takes back what was green, and is right again after the restart",
    async () => {
      const first = await serveInProcess(database.url);
      const host = new StandInHost(first.url, { hostname: "web-1", token: "token-of-web-1", allow: ALLOW });
      await host.fail(unitAlert("nginx"));
      await using list = await openPage(`${first.url}/app`);
      await using detail = await openPage(`${first.url}/app/incidents/1`);
      await Promise.all([live(list.page), live(detail.page)]);
      await rowOf(list.page, "nginx").waitFor();
      await detail.page.getByRole("button", { name: "Acknowledge" }).waitFor();

      const killedMs = performance.now();
      await first.kill("SIGKILL");
      const banners = [list, detail].map(({ page }) =>
        page.getByRole("alert").filter({ hasText: "Not connected since" }),
      );
      await Promise.all(banners.map((banner) => banner.waitFor()));
      expect(performance.now() - killedMs).toBeLessThan(3_000);
      await list.page.getByText(/What you see is \d+ s old; (next try in \d+ s|trying)/).waitFor();
      expect(await list.page.locator(".connection.is-live, .sentence.is-quiet, .host-state.is-online").count()).toBe(0);
      await list.page.locator(".sentence.is-unknown").waitFor();
      await list.page.waitForFunction(() => document.title.startsWith("(?) "));
      await detail.page.getByText("Not connected: nothing can be sent now.").waitFor();
      expect(await detail.page.getByRole("button", { name: "Acknowledge" }).isDisabled()).toBe(true);
      for (const [name, { page }] of [["now-old", list] as const, ["incident-old", detail] as const]) {
        await page.screenshot({ path: join(SCREENSHOTS, `${name}-desktop-light.png`) });
        await page.setViewportSize(PHONE);
        await page.locator(name === "now-old" ? ".sentence" : ".cause-text").waitFor();
        await page.screenshot({ path: join(SCREENSHOTS, `${name}-phone-light.png`) });
        expect([await findBarriers(page), await findSmallTargets(page), await sidewaysPx(page)]).toEqual([[], [], 0]);
      }

      const again = await serveInProcess(database.url, first.port);
      const backMs = performance.now();
      await live(list.page);
      expect(performance.now() - backMs).toBeLessThan(5_000);
      await host.fail(unitAlert("postfix"));
      await rowOf(list.page, "postfix").waitFor();
      expect(await list.page.locator("[data-incident]").count()).toBe(2);
      await live(detail.page);
      expect(await detail.page.getByRole("button", { name: "Acknowledge" }).isDisabled()).toBe(false);
      host.close();
      await again.kill("SIGTERM");
      expect([...list.problems, ...detail.problems].filter((one) => !isOfTheLoss(one))).toEqual([]);
    },
    180_000,
  );

  browserTest(
    "shows nothing green on data older than 45 s",
    async () => {
      const server = await serveInProcess(database.url);
      await using opened = await openPage("about:blank");
      const { page } = opened;
      await page.clock.install();
      await page.goto(`${server.url}/app`);
      await live(page);
      // The clock of the page alone: to it the last word of the server is a minute old.
      await server.kill("SIGSTOP");
      await page.clock.fastForward(60_000);
      await page.locator(".connection.is-lost").waitFor();
      expect(await page.locator(".connection.is-live, .sentence.is-quiet").count()).toBe(0);
      await page.waitForFunction(() => document.title.startsWith("(?) "));
      await server.kill("SIGKILL");
    },
    120_000,
  );
});
