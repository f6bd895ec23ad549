import type { RawSettings, SettingName } from "./settings.ts";

/** How Slack is reached; null for what is not set. Which way follows from it is found out in one place, slack/transport.ts. */
export interface SlackSettings {
  readonly webhookUrl: string | null;
  readonly token: string | null;
  readonly channel: string | null;
  readonly appToken: string | null;
  readonly signingSecret: string | null;
  /** Ids of those who may press; empty: every full member of the workspace. */
  readonly allowedUsers: readonly string[];
  /** Without a slash at its end; null: Slack's own. */
  readonly apiUrl: string | null;
}

type Parse = <T>(name: SettingName, parse: (text: string) => T | undefined) => T | undefined;

/** The settings of Slack. */
export function readSlack(raw: RawSettings, read: Parse, urlOf: (text: string) => string | undefined): SlackSettings {
  return {
    webhookUrl: read("SLACK_WEBHOOK_URL", webhookOf) ?? null,
    token: raw.SLACK_TOKEN ?? null,
    channel: raw.SLACK_CHANNEL ?? null,
    appToken: raw.SLACK_APP_TOKEN ?? null,
    signingSecret: raw.SLACK_SIGNING_SECRET ?? null,
    allowedUsers: read("SLACK_ALLOWED_USERS", usersOf) ?? [],
    apiUrl: read("SLACK_API_URL", urlOf) ?? null,
  };
}

function webhookOf(text: string): string | undefined {
  const url = URL.parse(text);
  return url && url.username + url.password + url.hash === "" ? url.href : undefined;
}

/** A name instead of an id would let nobody in, or, if names were looked up, whoever takes that name. */
function usersOf(text: string): string[] | undefined {
  const ids = text.split(/[\s,]+/).filter((id) => id !== "");
  return ids.length > 0 && ids.every((id) => /^[UW][A-Z0-9]{2,30}$/.test(id)) ? ids : undefined;
}
