import { afterAll, beforeAll, describe, expect } from "bun:test";
import { browserTest } from "../support/browser.ts";
import { live, type PageWorld, PHONE, startPageWorld, unitAlert } from "../support/page-world.ts";
import { until } from "../support/until.ts";

/** From the press to the word that all of a hundred are acknowledged. */
const HUNDRED_MS = 2_000;

describe("work with many", () => {
  let world: PageWorld;
  beforeAll(async () => {
    world = await startPageWorld();
  }, 180_000);
  afterAll(() => world?.[Symbol.asyncDispose](), 60_000);

  browserTest("a range is acknowledged at once, and each that failed is named", async () => {
    const host = await world.host("web-1");
    for (let n = 1; n <= 6; n++) await host.fail(unitAlert(`unit-${n}`));
    await using opened = await world.open("/app/incidents");
    const { page } = opened;
    await live(page);
    await page.getByRole("link", { name: "unit-1" }).waitFor();
    await page.locator(".row-box").first().click();
    await page
      .locator(".row-box")
      .nth(3)
      .click({ modifiers: ["Shift"] });
    await page.getByText("4 selected").waitFor();
    await page.route("**/v1/incidents", async (route) => {
      const { ids, status } = route.request().postDataJSON();
      const answer = await route.fetch({ postData: { ids: ids.filter((id: number) => id !== 5), status } });
      const refused = [{ id: 5, code: "already_decided", detail: "somebody decided that already." }];
      await route.fulfill({ response: answer, json: { ...(await answer.json()), refused } });
    });
    await page.getByRole("region", { name: "What is selected" }).getByRole("button", { name: "Acknowledge" }).click();
    await page.getByRole("alert").filter({ hasText: "1 incident did not change" }).waitFor();
    await page.getByRole("alert").getByText("#5: Somebody decided that already.").waitFor();
    await page.getByText("3 incidents acknowledged").waitFor();
    const { body } = await world.server.api("/v1/incidents/counts?status=open");
    expect(body.by_status.acknowledged).toBe(3);
  });

  browserTest(
    "a hundred are acknowledged within two seconds, and a selection outlives a thousand new ones",
    async () => {
      const host = await world.host("web-7");
      await Promise.all(
        Array.from({ length: 100 }, (_, n) => host.fail(unitAlert(`many-${n}`, { severity: "warning" }))),
      );
      await using opened = await world.open("/app/incidents?severity=warning");
      const { page } = opened;
      await live(page);
      const chosen = await page.locator("[data-incident]").nth(2).getAttribute("data-incident");
      await page.getByLabel(`Select #${chosen},`).click();
      for (let n = 0; n < 10; n++)
        await Promise.all(
          Array.from({ length: 100 }, (_, at) => host.fail(unitAlert(`late-${n * 100 + at}`, { severity: "warning" }))),
        );
      await page.getByRole("link", { name: "late-999" }).waitFor();
      await page.getByText("1 selected").waitFor();
      const selected = page.getByRole("region", { name: "What is selected" });
      await selected.getByRole("button", { name: "Acknowledge" }).click();
      await page.getByText("1 incident acknowledged").waitFor();
      expect((await world.server.api(`/v1/incidents/${chosen}`)).body.status).toBe("acknowledged");
      await page.getByLabel("Search").fill("many");
      await page.waitForURL("**q=many");
      await page.locator('li[aria-posinset="1"] .row-box').click();
      await page.mouse.move(180, 500);
      const all = page.getByRole("button", { name: "All 100" });
      await until(
        async () => {
          await page.mouse.wheel(0, 1_000);
          return all.isVisible();
        },
        { ms: 20_000, what: "all hundred are loaded" },
      );
      await all.click();
      const startMs = performance.now();
      await selected.getByRole("button", { name: "Acknowledge" }).click();
      await page.getByText("100 incidents acknowledged").waitFor();
      expect(performance.now() - startMs).toBeLessThan(HUNDRED_MS);
      const { body } = await world.server.api("/v1/incidents?view=short&status=acknowledged&q=many&limit=200");
      expect(body.length).toBe(100);
    },
    180_000,
  );

  browserTest(
    "hosts come a hundred at a time, and that none fits is said only once all of them are there",
    async () => {
      const { sql } = world.database.database;
      await sql`
      insert into agents (id, token_hash, hostname, created_at)
      select gen_random_uuid(), 'many-' || n, 'many-' || n, now() - n * interval '1 hour' from generate_series(1, 150) n`;
      await using opened = await world.open("/app");
      const { page } = opened;
      const held = Promise.withResolvers<void>();
      const asked: string[] = [];
      await page.route(/v1\/agents\?.*cursor=/, async (route) => {
        asked.push(route.request().url());
        await held.promise;
        await route.continue();
      });
      await page.goto(new URL("/app/hosts?q=many-149", page.url()).href);
      await page.getByText("Loading hosts…").waitFor();
      await until(() => asked.length === 1, { what: "the second hundred is asked for" });
      expect(asked[0]).toContain("limit=100");
      expect(await page.getByText("No host fits").count()).toBe(0);
      held.resolve();
      await page.getByRole("link", { name: "many-149" }).waitFor();
      await page.getByLabel("Search").fill("many-151");
      await page.getByText("No host fits these filters").waitFor();
    },
  );

  browserTest("filters are the URL, and Back brings the former place", async () => {
    const host = await world.host("web-2");
    await host.fail(unitAlert("slow", { severity: "warning" }));
    await using opened = await world.open("/app/incidents?severity=warning&q=slow", { viewport: PHONE });
    const { page } = opened;
    await page.getByRole("link", { name: "slow" }).waitFor();
    expect(await page.getByRole("button", { name: "warning" }).getAttribute("aria-pressed")).toBe("true");
    expect(await page.getByLabel("Search").inputValue()).toBe("slow");
    await page.getByRole("link", { name: "slow" }).click();
    await page.waitForURL(/incidents\/\d+\?severity=warning&q=slow/);
    await page.goBack();
    await page.getByRole("link", { name: "slow" }).waitFor();
    await page.getByRole("button", { name: "warning" }).click();
    await page.waitForURL("**/app/incidents?q=slow");
  });

  browserTest("a silence is made from an incident, shows what fits, holds it back, and ends", async () => {
    const host = await world.host("web-3");
    await host.fail(unitAlert("noisy"));
    await using opened = await world.open("/app/incidents?q=noisy");
    const { page, problems } = opened;
    await page.getByRole("link", { name: "noisy" }).click();
    await live(page);
    await page.getByRole("button", { name: /^More/ }).click();
    await page.getByRole("link", { name: /Silence what is like it/ }).click();
    const sheet = page.getByRole("dialog", { name: "New silence" });
    await sheet.getByText("Fits 1 open incident now:").waitFor();
    await sheet.getByLabel("Why, for the others").fill("planned work");
    await sheet.getByRole("button", { name: "Silence" }).click();
    const card = page.locator(".card", { hasText: "planned work" });
    await card.getByText("Holds back 1 open incident now:").waitFor();
    await card.getByRole("button", { name: "End it" }).click();
    await page.getByText("Nothing is silenced").waitFor();
    expect(problems).toEqual([]);
  });

  browserTest("a silence that would hold back hundreds says exactly how many, and shows the newest", async () => {
    await world.host("web-8");
    const agent = await world.agentId("web-8");
    const { sql } = world.database.database;
    await sql`
      insert into incidents (agent_id, type, source, raw_error, message_chars, fingerprint, last_seen_at)
      select ${agent}, 'log', 'flood-' || n, 'x', 1, gen_random_uuid(), now() from generate_series(1, 600) n`;
    await using opened = await world.open("/app/silences?new");
    const { page, problems } = opened;
    await live(page);
    const sheet = page.getByRole("dialog", { name: "New silence" });
    await sheet.getByText("What fits now is shown here.").waitFor();
    await sheet.getByLabel("Source").fill("flood-*");
    await sheet.getByText("Fits 600 open incidents now:").waitFor();
    await sheet.getByText("web-8 · flood-600").waitFor();
    await sheet.getByText("and 595 that opened before").waitFor();
    await sheet.getByRole("button", { name: "Silence" }).click();
    await page.locator(".card", { hasText: "flood-*" }).getByText("Holds back 600 open incidents now:").waitFor();
    await sql`update incidents set status = 'resolved' where type = 'log'`;
    expect(problems).toEqual([]);
  });

  browserTest("hosts that are silent are asked for alone", async () => {
    await world.host("lone-1");
    const gone = await world.host("lone-2");
    await world.agentId("lone-2");
    gone.close();
    await using opened = await world.open("/app/hosts?q=lone");
    const { page, problems } = opened;
    await page.getByText("2 hosts").waitFor();
    const asked = page.waitForRequest(/\/v1\/agents\?.*status=offline/);
    await page.getByRole("combobox", { name: "Status" }).selectOption("Silent");
    await asked;
    await page.getByText("1 host", { exact: true }).waitFor();
    await page.getByRole("link", { name: "lone-2" }).waitFor();
    expect(problems).toEqual([]);
  });

  browserTest("agents that are older than the server are marked, and can be asked for", async () => {
    await world.host("aged-1");
    await world.host("aged-2", { facts: { version: "0.0.0-early", spool: { waiting: 0, dropped_repeats: 0 } } });
    await world.agentId("aged-2");
    await using opened = await world.open("/app/hosts?q=aged");
    const { page, problems } = opened;
    await page.getByText("2 hosts").waitFor();
    await page.getByRole("link", { name: "aged-2" }).getByText("older than the server").waitFor();
    await page.getByRole("combobox", { name: "Status" }).selectOption("Older than the server");
    await page.getByText("1 host", { exact: true }).waitFor();
    await page.getByRole("link", { name: "aged-2" }).click();
    await page.getByText("sudo opspilot agent update").waitFor();
    expect(problems).toEqual([]);
  });

  browserTest("a host's command is run after a question, and its answer is shown", async () => {
    const host = await world.host("web-4");
    await using opened = await world.open("/app/hosts?q=web-4");
    const { page, problems } = opened;
    await page.getByRole("link", { name: "web-4" }).click();
    await live(page);
    await page.getByRole("combobox", { name: "Command" }).selectOption("restart service");
    await page.getByLabel("Unit").fill("postfix");
    await page.getByText("web-4 does not allow restart_service:postfix.").waitFor();
    await page.getByLabel("Unit").fill("nginx");
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByRole("dialog").getByText("systemctl restart nginx").waitFor();
    expect(host.commands).toEqual([]);
    await page.getByRole("button", { name: "Run now" }).click();
    await page.locator(".command", { hasText: "exit 0 in" }).waitFor();
    expect(host.commands.map(({ command }) => command)).toEqual(["restart_service"]);
    expect(problems).toEqual([]);
  });

  browserTest("a host's token is made anew, and the host is removed", async () => {
    await world.host("web-5");
    await using opened = await world.open("/app/hosts?q=web-5");
    const { page } = opened;
    await page.getByRole("link", { name: "web-5" }).click();
    await live(page);
    await page.getByRole("button", { name: "Rotate…" }).click();
    await page.getByRole("button", { name: "Make a new token" }).click();
    await page.getByText(/curl -fsSL http:.*install\.sh \| sudo sh -s -- --token \S+/).waitFor();
    await page.getByRole("button", { name: "Remove the host…" }).click();
    await page.getByRole("button", { name: "Remove", exact: true }).click();
    await page.getByText("There is no such host").waitFor();
  });
});
