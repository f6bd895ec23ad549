import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runOpspilot } from "../support/command-line.ts";
import { type FakeSlack, startFakeSlack } from "../support/fake-slack.ts";
import { BOT_TOKEN, CHANNEL } from "../support/fake-slack-api.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-slack-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let slack: FakeSlack;
beforeEach(async () => {
  slack = await startFakeSlack();
});
afterEach(() => slack.stop());

const opspilot = (words: string[], env: Record<string, string> = {}) => runOpspilot(words, { cwd: folder, env });
const webApi = () => ({ SLACK_API_URL: slack.apiUrl, SLACK_TOKEN: BOT_TOKEN, SLACK_CHANNEL: CHANNEL });

describe("opspilot slack test", () => {
  test("posts a sample with nothing to press", async () => {
    const { stdout, stderr, exitCode } = await opspilot(["slack", "test"], webApi());
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    expect(stdout).toContain(`The sample was posted (${CHANNEL}/`);
    expect(JSON.stringify(slack.messages[0]?.blocks)).toContain("This is a sample: nothing is wrong.");
    expect(JSON.stringify(slack.messages[0]?.blocks)).not.toContain("actions");
  });

  test("posts by a webhook", async () => {
    const { exitCode } = await opspilot(["slack", "test"], { SLACK_WEBHOOK_URL: slack.webhookUrl });
    expect([exitCode, slack.messages.length]).toEqual([0, 1]);
  });

  test("posts by the webhook where the channel is missing, and says so", async () => {
    const env = { SLACK_WEBHOOK_URL: slack.webhookUrl, SLACK_TOKEN: BOT_TOKEN };
    const { stdout } = await opspilot(["slack", "test"], env);
    expect(stdout).toContain("SLACK_CHANNEL is missing");
    expect(slack.messages.map(({ via }) => via)).toEqual(["webhook"]);
  });

  test.each([
    ["not_in_channel", /invite the app/],
    ["channel_not_found", /SLACK_CHANNEL/],
    ["invalid_auth", /SLACK_TOKEN/],
  ])("says what to do about %s", async (error, words) => {
    slack.behave("chat.postMessage", { error });
    const { stderr, exitCode } = await opspilot(["slack", "test"], webApi());
    expect(exitCode).toBe(1);
    expect(stderr).toContain(error);
    expect(stderr).toMatch(words);
    expect(stderr).not.toContain(BOT_TOKEN);
  });

  test("says what is missing where nothing is set", async () => {
    const { stderr, exitCode } = await opspilot(["slack", "test"]);
    expect(exitCode).toBe(78);
    expect(stderr).toContain("SLACK_WEBHOOK_URL");
  });

  test("names settings that are wrong, without their secrets", async () => {
    const env = {
      SLACK_TOKEN: "hunter2",
      SLACK_APP_TOKEN: "xoxb-1234567",
      SLACK_CHANNEL: "a b",
      SLACK_ALLOWED_USERS: "ana",
    };
    const { stderr, exitCode } = await opspilot(["slack", "test"], {
      ...env,
      SLACK_WEBHOOK_URL: "hooks.slack.com/hunter2",
    });
    expect(exitCode).toBe(78);
    for (const name of [...Object.keys(env), "SLACK_WEBHOOK_URL"]) expect(stderr).toContain(`${name}:`);
    expect(stderr).not.toContain("hunter2");
  });
});

describe("opspilot slack manifest", () => {
  test("prints the manifest alone on standard output, as YAML and as JSON", async () => {
    const yaml = await opspilot(["slack", "manifest"]);
    const json = await opspilot(["slack", "manifest", "--json"]);
    expect(Bun.YAML.parse(yaml.stdout)).toEqual(JSON.parse(json.stdout));
    expect(yaml.stderr).toContain("connections:write");
  });

  test("takes the server's public address, over TLS", async () => {
    const good = await opspilot(["slack", "manifest", "--url", "https://ops.example.com"]);
    expect(good.stdout).toContain('request_url: "https://ops.example.com/v1/slack/interactions"');
    expect((await opspilot(["slack", "manifest", "--url", "ops.example.com"])).exitCode).toBe(64);
  });
});
