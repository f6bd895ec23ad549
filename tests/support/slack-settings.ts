import type { SlackSettings } from "../../src/config.ts";

/** Slack is not set up. */
export const NO_SLACK: SlackSettings = {
  webhookUrl: null,
  token: null,
  channel: null,
  appToken: null,
  signingSecret: null,
  allowedUsers: [],
  apiUrl: null,
};
