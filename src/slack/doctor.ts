import type { SlackSettings } from "../config.ts";
import { direct, type ProxyOf } from "../lib/bounded-fetch.ts";
import { errorMessage } from "../lib/errors.ts";
import { broken, doubtful, type Finding, fine } from "../lib/finding.ts";
import { SCOPES } from "./manifest.ts";
import { openConnection, type SocketAddress } from "./socket-mode.ts";
import { transportOf } from "./transport.ts";
import { createWebApi, createWorkspace, type WebApi, type WebApiOptions, type Workspace } from "./web-api.ts";

const NAME = "Slack";

/** Looks whether Slack works as the settings have it, in words. It posts nothing, and never rejects. */
export async function checkSlack(
  settings: SlackSettings,
  { signal, proxyOf = direct }: { signal: AbortSignal; proxyOf?: ProxyOf },
): Promise<Finding[]> {
  const { posting, buttons, description } = transportOf(settings);
  const isHalf = /is missing|cannot be checked/.test(description);
  const overall = isHalf
    ? doubtful(NAME, description, "see .env.example for what belongs together")
    : fine(NAME, description);
  const findings = [overall];
  if (settings.token !== null)
    findings.push(...(await checkToken({ ...settings, token: settings.token, proxyOf }, signal)));
  if (posting.by === "webhook") {
    findings.push(fine("Slack's webhook", "not tried: that would post; `opspilot slack test` does"));
  }
  if (settings.appToken !== null && buttons === "socket") {
    findings.push(await checkSocketMode({ appToken: settings.appToken, apiUrl: settings.apiUrl, proxyOf }, signal));
  }
  return findings;
}

async function checkToken(
  { channel, ...options }: WebApiOptions & { channel: string | null },
  signal: AbortSignal,
): Promise<Finding[]> {
  const api = createWebApi(options);
  const about = await tried("Slack's token", async () => {
    const answer = await api.call("auth.test", signal, (client) => client.auth.test());
    const granted = answer.response_metadata?.scopes ?? [];
    return [
      fine("Slack's token", `good: ${answer.user ?? "the app"} in ${answer.team ?? answer.team_id}`),
      ofScopes(granted),
    ];
  });
  const isGood = about.every(({ status }) => status !== "fail");
  if (channel === null || !isGood) return about;
  return [...about, ...(await checkChannel(api, createWorkspace(api, channel), signal))];
}

function ofScopes(granted: readonly string[]): Finding {
  const name = "Slack's permissions";
  // A proxy may take the header away.
  if (granted.length === 0)
    return doubtful(name, "Slack did not say which are granted", "compare with `opspilot slack manifest`");
  const missing = SCOPES.filter((scope) => !granted.includes(scope.name));
  if (missing.length === 0) return fine(name, `all granted: ${SCOPES.map((scope) => scope.name).join(", ")}`);
  const text = missing.map((scope) => `${scope.name} is missing (${scope.loss})`).join("; ");
  const todo = "add them under OAuth & Permissions of the app, and install it anew";
  return missing.some((scope) => scope.name === "chat:write") ? broken(name, text, todo) : doubtful(name, text, todo);
}

function checkChannel(api: WebApi, workspace: Workspace, signal: AbortSignal): Promise<Finding[]> {
  const name = "Slack's channel";
  return tried(name, async () => {
    const channel = await workspace.channelId(signal);
    const answer = await api.call("conversations.info", signal, (client) => client.conversations.info({ channel }));
    const title = `#${answer.channel?.name ?? channel} (${channel})`;
    if (answer.channel?.is_archived) return [broken(name, `${title} is archived`, adviceFor("is_archived"))];
    if (answer.channel?.is_member === false)
      return [broken(name, `the app is not in ${title}`, adviceFor("not_in_channel"))];
    return [fine(name, `the app is in ${title}`)];
  });
}

/** Opened as the server does: an offer says nothing about what stands between. It is closed at once, lest a press comes this way. */
async function checkSocketMode(address: SocketAddress, signal: AbortSignal): Promise<Finding> {
  const name = "Slack's Socket Mode";
  const [finding] = await tried(name, async () => {
    const connection = await openConnection(address, () => undefined, signal);
    connection.close();
    return [fine(name, "a connection was opened, and closed again")];
  });
  return finding ?? fine(name, "not tried");
}

async function tried(name: string, look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (error) {
    const text = errorMessage(error);
    return [broken(name, text, adviceFor(text))];
  }
}

const ADVICE: readonly [RegExp, string][] = [
  [/not_in_channel/, "invite the app to the channel: /invite @OpsPilot"],
  [
    /channel_not_found|no channel named/,
    "set SLACK_CHANNEL to the channel's id (in Slack: the channel's name, then About), and invite the app there",
  ],
  [/is_archived|channel_is_archived/, "the channel is archived: name another in SLACK_CHANNEL"],
  [
    /missing_scope/,
    "give the app the permission that is named (`opspilot slack manifest` lists all), and install it anew",
  ],
  [
    /invalid_auth|not_authed|token_revoked|token_expired|account_inactive|not_allowed_token_type/,
    "the token is not good: copy it anew from the app's page (SLACK_TOKEN: xoxb-, SLACK_APP_TOKEN: xapp- with connections:write)",
  ],
  [
    /no_service|invalid_token|no_team|HTTP status 40[34]|HTTP status 410/,
    "the webhook is gone or wrong: make a new one, and set SLACK_WEBHOOK_URL",
  ],
  [/not reached|no answer/, "look at the network, a firewall or a proxy in between; SLACK_API_URL says where Slack is"],
  [/asks to wait/, "Slack is asked too often: try again in a minute"],
];

/** What a person can do about a failed call to Slack. */
export function adviceFor(message: string): string {
  return ADVICE.find(([pattern]) => pattern.test(message))?.[1] ?? "look at the app's settings at api.slack.com/apps";
}
