import { afterAll, beforeAll, describe, expect } from "bun:test";
import type { Page } from "playwright-core";
import { findBarriers, findSmallTargets, sidewaysPx } from "../support/axe.ts";
import { browserTest } from "../support/browser.ts";
import { live, type PageWorld, PHONE, startPageWorld, takePicture, unitAlert } from "../support/page-world.ts";
import type { StandInHost } from "../support/stand-in-host.ts";

describe("what people say of an explanation", () => {
  let world: PageWorld;
  beforeAll(async () => {
    world = await startPageWorld();
  }, 180_000);
  afterAll(() => world?.[Symbol.asyncDispose](), 60_000);

  /** The number of the incident that this opens; the one before it is over. */
  async function failing(host: StandInHost, source: string, changes: Record<string, unknown> = {}): Promise<number> {
    const path = `/v1/incidents?view=short&status=open&q=${source}`;
    for (const { id } of (await world.server.api(path)).body)
      await world.server.api(`/v1/incidents/${id}`, { method: "PATCH", body: { status: "resolved" } });
    await host.fail(unitAlert(source, changes));
    return (await world.server.api(path)).body[0].id;
  }

  const mistakesIn = async (page: Page) => [
    ...(await findBarriers(page)),
    ...(await findSmallTargets(page)),
    ...((await sidewaysPx(page)) > 0 ? ["it can be pushed sideways"] : []),
  ];

  browserTest("is said by two buttons near the cause, and stands there the next time", async () => {
    const host = await world.host("web-1");
    const first = await failing(host, "nginx-word");
    await using opened = await world.open(`/app/incidents/${first}`, { viewport: PHONE });
    const { page, problems } = opened;
    await live(page);
    await page.getByRole("button", { name: "That was it" }).click();
    await page.locator(".said.is-good", { hasText: /^That was it .* by somebody at 127\.0\.0\.1$/ }).waitFor();
    expect(await page.getByRole("button", { name: "That was it" }).getAttribute("aria-pressed")).toBe("true");
    await page.locator(".feed", { hasText: "somebody at 127.0.0.1: that was it" }).waitFor();

    const second = await failing(host, "nginx-word");
    await page.goto(`${world.server.url}/app/incidents/${second}`);
    await live(page);
    const confirmed = page.locator(".said.is-good", { hasText: "Confirmed" });
    await confirmed.getByRole("link", { name: `#${first}` }).waitFor();
    expect(await mistakesIn(page)).toEqual([]);

    await page.getByRole("button", { name: "That was wrong" }).click();
    const sheet = page.getByRole("dialog", { name: "What was it?" });
    await sheet.getByLabel("The cause").fill("Two releases ran at once.");
    await sheet.getByLabel("Its kind").selectOption("A lock that is held");
    await sheet.getByLabel("What helped").fill("Stopped the older one.");
    expect(await mistakesIn(page)).toEqual([]);
    await sheet.getByRole("button", { name: "It was wrong" }).click();
    const words = /^That was wrong .*It was: Two releases ran at once\.\s*What helped: Stopped the older one\.$/;
    await page.locator(".said.is-bad", { hasText: words }).waitFor();
    await takePicture(page, "incident-word-phone");

    const third = await failing(host, "nginx-word");
    await page.goto(`${world.server.url}/app/incidents/${third}`);
    await live(page);
    await page.getByText(/^Rules, \d+ % sure; said to be wrong\.$/).waitFor();
    await page.locator(".said.is-bad", { hasText: /^This was said to be wrong .*#\d+\)$/ }).waitFor();
    await page.locator(".said.is-good", { hasText: /^Confirmed .*It was: Two releases ran at once/ }).waitFor();
    await takePicture(page, "incident-doubted-phone");
    await page.goto(`${world.server.url}/app/incidents`);
    await page.locator(`[data-incident="${third}"]`, { hasText: "the cause was said to be wrong" }).waitFor();
    const { body } = await world.server.api(`/v1/incidents/${second}`);
    expect(body.feedback).toMatchObject({ verdict: "wrong", category: "lock_conflict" });
    expect(problems).toEqual([]);
  });

  browserTest("is what it was, where nothing explains it", async () => {
    const host = await world.host("web-2");
    const id = await failing(host, "quiet-word", {
      message: "quiet-word: gone",
      logs: "nothing that anybody would know",
    });
    await using opened = await world.open(`/app/incidents/${id}`);
    const { page, problems } = opened;
    await live(page);
    await page.getByRole("button", { name: "Say what it was" }).click();
    const sheet = page.getByRole("dialog", { name: "What was it?" });
    await sheet.getByLabel("The cause").fill("   ");
    await sheet.getByRole("button", { name: "Keep it" }).click();
    await sheet
      .getByRole("alert")
      .getByText(/cause: nothing explains this incident/i)
      .waitFor();
    await sheet.getByLabel("The cause").fill("Somebody stopped it by hand.");
    await sheet.getByRole("button", { name: "Keep it" }).click();
    await page.locator(".said.is-good", { hasText: "It was: Somebody stopped it by hand." }).waitFor();
    expect(problems.filter((one) => !one.includes("422"))).toEqual([]);
  });
});
