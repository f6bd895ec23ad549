import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { proxyOf } from "../../src/config/proxy.ts";
import { loadConfig } from "../../src/config.ts";
import { checkWebhook } from "../../src/doctor/webhook.ts";
import { createFetch } from "../../src/lib/bounded-fetch.ts";
import { runOpspilot } from "../support/command-line.ts";
import { type FakeSlack, startFakeSlack } from "../support/fake-slack.ts";
import { APP_TOKEN, BOT_TOKEN, CHANNEL } from "../support/fake-slack-api.ts";
import { type HttpProxy, startHttpProxy } from "../support/http-proxy.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let slack: FakeSlack;
let proxy: HttpProxy;
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-proxies-"));
});
afterEach(async () => {
  await slack?.stop();
  proxy?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const configOf = (env: Record<string, string>) => loadConfig({}, { env, cwd: folder, uid: 0, home: folder });
const slackSettings = () => ({
  SLACK_API_URL: slack.apiUrl,
  SLACK_TOKEN: BOT_TOKEN,
  SLACK_CHANNEL: CHANNEL,
  SLACK_APP_TOKEN: APP_TOKEN,
});
const opspilot = (words: string[], env: Record<string, string>) => runOpspilot(words, { cwd: folder, env });
interface Found {
  name: string;
  status: string;
  text: string;
}
async function doctor(env: Record<string, string>): Promise<Found[]> {
  const { stdout } = await opspilot(["doctor", "--json"], { OPSPILOT_DATA_DIR: folder, ...env });
  return JSON.parse(stdout);
}

describe("the settings of proxies", () => {
  test.each([
    [{ HTTPS_PROXY: "http://proxy:3128" }, "https://slack.com/api", "http://proxy:3128"],
    [{ https_proxy: "http://proxy:3128" }, "wss://wss-primary.slack.com/link", "http://proxy:3128"],
    [{ HTTPS_PROXY: "http://proxy:3128" }, "http://model.example.com/v1", null],
    [{ HTTP_PROXY: "http://proxy:3128" }, "http://127.0.0.1:11434/v1", null],
    [{ HTTP_PROXY: "http://proxy:3128", no_proxy: ".example.com" }, "http://model.example.com/v1", null],
  ])("hold for the server as for the agent: %o, %s", (env, url, expected) => {
    expect(proxyOf(configOf(env as Record<string, string>).proxies, new URL(url))).toBe(expected);
  });

  test("that are no URL are named", () => {
    expect(() => configOf({ HTTPS_PROXY: "proxy:3128" })).toThrow("HTTPS_PROXY: expected an http or https URL");
  });
});

describe("behind a proxy", () => {
  test("messages go out and buttons come in by the same way", async () => {
    slack = await startFakeSlack({ host: "slack.test" });
    proxy = await startHttpProxy(undefined, { forwards: true });
    const database = await createTestDatabase();
    const server = await startTestServer(database.url, { ...slackSettings(), HTTP_PROXY: proxy.url });
    try {
      await until(() => slack.sockets.open() === 1);
      expect(proxy.requests.map(({ line }) => line)).toContainEqual(
        `CONNECT ${new URL(slack.sockets.url).host} HTTP/1.1`,
      );
      const agent = await server.connect();
      agent.send({ ver: "1.0", ts: 1, token: "behind-a-proxy", type: "alert", data: ALERT, compression: "none" });
      await until(() => slack.messages.length === 1, { ms: 10_000 });
    } finally {
      await server.stop();
      await database.close();
    }
  }, 180_000);

  test("what is on this machine is reached without it", async () => {
    slack = await startFakeSlack();
    proxy = await startHttpProxy("403 Forbidden");
    const { exitCode, stderr } = await opspilot(["slack", "test"], { ...slackSettings(), HTTP_PROXY: proxy.url });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(proxy.requests).toEqual([]);
  });

  test("that lets no socket through the doctor says so, since nobody could press a button", async () => {
    slack = await startFakeSlack({ host: "slack.test" });
    proxy = await startHttpProxy("403 Forbidden", { forwards: true });
    const found = await doctor({ ...slackSettings(), HTTP_PROXY: proxy.url });
    const of = (name: string) => found.find((one) => one.name === name);
    expect(of("Slack's token")).toMatchObject({ status: "ok" });
    expect(of("Slack's Socket Mode")).toMatchObject({ status: "fail" });
    expect(JSON.stringify(found)).not.toContain(APP_TOKEN);
  }, 180_000);

  test("that lets sockets through the doctor opens one", async () => {
    slack = await startFakeSlack({ host: "slack.test" });
    proxy = await startHttpProxy(undefined, { forwards: true });
    const found = await doctor({ ...slackSettings(), HTTP_PROXY: proxy.url });
    expect(found.find((one) => one.name === "Slack's Socket Mode")).toMatchObject({ status: "ok" });
    expect(slack.sockets.connections()).toBe(1);
  }, 180_000);

  test("the webhook's host is looked for there", async () => {
    proxy = await startHttpProxy("403 Forbidden");
    const found = await checkWebhook("https://hooks.example.test/x", () => proxy.url);
    expect(found).toMatchObject({ status: "fail", text: expect.stringContaining("403 Forbidden") });
    expect(proxy.requests.map(({ line }) => line)).toEqual(["CONNECT hooks.example.test:443 HTTP/1.1"]);
  });

  test("a call that no rule sends there goes straight, whatever the environment says", async () => {
    slack = await startFakeSlack();
    const code = `
      import { createFetch, direct } from ${JSON.stringify(join(import.meta.dir, "../../src/lib/bounded-fetch.ts"))};
      process.stdout.write(String((await createFetch(direct)(process.argv[1], {})).status));`;
    const env = { ...process.env, HTTP_PROXY: "http://127.0.0.1:9" };
    const child = Bun.spawn([process.execPath, "-e", code, slack.apiUrl], { env, stdout: "pipe" });
    expect(await new Response(child.stdout).text()).toBe("200");
    const through = createFetch(() => "http://127.0.0.1:9");
    await expect(through(slack.apiUrl, {})).rejects.toThrow();
  });
});

const ALERT = JSON.stringify({ type: "systemd", source: "nginx", message: "nginx failed", severity: "critical" });
