import { afterAll, beforeAll, describe, expect } from "bun:test";
import { findBarriers } from "../support/axe.ts";
import { browserTest, openPage } from "../support/browser.ts";
import { freePort } from "../support/executable.ts";
import { ADMIN_TOKEN } from "../support/http-app.ts";
import { CLIENTS, startTestProvider, type TestProvider } from "../support/oidc-provider.ts";
import { live, type PageWorld, startPageWorld, takePicture } from "../support/page-world.ts";

describe("signing in", () => {
  let world: PageWorld;
  let provider: TestProvider;
  let publicUrl: string;
  beforeAll(async () => {
    const PORT = String(await freePort());
    publicUrl = `http://ops.test:${PORT}`;
    provider = await startTestProvider([`${publicUrl}/v1/session/oidc/callback`]);
    provider.accounts.set("7", { preferred_username: "ana@example.com", groups: ["sre"] });
    const oidc = {
      PUBLIC_URL: publicUrl,
      OIDC_ISSUER: provider.issuer,
      OIDC_CLIENT_ID: CLIENTS.basic.client_id,
      OIDC_CLIENT_SECRET: CLIENTS.basic.client_secret,
      OIDC_ROLES: "sre:operator",
      OIDC_NAME: "Example",
    };
    world = await startPageWorld({ ADMIN_TOKEN, ACCESS: "token", AGENT_ENROLLMENT: "open", PORT, ...oidc });
    await world.host("web-1");
  }, 180_000);
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
    await provider?.stop();
  }, 60_000);

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

  browserTest("at a provider leads there, and back to where one wanted to go", async () => {
    await using opened = await world.open("/app/hosts?q=web");
    const { page, problems } = opened;
    // The provider sends back to the public address: there it has to begin.
    await page.getByRole("link", { name: "Sign in with Example at ops.test" }).click();
    await page.getByRole("link", { name: "Sign in with Example", exact: true }).click();
    await page.getByRole("button", { name: "It is me" }).click();
    await page.getByRole("link", { name: "web-1" }).waitFor();
    expect(page.url()).toBe(`${publicUrl}/app/hosts?q=web`);
    await live(page);
    expect(problems.filter((one) => !one.includes("401") && !one.includes(provider.issuer))).toEqual([]);
    await page.goto(`${publicUrl}/app/settings`);
    await page.getByText("Signed in as ana@example.com (operator)").waitFor();
    await page.getByText("does not sign you out at the provider").waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("link", { name: "Sign in with Example" }).waitFor();
    await takePicture(page, "sign-in-oidc");
    expect(await findBarriers(page)).toEqual([]);
  });

  browserTest("at a provider that says no tells so, and a token leads to the same place", async () => {
    provider.account = "refuses";
    await using opened = await openPage(`${publicUrl}/app/hosts?q=web`);
    const { page } = opened;
    await page.getByRole("link", { name: "Sign in with Example" }).click();
    await page.getByText("You were not signed in: Example says no.").waitFor();
    expect(await findBarriers(page)).toEqual([]);
    await page.getByLabel("Token").fill(ADMIN_TOKEN);
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "web-1" }).waitFor();
    expect(page.url()).toBe(`${publicUrl}/app/hosts?q=web`);
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
