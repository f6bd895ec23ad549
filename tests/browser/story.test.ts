import { afterAll, beforeAll, describe, expect } from "bun:test";
import { browserTest } from "../support/browser.ts";
import { DESKTOP, live, type PageWorld, PHONE, rowOf, startPageWorld, unitAlert } from "../support/page-world.ts";
import { msToPaint } from "../support/paint.ts";

/** From the pointer's first event to the painted change. */
const PRESS_MS = 100;

describe("one incident, in the night", () => {
  let world: PageWorld;
  beforeAll(async () => {
    world = await startPageWorld();
  }, 180_000);
  afterAll(() => world?.[Symbol.asyncDispose](), 60_000);

  /** Its number, once it is explained. */
  async function incidentOf(source: string): Promise<number> {
    const { body } = await world.server.api(`/v1/incidents?view=short&status=open&q=${source}`);
    return body[0].id;
  }

  const decisionsOf = async (id: number) => (await world.server.api(`/v1/incidents/${id}`)).body.decisions;

  browserTest("says why, restarts, and shows in every window that it holds", async () => {
    const host = await world.host("web-1");
    await host.fail(unitAlert("nginx"));
    await using phone = await world.open("/app", { viewport: PHONE });
    await rowOf(phone.page, "nginx").click();
    await using desktop = await world.open(new URL(phone.page.url()).pathname, { viewport: DESKTOP });
    await Promise.all([live(phone.page), live(desktop.page)]);

    await phone.page.getByRole("heading", { name: /already taken by another program/ }).waitFor();
    expect(await phone.page.evaluate(() => scrollY)).toBe(0);
    const bar = phone.page.getByRole("region", { name: "Actions" });
    for (const part of [".severity", ".incident-where", ".cause-text", ".cause-by", ".decisive", ".fix", ".copy"])
      expect({ part, isSeen: await isAboveBar(part) }).toEqual({ part, isSeen: true });

    await bar.getByRole("button", { name: "Restart" }).click();
    const sheet = phone.page.getByRole("dialog", { name: "Restart nginx on web-1?" });
    await sheet.getByText("systemctl restart nginx").waitFor();
    await sheet.getByText("Nobody has restarted it for this problem before.").waitFor();
    expect(host.commands).toEqual([]);
    await sheet.getByRole("button", { name: "Restart now" }).click();

    for (const { page } of [phone, desktop]) {
      await page.locator(".outcome", { hasText: "exit 0 in 0.4 s" }).waitFor();
      await page.locator(".outcome", { hasText: "Holds" }).waitFor();
      await page.locator(".outcome", { hasText: "by somebody at 127.0.0.1" }).waitFor();
      await page.locator(".incident-head .status", { hasText: "resolved" }).waitFor();
    }
    expect(host.commands.filter(({ command }) => command === "restart_service")).toHaveLength(1);
    expect([...phone.problems, ...desktop.problems]).toEqual([]);

    async function isAboveBar(selector: string): Promise<boolean> {
      const [box, barBox] = await Promise.all([phone.page.locator(selector).first().boundingBox(), bar.boundingBox()]);
      return box !== null && barBox !== null && box.y >= 0 && box.y + box.height <= barBox.y + 1;
    }
  });

  browserTest("tells that it failed again, and what came of it the last time", async () => {
    const host = await world.host("web-2", { restarts: { "nginx-proxy": "fails_again" } });
    await host.fail(unitAlert("nginx-proxy"));
    await using opened = await world.open(`/app/incidents/${await incidentOf("nginx-proxy")}`);
    const { page, problems } = opened;
    await live(page);
    await page.getByRole("button", { name: "Restart" }).click();
    await page.getByRole("button", { name: "Restart now" }).click();
    await page.locator(".outcome", { hasText: "Failed again" }).waitFor();
    await page.getByRole("button", { name: "Restart" }).click();
    await page
      .getByRole("dialog")
      .getByText(/The last time, .*failed again after/)
      .waitFor();
    expect(problems).toEqual([]);
  });

  browserTest("a double press is one decision, and is seen before the server has answered", async () => {
    const host = await world.host("web-3");
    await host.fail(unitAlert("nginx-edge"));
    const id = await incidentOf("nginx-edge");
    await using opened = await world.open(`/app/incidents/${id}`);
    const { page } = opened;
    await live(page);
    const mayAnswer = Promise.withResolvers<void>();
    let asked = 0;
    await page.route(/\/decisions$/, async (route) => {
      asked++;
      await mayAnswer.promise;
      await route.continue();
    });
    const button = page.getByRole("button", { name: "Acknowledge" });
    await button.waitFor();
    expect(await msToPaint(page, ".bar", () => button.dblclick({ noWaitAfter: true }))).toBeLessThan(PRESS_MS);
    await page.getByRole("region", { name: "Actions" }).getByText("Sending…").waitFor();
    expect(await decisionsOf(id)).toEqual([]);
    mayAnswer.resolve();
    await page.locator(".incident-head .status", { hasText: "acknowledged" }).waitFor();
    expect({ asked, decisions: (await decisionsOf(id)).length }).toEqual({ asked: 1, decisions: 1 });
  });

  browserTest("a restart is seen to be sent before the server has answered, and the question is gone", async () => {
    const host = await world.host("web-9");
    await host.fail(unitAlert("nginx-slow"));
    await using opened = await world.open(`/app/incidents/${await incidentOf("nginx-slow")}`);
    const { page } = opened;
    await live(page);
    const mayAnswer = Promise.withResolvers<void>();
    await page.route(/\/decisions$/, async (route) => {
      await mayAnswer.promise;
      await route.continue();
    });
    await page.getByRole("button", { name: "Restart" }).click();
    const button = page.getByRole("button", { name: "Restart now" });
    await button.waitFor();
    expect(await msToPaint(page, ".bar", () => button.click({ noWaitAfter: true }))).toBeLessThan(PRESS_MS);
    await page.getByRole("region", { name: "Actions" }).getByText("Sending…").waitFor();
    expect(await page.getByRole("dialog").count()).toBe(0);
    expect(host.commands).toEqual([]);
    mayAnswer.resolve();
    await page.locator(".outcome", { hasText: "exit 0" }).waitFor();
  });

  browserTest("offers no restart where the host does not allow it, and says so", async () => {
    const host = await world.host("web-4", { allow: ["get_logs:*"] });
    await host.fail(unitAlert("nginx-shy"));
    await using opened = await world.open(`/app/incidents/${await incidentOf("nginx-shy")}`);
    const { page } = opened;
    await live(page);
    await page.getByText("web-4 does not allow restart_service:nginx-shy.").waitFor();
    expect(await page.getByRole("button", { name: "Restart" }).count()).toBe(0);
  });

  browserTest("fetches the log from the host, and copies what to do on plain http", async () => {
    const host = await world.host("web-5", { logs: () => "first line\nlast line of the log" });
    await host.fail(unitAlert("nginx-logs"));
    await using opened = await world.open(`/app/incidents/${await incidentOf("nginx-logs")}`);
    const { page, problems } = opened;
    await live(page);
    await page.getByRole("button", { name: "Logs" }).click();
    await page.getByRole("region", { name: "The log fetched" }).getByText("last line of the log").waitFor();
    await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
    await page.locator(".fix .copy").click();
    await page.locator(".fix").getByText("Copied").waitFor();
    expect(problems).toEqual([]);
  });

  browserTest("shows hostile logs as text", async () => {
    const host = await world.host("web-6");
    const logs = [
      "<script>document.title='owned'</script><img src=x onerror=alert(1)>",
      "\u001b[31mred\u001b[0m and \u202egnp.exe",
      `long ${"x".repeat(200_000)} end`,
      "nginx-bad[12]: bind() to 0.0.0.0:80 failed (98: Address already in use)",
    ].join("\n");
    await host.fail(unitAlert("nginx-bad", { logs, message: "<b>bold</b> & failed" }));
    await using opened = await world.open(`/app/incidents/${await incidentOf("nginx-bad")}`, { viewport: PHONE });
    const { page, problems } = opened;
    await live(page);
    await page.getByText("<b>bold</b> & failed").first().waitFor();
    await page
      .getByRole("region", { name: "The decisive lines" })
      .getByText("<script>document.title='owned'</script>")
      .waitFor();
    await page.getByText("⟨U+202E⟩gnp.exe").first().waitFor();
    expect(await page.evaluate(() => document.querySelector(".incident script, .incident img"))).toBeNull();
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
    expect(problems).toEqual([]);
  });
});
