import { afterAll, beforeAll, describe, expect } from "bun:test";
import { browserTest } from "../support/browser.ts";
import { ADMIN_TOKEN } from "../support/http-app.ts";
import { live, type PageWorld, startPageWorld } from "../support/page-world.ts";

describe("signing in", () => {
  let world: PageWorld;
  beforeAll(async () => {
    world = await startPageWorld({ ADMIN_TOKEN, ACCESS: "token", AGENT_ENROLLMENT: "open" });
    await world.host("web-1");
  }, 180_000);
  afterAll(() => world?.[Symbol.asyncDispose](), 60_000);

  browserTest("shows no data before, says what is wrong, and leads to where one wanted to go", async () => {
    await using opened = await world.open("/app/hosts?q=web");
    const { page } = opened;
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    expect(await page.getByText("web-1").count()).toBe(0);
    await page.getByLabel("Token").fill("not-the-right-token");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("That is not the token.").waitFor();
    await page.getByLabel("Token").fill(ADMIN_TOKEN);
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "web-1" }).waitFor();
    expect(new URL(page.url()).pathname + new URL(page.url()).search).toBe("/app/hosts?q=web");
    await live(page);
  });

  browserTest("keeps the place, and what was typed, when the session ends in mid-work", async () => {
    await using opened = await world.open("/app");
    const { page } = opened;
    await page.getByLabel("Token").fill(ADMIN_TOKEN);
    await page.keyboard.press("Enter");
    await live(page);
    await page.goto(`${world.server.url}/app/silences?new&source=nginx`);
    await page.getByLabel("Why, for the others").fill("the upgrade goes on until six");
    await page.context().clearCookies();
    await page.getByRole("button", { name: "Silence", exact: true }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await page.getByLabel("Token").fill(ADMIN_TOKEN);
    await page.keyboard.press("Enter");
    const why = page.getByLabel("Why, for the others");
    await why.waitFor();
    expect(await why.inputValue()).toBe("the upgrade goes on until six");
    await page.getByRole("button", { name: "Silence", exact: true }).click();
    await page.getByText("the upgrade goes on until six").waitFor();
  });

  browserTest("ends with signing out, in every tab", async () => {
    await using opened = await world.open("/app/settings");
    const { page } = opened;
    await page.getByLabel("Token").fill(ADMIN_TOKEN);
    await page.keyboard.press("Enter");
    await live(page);
    const other = await page.context().newPage();
    await other.goto(`${world.server.url}/app`);
    await live(other);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await other.getByRole("heading", { name: "Sign in" }).waitFor({ timeout: 40_000 });
  });
});
