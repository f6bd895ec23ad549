/** Gotify (https://gotify.net/docs/pushmsg). An end is a message of its own. */
import { reach } from "../../lib/bounded-fetch.ts";
import { neededPart, OWN_PARAMS, ownBase } from "../api-host.ts";
import { callApi } from "../http.ts";
import type { OutletKind } from "../model.ts";
import { type Grade, gradeOf, postsOnly } from "../posting.ts";
import { plainText, wordsOf } from "../words.ts";

const INTERVAL_MS = 100;
const TOKEN = /^[A-Za-z0-9._-]{10,64}$/;
const MESSAGE_CHARS_MAX = 8_000;
/** From 8 on its app rings. */
const PRIORITIES: Readonly<Record<Grade, number>> = { critical: 8, warning: 5, info: 2, over: 4 };

/** Posts as an application. */
export const gotify: OutletKind = {
  scheme: "gotify",
  form: "gotify://<host>[:port][/path]/<application token>",
  params: OWN_PARAMS,
  open(url, { redact, proxyOf }) {
    const token = neededPart(url.segments.at(-1), "the application token", TOKEN);
    const path = [...url.segments.slice(0, -1).map(encodeURIComponent), "message"].join("/");
    const call = {
      who: "Gotify",
      url: `${ownBase(url)}/${path}`,
      headers: { "x-gotify-key": token },
      secrets: [token],
      isRepeatable: false,
    };
    const place = {
      outlet: url.name,
      intervalMs: INTERVAL_MS,
      reach: (signal: AbortSignal) => reach("Gotify", call.url, proxyOf, signal),
    };
    return postsOnly(place, async (view, signal) => {
      const words = wordsOf(view, redact);
      const click = words.url === null ? {} : { extras: { "client::notification": { click: { url: words.url } } } };
      const message = plainText(words, MESSAGE_CHARS_MAX) || "(no more is known)";
      const body = { title: words.title, message, priority: PRIORITIES[gradeOf(view)], ...click };
      const { id } = await callApi({ ...call, body }, { proxyOf, signal });
      return typeof id === "number" ? String(id) : null;
    });
  },
};
