import { afterAll, beforeAll, describe, expect } from "bun:test";
import type { Page } from "playwright-core";
import { findBarriers, findSmallTargets, sidewaysPx } from "../support/axe.ts";
import { browserTest, openPage } from "../support/browser.ts";
import { findGreens } from "../support/greens.ts";
import { ALLOW, live, PHONE, rowOf, takePicture, unitAlert } from "../support/page-world.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { type ServedProcess, serveInProcess } from "../support/served-process.ts";
import { StandInHost } from "../support/stand-in-host.ts";
import { until } from "../support/until.ts";

/** Nothing is believed that is older. */
const OLD_MS = 45_000;

/** What a page that lost its server may still say in its console. */
const isOfTheLoss = (problem: string) => /Failed to load resource|net::ERR/.test(problem);

describe("a page whose server is gone", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  }, 180_000);
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
      await detail.page.getByText("Not connected: nothing can be sent now.").first().waitFor();
      expect(await detail.page.getByRole("button", { name: "Acknowledge" }).isDisabled()).toBe(true);
      for (const [name, { page }] of [["now-old", list] as const, ["incident-old", detail] as const]) {
        await takePicture(page, `${name}-desktop-light`);
        await page.setViewportSize(PHONE);
        await page.locator(name === "now-old" ? ".sentence" : ".cause-text").waitFor();
        await takePicture(page, `${name}-phone-light`);
        expect([await findBarriers(page), await findSmallTargets(page), await sidewaysPx(page)]).toEqual([[], [], 0]);
      }

      const again = await serveInProcess(database.url, first.port);
      const backMs = performance.now();
      // What happens before the page is there again.
      const telling = host.fail(unitAlert("missed"));
      await live(list.page);
      expect(performance.now() - backMs).toBeLessThan(5_000);
      await telling;
      await host.fail(unitAlert("postfix"));
      for (const source of ["missed", "postfix"]) await rowOf(list.page, source).waitFor();
      expect(await list.page.locator("[data-incident]").count()).toBe(3);
      const opened = list.page.locator(".feed li", { hasText: "Opened" });
      expect((await opened.allTextContents()).map((line) => line.replace(/^.*critical /, "")).toSorted()).toEqual([
        "missed · web-1",
        "nginx · web-1",
        "postfix · web-1",
      ]);
      await live(detail.page);
      expect(await detail.page.getByRole("button", { name: "Acknowledge" }).isDisabled()).toBe(false);
      host.close();
      await again.kill("SIGTERM");
      expect([...list.problems, ...detail.problems].filter((one) => !isOfTheLoss(one))).toEqual([]);
    },
    180_000,
  );

  /** A host that reports, and a failure that was restarted away: all is well, and the page says so wherever it can. */
  async function startQuietly(): Promise<{ server: ServedProcess; host: StandInHost; paths: readonly string[] }> {
    const server = await serveInProcess(database.url);
    const collectors = { systemd: { state: "sees", for_s: 60 } };
    const host = new StandInHost(server.url, {
      hostname: "web-2",
      token: "token-of-web-2",
      allow: ALLOW,
      collectors,
      settleMs: 100,
    });
    const ask = async (path: string, init?: RequestInit) => (await fetch(server.url + path, init)).json();
    const send = (method: string, body: object) => ({
      method,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    await host.fail(unitAlert("nginx"));
    const [{ id, agent_id: agentId }] = await ask("/v1/incidents?status=open&q=web-2");
    await ask(`/v1/incidents/${id}/decisions`, send("POST", { action: "restart" }));
    await until(async () => (await ask(`/v1/incidents/${id}`)).status === "resolved", { ms: 20_000 });
    const others = (await ask("/v1/incidents?status=open")).map((one: { id: number }) => one.id);
    if (others.length > 0) await ask("/v1/incidents", send("PATCH", { ids: others, status: "resolved" }));
    const places = ["", "/incidents", `/incidents/${id}`, "/hosts", `/hosts/${agentId}`, "/silences", "/settings"];
    return { server, host, paths: places.map((place) => `/app${place}`) };
  }

  /** What each view shows once it is there. */
  const SHOWN = ".sentence, .pane-list .state, .cause-text, a.host-row, .facts, .silences .state, .setup-part";

  async function openAll(url: string, paths: readonly string[], prepare = async (_: Page) => {}) {
    const all = paths.map(async (path) => {
      const opened = await openPage("about:blank");
      await prepare(opened.page);
      await opened.page.goto(url + path);
      await live(opened.page);
      await opened.page.locator(SHOWN).first().waitFor();
      return { path, page: opened.page, close: () => opened[Symbol.asyncDispose]() };
    });
    return Promise.all(all);
  }

  const greensOf = async (path: string, page: Page) => ({ path, greens: await findGreens(page) });
  const noGreens = (path: string) => ({ path, greens: [] });

  browserTest(
    "says nowhere, in no view, that all is well once its server is dead",
    async () => {
      const { server, host, paths } = await startQuietly();
      const views = await openAll(server.url, paths);
      const before = await Promise.all(views.map(({ path, page }) => greensOf(path, page)));
      for (const { path, greens } of before)
        expect({ path, isGreen: greens.length > 2 }).toEqual({ path, isGreen: true });
      await server.kill("SIGKILL");
      for (const { path, page } of views) {
        await page.getByRole("alert").filter({ hasText: "Not connected since" }).waitFor();
        await page.getByText(/What you see is ([6-9]|\d\d) s old/).waitFor();
        await page.waitForFunction(() => document.title.startsWith("(?) "));
        expect(await greensOf(path, page)).toEqual(noGreens(path));
        // Buttons that are off say why.
        const off = await page.locator("main button:disabled").count();
        const reasons = await page.getByText("Not connected: nothing can be sent now.").count();
        expect({ path, isSaid: off === 0 || reasons > 0 }).toEqual({ path, isSaid: true });
      }
      const { page } = views[0] as (typeof views)[number];
      for (const place of ["Incidents", "Hosts", "Silences", "Settings", "Now"]) {
        await page.getByRole("link", { name: place, exact: true }).click();
        await page.waitForURL(place === "Now" ? "**/app" : `**/app/${place.toLowerCase()}`);
        await page.waitForFunction((name) => document.title === `(?) ${name} · OpsPilot`, place);
        expect(await greensOf(place, page)).toEqual(noGreens(place));
      }
      await Promise.all(views.map(({ close }) => close()));
      host.close();
    },
    180_000,
  );

  browserTest(
    "says nowhere that all is well on data older than 45 s, though the connection stands",
    async () => {
      const { server, host, paths } = await startQuietly();
      const views = await openAll(server.url, paths, (page) => page.clock.install());
      // The clocks of the pages alone: to them the last word of the server is 45 s old.
      await server.kill("SIGSTOP");
      for (const { path, page } of views) {
        await page.clock.fastForward(OLD_MS);
        await page.getByRole("alert").filter({ hasText: "The server has no news." }).waitFor();
        await page.waitForFunction(() => document.title.startsWith("(?) "));
        expect(await greensOf(path, page)).toEqual(noGreens(path));
      }
      await Promise.all(views.map(({ close }) => close()));
      host.close();
      await server.kill("SIGKILL");
    },
    180_000,
  );
});
