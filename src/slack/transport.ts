import type { SlackSettings } from "../config.ts";

/** Over what pressed buttons reach us. */
export type ButtonsWay = "socket" | "http" | "none";

/** How Slack is reached, as the settings say. */
export interface SlackTransport {
  readonly posting:
    | { readonly by: "web-api"; readonly token: string; readonly channel: string }
    | { readonly by: "webhook"; readonly url: string }
    | { readonly by: "none" };
  readonly buttons: ButtonsWay;
  /** For the start of the server: one line, without a secret. */
  readonly description: string;
}

/**
 * Which of the ways the settings name: a bot token with a channel posts, edits and threads; else a webhook posts. Buttons
 * come by Socket Mode with an app-level token, else over HTTP with a signing secret, and only where it can be checked who
 * pressed them: with a bot token Slack is asked, without one only people who are named may.
 */
export function transportOf(settings: SlackSettings): SlackTransport {
  const posting = postingOf(settings);
  const buttons = buttonsOf(settings, posting);
  return { posting, buttons, description: describe(settings, posting, buttons) };
}

function postingOf({ token, channel, webhookUrl }: SlackSettings): SlackTransport["posting"] {
  if (token !== null && channel !== null) return { by: "web-api", token, channel };
  return webhookUrl === null ? { by: "none" } : { by: "webhook", url: webhookUrl };
}

function buttonsOf(settings: SlackSettings, posting: SlackTransport["posting"]): ButtonsWay {
  const canCheck = settings.token !== null || settings.allowedUsers.length > 0;
  if (posting.by === "none" || !canCheck) return "none";
  if (settings.appToken !== null) return "socket";
  return settings.signingSecret === null ? "none" : "http";
}

function describe(settings: SlackSettings, posting: SlackTransport["posting"], buttons: ButtonsWay): string {
  const parts = [describePosting(settings, posting)];
  if (posting.by !== "none") parts.push(describeButtons(settings, buttons));
  const missing = missingOf(settings);
  return [...parts, ...(missing === undefined ? [] : [missing])].join("; ");
}

function describePosting({ webhookUrl }: SlackSettings, posting: SlackTransport["posting"]): string {
  switch (posting.by) {
    case "web-api":
      return `posts, edits and threads in ${posting.channel} by the Web API${webhookUrl ? " (SLACK_WEBHOOK_URL is not used)" : ""}`;
    case "webhook":
      return "posts by the webhook, which cannot edit";
    case "none":
      return "off: neither SLACK_TOKEN with SLACK_CHANNEL nor SLACK_WEBHOOK_URL is set";
  }
}

function describeButtons({ appToken, signingSecret }: SlackSettings, buttons: ButtonsWay): string {
  switch (buttons) {
    case "socket":
      return "buttons by Socket Mode";
    case "http":
      return "buttons by POST /v1/slack/interactions";
    case "none":
      return appToken === null && signingSecret === null
        ? "no buttons: neither SLACK_APP_TOKEN nor SLACK_SIGNING_SECRET is set"
        : "no buttons: who presses them cannot be checked without SLACK_TOKEN, or SLACK_ALLOWED_USERS";
  }
}

function missingOf({ token, channel }: SlackSettings): string | undefined {
  if (token !== null && channel === null)
    return "SLACK_CHANNEL is missing: SLACK_TOKEN alone does not say where to post";
  return token === null && channel !== null ? "SLACK_TOKEN is missing: SLACK_CHANNEL alone cannot post" : undefined;
}
