/**
 * Microsoft Teams by a workflow that posts what a webhook brings ("Post to a channel when a webhook request is received"): an Adaptive Card
 * (https://adaptivecards.io). An end is a card of its own.
 */
import type { View } from "../../announcements/model.ts";
import { reach } from "../../lib/bounded-fetch.ts";
import { neededPart, ownBase } from "../api-host.ts";
import { callApi } from "../http.ts";
import { escapeMarkdown } from "../markdown.ts";
import { type OutletDeps, type OutletKind, OutletUrlError } from "../model.ts";
import { type Grade, gradeOf, postsOnly } from "../posting.ts";
import { cut, wordsOf } from "../words.ts";

/** Four a second are refused. */
const INTERVAL_MS = 500;
/** A card has 28 KB at most. */
const PART_CHARS_MAX = 1_500;
const STYLES: Readonly<Record<Grade, string>> = {
  critical: "attention",
  warning: "warning",
  info: "accent",
  over: "good",
};

/** Posts in a channel. */
export const teams: OutletKind = {
  scheme: "teams",
  form: "teams://<the workflow's URL without https://>",
  open(url, deps) {
    neededPart(url.segments[0], "the workflow's path", /\S/);
    const params = new URLSearchParams(url.params);
    const secret = neededPart(params.get("sig") ?? undefined, "sig", /\S/);
    // Ours alone: how a stand-in is called.
    params.delete("scheme");
    if (url.user !== "") throw new OutletUrlError("a workflow's URL has no user");
    const path = url.segments.map(encodeURIComponent).join("/");
    const call = {
      who: "Teams",
      url: `${ownBase(url)}/${path}?${params}`,
      secrets: [secret],
      isRepeatable: false,
    };
    const place = {
      outlet: url.name,
      intervalMs: INTERVAL_MS,
      reach: (signal: AbortSignal) => reach("Teams", call.url, deps.proxyOf, signal),
    };
    return postsOnly(place, async (view, signal) => {
      await callApi({ ...call, body: messageOf(view, deps) }, { proxyOf: deps.proxyOf, signal });
      return null;
    });
  },
};

function messageOf(view: View, { redact }: OutletDeps) {
  const { title, parts, url } = wordsOf(view, redact);
  const block = (text: string, more: object = {}) => ({ type: "TextBlock", text, wrap: true, ...more });
  const head = block(escapeMarkdown(title), { weight: "Bolder", size: "Medium" });
  const card = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    body: [
      { type: "Container", style: STYLES[gradeOf(view)], bleed: true, items: [head] },
      ...parts.map(({ label, text, isCode }) => {
        const shown = escapeMarkdown(cut(text, PART_CHARS_MAX));
        return block(label === null ? shown : `**${label}:** ${shown}`, isCode ? { fontType: "Monospace" } : {});
      }),
    ],
    ...(url === null ? {} : { actions: [{ type: "Action.OpenUrl", title: "Open dashboard", url }] }),
  };
  const attachment = { contentType: "application/vnd.microsoft.card.adaptive", contentUrl: null, content: card };
  return { type: "message", attachments: [attachment] };
}
