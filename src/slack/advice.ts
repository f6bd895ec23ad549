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
