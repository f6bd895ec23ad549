import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { SlackSettings } from "../../src/config.ts";
import { verifySignature } from "../../src/slack/callback-store.ts";
import { manifestYaml, SCOPES, slackManifest } from "../../src/slack/manifest.ts";
import { transportOf } from "../../src/slack/transport.ts";
import { isSlackUrl } from "../../src/slack/web-api.ts";
import { NO_SLACK } from "../support/slack-settings.ts";

const WEBHOOK = { webhookUrl: "https://hooks.slack.com/services/T1/B1/secret" };
const API = { token: "xoxb-secret", channel: "C0123456789" };
const SOCKET = { appToken: "xapp-secret" };
const HTTP = { signingSecret: "secret-secret" };

describe("the way to Slack", () => {
  test.each<[string, Partial<SlackSettings>, string, string, RegExp]>([
    ["nothing is set", {}, "none", "none", /^off/],
    ["a webhook", WEBHOOK, "webhook", "none", /cannot edit; no buttons: neither/],
    ["a webhook, and nobody who may press", { ...WEBHOOK, ...HTTP }, "webhook", "none", /cannot be checked/],
    ["a webhook and people", { ...WEBHOOK, ...HTTP, allowedUsers: ["U1"] }, "webhook", "http", /POST \/v1\/slack/],
    [
      "a webhook and a token without a channel",
      { ...WEBHOOK, token: "xoxb-secret" },
      "webhook",
      "none",
      /SLACK_CHANNEL is missing/,
    ],
    ["a token without a channel", { token: "xoxb-secret" }, "none", "none", /off.*SLACK_CHANNEL is missing/],
    ["a channel without a token", { channel: "C1" }, "none", "none", /SLACK_TOKEN is missing/],
    ["a token and a channel", API, "web-api", "none", /threads in C0123456789.*no buttons/],
    ["Socket Mode", { ...API, ...SOCKET }, "web-api", "socket", /buttons by Socket Mode$/],
    ["HTTP", { ...API, ...HTTP }, "web-api", "http", /interactions$/],
    ["everything", { ...API, ...HTTP, ...SOCKET, ...WEBHOOK }, "web-api", "socket", /SLACK_WEBHOOK_URL is not used/],
  ])("is found from the settings: %s", (_, settings, posting, buttons, words) => {
    const found = transportOf({ ...NO_SLACK, ...settings });
    expect([found.posting.by, found.buttons]).toEqual([posting, buttons] as never);
    expect(found.description).toMatch(words);
    expect(found.description).not.toContain("secret");
  });

  test.each([
    ["https://hooks.slack.com/actions/T/1/x", true],
    ["https://slack.com/api", true],
    ["http://hooks.slack.com/actions", false],
    ["https://hooks.slack.com.evil.example/", false],
    ["https://evilslack.com/", false],
    ["https://hooks.slack.com@evil.example/", false],
    ["https://user:pw@hooks.slack.com/", false],
    ["https://hooks.slack.com:8443/", false],
    ["http://127.0.0.1:9/actions", true],
    ["http://127.0.0.1:10/actions", false],
    ["http://169.254.169.254/latest", false],
    ["file:///etc/passwd", false],
    ["", false],
  ])("leads to Slack's hosts alone: %s", (url, isSlack) => {
    expect(isSlackUrl(url, "http://127.0.0.1:9/api")).toBe(isSlack);
  });
});

describe("Slack's SDKs", () => {
  test("are not loaded where Slack is not set up", async () => {
    const slack = join(import.meta.dir, "../../src/slack/slack.ts");
    const script = `
      const { createSlack } = await import(${JSON.stringify(slack)});
      const loaded = () => Object.keys(require.cache).filter((path) => path.includes("@slack")).length > 0;
      createSlack({ settings: ${JSON.stringify(NO_SLACK)}, redact: String, clock: {}, log: {} });
      const before = loaded();
      await import(Bun.resolveSync("@slack/web-api", ${JSON.stringify(import.meta.dir)}));
      console.log(JSON.stringify([before, loaded()]));`;
    const child = Bun.spawn([process.execPath, "--no-env-file", "-e", script], { stdout: "pipe", stderr: "pipe" });
    expect(JSON.parse(await child.stdout.text())).toEqual([false, true]);
  });
});

describe("a signature", () => {
  const secret = "8f742231b10e8888abcd99yyyzzz85a5";
  // The example of Slack's documentation.
  const documented = {
    body: "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
    timestamp: "1531420618",
    signature: "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
  };
  const now = 1_531_420_618_000;

  test("of Slack is taken, for five minutes", () => {
    expect(verifySignature(secret, documented, now)).toMatchObject({ ok: true });
    expect(verifySignature(secret, documented, now + 299_000)).toMatchObject({ ok: true });
    expect(verifySignature(secret, documented, now + 301_000)).toMatchObject({ ok: false, reason: "stale" });
    expect(verifySignature(secret, documented, now - 301_000)).toMatchObject({ ok: false, reason: "stale" });
  });

  test.each([
    ["another body", { body: `${documented.body}&x=1` }, "forged"],
    ["another time", { timestamp: "1531420619" }, "forged"],
    ["another signature", { signature: documented.signature.replace("a2", "a3") }, "forged"],
    ["an empty signature", { signature: "" }, "forged"],
    ["a longer signature", { signature: `${documented.signature}0` }, "forged"],
    ["no signature", { signature: null }, "unsigned"],
    ["no time", { timestamp: null }, "unsigned"],
    ["a time that is no number", { timestamp: "now" }, "unsigned"],
    ["a negative time", { timestamp: "-1" }, "unsigned"],
  ])("is refused with %s", (_, change, reason) => {
    expect(verifySignature(secret, { ...documented, ...change }, now)).toMatchObject({ ok: false, reason } as never);
  });
});

describe("the app's manifest", () => {
  test("asks for exactly what is used, and says why, in YAML that means the same", () => {
    for (const url of [null, "https://ops.example.com/"]) {
      expect(Bun.YAML.parse(manifestYaml(url))).toEqual(JSON.parse(JSON.stringify(slackManifest(url))));
    }
    for (const { name, purpose } of SCOPES) expect(manifestYaml(null)).toContain(`"${name}" # ${purpose}`);
  });

  test("has Socket Mode, or the server's address", () => {
    expect(slackManifest(null)).toMatchObject({
      settings: { socket_mode_enabled: true, interactivity: { is_enabled: true } },
    });
    expect(slackManifest("https://ops.example.com/")).toMatchObject({
      settings: {
        socket_mode_enabled: false,
        interactivity: { request_url: "https://ops.example.com/v1/slack/interactions" },
      },
    });
  });
});
