/** Rocket.Chat by an incoming webhook (https://docs.rocket.chat/docs/integrations). An end is a message of its own. */
import { reach } from "../../lib/bounded-fetch.ts";
import { neededPart, OWN_PARAMS, ownBase } from "../api-host.ts";
import { callApi } from "../http.ts";
import { escapeMarkdown, markdown } from "../markdown.ts";
import type { OutletKind } from "../model.ts";
import { COLOURS, gradeOf, postsOnly } from "../posting.ts";
import { wordsOf } from "../words.ts";

const INTERVAL_MS = 200;
const TOKEN = /^[A-Za-z0-9]{10,64}$/;
const CHANNEL = /^[@#]?[A-Za-z0-9][\w.-]{0,63}$/;
const TEXT_CHARS_MAX = 4_000;

/** Posts in a channel. */
export const rocketchat: OutletKind = {
  scheme: "rocketchat",
  form: "rocketchat://<host>[:port]/<tokenA>/<tokenB>[/<channel>]",
  params: OWN_PARAMS,
  open(url, { redact, proxyOf }) {
    const [first, second, channel] = url.segments;
    const tokens = [neededPart(first, "tokenA", TOKEN), neededPart(second, "tokenB", TOKEN)];
    const where = channel === undefined ? {} : { channel: placeOf(neededPart(channel, "the channel", CHANNEL)) };
    const call = {
      who: "Rocket.Chat",
      url: `${ownBase(url)}/hooks/${tokens.join("/")}`,
      secrets: tokens,
      isRepeatable: false,
    };
    const place = {
      outlet: url.name,
      intervalMs: INTERVAL_MS,
      reach: (signal: AbortSignal) => reach("Rocket.Chat", call.url, proxyOf, signal),
    };
    return postsOnly(place, async (view, signal) => {
      const words = wordsOf(view, redact);
      const attachment = {
        title: escapeMarkdown(words.title),
        ...(words.url === null ? {} : { title_link: words.url }),
        text: markdown({ ...words, url: null }, TEXT_CHARS_MAX, "*"),
        color: `#${COLOURS[gradeOf(view)].toString(16).padStart(6, "0")}`,
      };
      await callApi({ ...call, body: { ...where, attachments: [attachment] } }, { proxyOf, signal });
      return null;
    });
  },
};

/** A channel, where nothing says that it is a person. */
const placeOf = (name: string) => (/^[@#]/.test(name) ? name : `#${name}`);
