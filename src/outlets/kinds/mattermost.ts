/** Mattermost by an incoming webhook (https://developers.mattermost.com/integrate/webhooks/incoming/). An end is a message of its own. */
import { reach } from "../../lib/bounded-fetch.ts";
import { neededPart, OWN_PARAMS, ownBase } from "../api-host.ts";
import { callApi } from "../http.ts";
import { escapeMarkdown, markdown } from "../markdown.ts";
import type { OutletKind } from "../model.ts";
import { COLOURS, gradeOf, postsOnly } from "../posting.ts";
import { wordsOf } from "../words.ts";

const INTERVAL_MS = 200;
const TOKEN = /^[a-z0-9]{20,32}$/;
const CHANNEL = /^@?[a-z0-9][a-z0-9._-]{0,63}$/;
const TEXT_CHARS_MAX = 7_000;

/** Posts in a channel. */
export const mattermost: OutletKind = {
  scheme: "mattermost",
  form: "mattermost://<host>[:port]/<webhook's token>[/<channel>]",
  params: OWN_PARAMS,
  open(url, { redact, proxyOf }) {
    const token = neededPart(url.segments[0], "the webhook's token", TOKEN);
    const [, channel] = url.segments;
    const where = channel === undefined ? {} : { channel: neededPart(channel, "the channel", CHANNEL) };
    const call = { who: "Mattermost", url: `${ownBase(url)}/hooks/${token}`, secrets: [token], isRepeatable: false };
    const place = {
      outlet: url.name,
      intervalMs: INTERVAL_MS,
      reach: (signal: AbortSignal) => reach("Mattermost", call.url, proxyOf, signal),
    };
    return postsOnly(place, async (view, signal) => {
      const words = wordsOf(view, redact);
      const attachment = {
        fallback: escapeMarkdown(words.title),
        title: escapeMarkdown(words.title),
        ...(words.url === null ? {} : { title_link: words.url }),
        text: markdown({ ...words, url: null }, TEXT_CHARS_MAX),
        color: `#${COLOURS[gradeOf(view)].toString(16).padStart(6, "0")}`,
      };
      const name = url.user === "" ? {} : { username: url.user };
      await callApi({ ...call, body: { ...where, ...name, attachments: [attachment] } }, { proxyOf, signal });
      return null;
    });
  },
};
