/** Slack by an incoming webhook, or by a bot without buttons; SLACK_* are for one with them. */
import { HOSTED_PARAMS, hostedBase, neededPart } from "../api-host.ts";
import { type OutletKind, OutletUrlError } from "../model.ts";

const HOST = "hooks.slack.com";
const PART = /^[A-Za-z0-9]{6,40}$/;
const BOT = /^xoxb[-:][\w-]{10,200}$/;

/** Posts in a channel. */
export const slack: OutletKind = {
  scheme: "slack",
  form: "slack://<T…>/<B…>/<the rest of an incoming webhook's URL>, or slack://<bot's token>@<channel's id>",
  params: HOSTED_PARAMS,
  open(url, deps) {
    const NONE = { webhookUrl: null, token: null, channel: null, appToken: null, signingSecret: null, apiUrl: null };
    const isBot = /^xoxb/.test(url.user);
    const more = isBot
      ? { token: neededPart(tokenOf(url.user, url.password), "the bot's token", BOT), channel: url.host }
      : { webhookUrl: `${hostedBase(url, HOST)}/services/${hookOf(url).join("/")}` };
    const notifier = deps.createSlack({ ...NONE, allowedUsers: [], ...more });
    if (notifier === null) throw new OutletUrlError("the channel is missing");
    return { ...notifier, outlet: url.name };
  },
};

/** Shoutrrr writes `xoxb:1-2-3@channel`. */
const tokenOf = (user: string, password: string) => (password === "" ? user : `${user}-${password}`);

/** Shoutrrr writes `slack://hook:T-B-X@webhook`. */
function hookOf(url: { user: string; password: string; host: string; segments: readonly string[] }): string[] {
  const parts = url.user === "hook" ? url.password.split("-") : [url.host, ...url.segments];
  const [team, bot, key] = parts;
  return [
    neededPart(team, "the first part (T…)", PART),
    neededPart(bot, "the second part (B…)", PART),
    neededPart(key, "the third part", PART),
  ];
}
