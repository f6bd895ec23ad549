import type { SlackSettings } from "../config.ts";
import { errorMessage } from "../lib/errors.ts";
import { broken, doubtful, type Finding, fine } from "../lib/finding.ts";
import { adviceFor } from "./advice.ts";
import { SCOPES } from "./scopes.ts";
import { transportOf } from "./transport.ts";
import { createWebApi, type WebApi } from "./web-api.ts";
import { createWorkspace, type Workspace } from "./workspace.ts";

const NAME = "Slack";

/** Looks whether Slack works as the settings have it, in words. It posts nothing, and never rejects. */
export async function checkSlack(settings: SlackSettings, { signal }: { signal: AbortSignal }): Promise<Finding[]> {
  const { posting, buttons, description } = transportOf(settings);
  const isHalf = /is missing|cannot be checked/.test(description);
  const overall = isHalf
    ? doubtful(NAME, description, "see .env.example for what belongs together")
    : fine(NAME, description);
  const findings = [overall];
  if (settings.token !== null) findings.push(...(await checkToken(settings, settings.token, signal)));
  if (posting.by === "webhook") {
    findings.push(fine("Slack's webhook", "not tried: that would post; `opspilot slack test` does"));
  }
  if (settings.appToken !== null && buttons === "socket") {
    findings.push(await checkSocketMode(settings.appToken, settings.apiUrl, signal));
  }
  return findings;
}

async function checkToken({ channel, apiUrl }: SlackSettings, token: string, signal: AbortSignal): Promise<Finding[]> {
  const api = createWebApi({ token, apiUrl });
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

async function checkSocketMode(appToken: string, apiUrl: string | null, signal: AbortSignal): Promise<Finding> {
  const name = "Slack's Socket Mode";
  const api = createWebApi({ token: appToken, apiUrl });
  const [finding] = await tried(name, async () => {
    await api.call("apps.connections.open", signal, (client) => client.apps.connections.open({}));
    return [fine(name, "Slack offers a connection")];
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
