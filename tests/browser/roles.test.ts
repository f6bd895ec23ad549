import { afterAll, beforeAll, describe, expect } from "bun:test";
import type { Page } from "playwright-core";
import { findBarriers } from "../support/axe.ts";
import { browserTest } from "../support/browser.ts";
import { ADMIN_TOKEN } from "../support/http-app.ts";
import { live, type PageWorld, startPageWorld, unitAlert } from "../support/page-world.ts";

describe("the page by role", () => {
  let world: PageWorld;
  const tokens = new Map<string, string>();
  beforeAll(async () => {
    world = await startPageWorld({ ADMIN_TOKEN, ACCESS: "token", AGENT_ENROLLMENT: "open" });
    const host = await world.host("web-1");
    await host.fail(unitAlert("nginx"));
    for (const role of ["viewer", "operator", "admin"]) {
      const body = { name: `the ${role}`, role };
      const made = await world.server.api("/v1/tokens", { method: "POST", body, token: ADMIN_TOKEN });
      tokens.set(role, made.body.token);
    }
  }, 180_000);
  afterAll(() => world?.[Symbol.asyncDispose](), 60_000);

  async function signInAs(page: Page, role: string): Promise<void> {
    await page.getByLabel("Token").fill(tokens.get(role) ?? "");
    await page.keyboard.press("Enter");
    await live(page);
  }

  browserTest("a viewer sees all, and what it may not press is off and says why", async () => {
    await using opened = await world.open("/app/incidents");
    const { page, problems } = opened;
    await signInAs(page, "viewer");
    await page.getByRole("link", { name: "nginx" }).first().click();
    const actions = page.getByRole("region", { name: "Actions" });
    await actions.getByText("You are signed in as viewer: this needs the role operator.").waitFor();
    for (const name of ["Restart", "Acknowledge", /^More/])
      expect(await actions.getByRole("button", { name }).isDisabled()).toBe(true);
    // Neither do keys.
    await page.keyboard.press("a");
    await page.keyboard.press("i");
    expect(await page.getByRole("dialog").count()).toBe(0);
    expect(await findBarriers(page)).toEqual([]);
    await page.goto(`${world.server.url}/app/hosts?q=web-1`);
    await page.getByRole("link", { name: "web-1" }).click();
    await page.getByText("You are signed in as viewer: this needs the role admin.").waitFor();
    for (const name of ["Run", "Rotate…", "Remove the host…"])
      expect(await page.getByRole("button", { name }).isDisabled()).toBe(true);
    await page.goto(`${world.server.url}/app/settings`);
    await page.getByText("Signed in as the viewer (viewer)").waitFor();
    const integrations = page.getByRole("region", { name: "Integrations" });
    await integrations.getByText("You are signed in as viewer: this needs the role admin.").waitFor();
    expect(await integrations.getByRole("button", { name: "Make an integration" }).isDisabled()).toBe(true);
    expect(problems.filter((one) => !one.includes("401"))).toEqual([]);
    const { body } = await world.server.api("/v1/incidents", { token: ADMIN_TOKEN });
    expect(body.map(({ status }: { status: string }) => status)).not.toContain("acknowledged");
  });

  browserTest("an operator decides, and makes no tokens", async () => {
    await using opened = await world.open("/app/hosts?q=web-1");
    const { page } = opened;
    await signInAs(page, "operator");
    await page.getByRole("link", { name: "web-1" }).click();
    await page.getByText("You are signed in as operator: this needs the role admin.").waitFor();
    expect(await page.getByRole("button", { name: "Run" }).isDisabled()).toBe(false);
    await page.getByRole("link", { name: "nginx" }).first().click();
    await page.getByRole("button", { name: "Acknowledge" }).click();
    await page
      .getByText(/Acknowledged by the operator|acknowledged by the operator/)
      .first()
      .waitFor();
  });

  browserTest("an admin makes an integration, pastes its lines, and revokes it", async () => {
    await using opened = await world.open("/app/settings");
    const { page, problems } = opened;
    await signInAs(page, "admin");
    const integrations = page.getByRole("region", { name: "Integrations" });
    await integrations.getByLabel("What alerts").selectOption("generic");
    await integrations.getByLabel("Its name").fill("-scripts");
    await integrations.getByRole("button", { name: "Make an integration" }).click();
    await integrations.getByRole("alert").waitFor();
    await integrations.getByLabel("Its name").fill("scripts");
    await integrations.getByRole("button", { name: "Make an integration" }).click();
    await integrations.getByText("never used").waitFor();
    const lines = (await integrations.locator("pre").textContent()) ?? "";
    const [, url = "", token = ""] = /(http\S+) -H 'Authorization: Bearer (opi_\S+)'/.exec(lines) ?? [];
    const headers = { authorization: `Bearer ${token}` };
    const body = JSON.stringify({ type: "backup", source: "nightly", message: "the backup failed" });
    expect((await fetch(url, { method: "POST", headers, body })).status).toBe(202);
    expect(await findBarriers(page)).toEqual([]);
    await page.goto(`${world.server.url}/app/incidents`);
    await page.getByRole("link", { name: "nightly" }).first().click();
    await page.getByText("the backup failed").first().waitFor();
    await page.getByText("no host with an agent", { exact: true }).waitFor();
    expect(await findBarriers(page)).toEqual([]);
    await page.goto(`${world.server.url}/app/settings`);
    await integrations.getByText("used last").waitFor();
    expect(await page.content()).not.toContain(token);
    await integrations.getByRole("button", { name: "Revoke scripts…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
    await integrations.getByRole("button", { name: "Revoke scripts…" }).waitFor({ state: "detached" });
    expect((await fetch(url, { method: "POST", headers, body })).status).toBe(401);
    // A browser tells of each 404: the incident's host is asked for, and there is none.
    expect(problems.filter((one) => !/401|422|404/.test(one))).toEqual([]);
  });

  browserTest("an admin makes a token anew, with the old one good for a day, or ended at once", async () => {
    await using opened = await world.open("/app/hosts?q=web-1");
    const { page } = opened;
    await signInAs(page, "admin");
    await page.getByRole("link", { name: "web-1" }).click();
    const rotations = async () => {
      const { body } = await world.server.api("/v1/audit?what=agent.token_rotated", { token: ADMIN_TOKEN });
      return body.map(({ data }: { data: object | null }) => data);
    };
    await page.getByRole("button", { name: "Rotate…" }).click();
    await page.getByRole("button", { name: "Make a new token" }).click();
    await page.getByText(/curl -fsSL http:.*install\.sh \| sudo sh -s -- --token \S+/).waitFor();
    expect(await rotations()).toEqual([{ grace_s: 86_400 }]);
    await page.getByRole("button", { name: "Rotate…" }).click();
    await page.getByLabel(/End the old one at once/).check();
    await page.getByRole("button", { name: "Make a new token" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(await rotations()).toEqual([null, { grace_s: 86_400 }]);
  });
});
