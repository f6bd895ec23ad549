/** Discord by a channel's webhook (https://discord.com/developers/docs/resources/webhook): messages are edited as the incident changes. */
import type { View } from "../../announcements/model.ts";
import { reach } from "../../lib/bounded-fetch.ts";
import { DeliveryError } from "../../lib/errors.ts";
import { HOSTED_PARAMS, hostedBase, neededPart } from "../api-host.ts";
import { callApi, type WaitOf } from "../http.ts";
import { escapeMarkdown, markdown } from "../markdown.ts";
import type { OutletDeps, OutletKind } from "../model.ts";
import { COLOURS, gradeOf } from "../posting.ts";
import { cut, wordsOf } from "../words.ts";

/** A webhook takes some 30 messages a minute. */
const INTERVAL_MS = 2_000;
const HOST = "discord.com";
const ID = /^\d{5,25}$/;
const TOKEN = /^[\w-]{20,120}$/;
const LIMITS = { title: 256, description: 4_000 };

/** Posts in a channel. */
export const discord: OutletKind = {
  scheme: "discord",
  form: "discord://<webhook's token>@<webhook's id>",
  params: HOSTED_PARAMS,
  open(url, deps) {
    // Apprise writes `discord://<id>/<token>`.
    const id = neededPart(url.host, "the webhook's id", ID);
    const token = neededPart(url.user || url.segments[0], "the webhook's token", TOKEN);
    const hook = `${hostedBase(url, HOST)}/api/webhooks/${id}/${token}`;
    const secrets = [token];
    const how = (signal: AbortSignal) => ({ proxyOf: deps.proxyOf, signal, waitOf });
    return {
      outlet: url.name,
      intervalMs: INTERVAL_MS,
      edits: true,
      canRepeat: false,
      reach: (signal) => reach("Discord", hook, deps.proxyOf, signal),
      async post(view, signal) {
        const call = { who: "Discord", url: `${hook}?wait=true`, body: messageOf(view, deps), secrets };
        const answer = await callApi({ ...call, isRepeatable: false }, how(signal));
        return { externalId: typeof answer.id === "string" ? answer.id : null };
      },
      async edit(externalId, view, signal) {
        if (externalId === null) throw new DeliveryError("never", "the message's id is not known");
        const message = `${hook}/messages/${externalId}`;
        const call = { who: "Discord", url: message, method: "PATCH" as const, body: messageOf(view, deps), secrets };
        await callApi({ ...call, isRepeatable: true }, how(signal));
      },
      find: async () => undefined,
      reply: null,
    };
  },
};

/** Seconds, in the answer. */
const waitOf: WaitOf = (_, answer) => (typeof answer.retry_after === "number" ? answer.retry_after * 1_000 : null);

function messageOf(view: View, { redact }: OutletDeps) {
  const words = wordsOf(view, redact);
  const embed = {
    title: cut(escapeMarkdown(words.title), LIMITS.title),
    description: markdown({ ...words, url: null }, LIMITS.description),
    color: COLOURS[gradeOf(view)],
    ...(words.url === null ? {} : { url: words.url }),
  };
  // Nobody is called by what a host says.
  return { embeds: [embed], allowed_mentions: { parse: [] } };
}
