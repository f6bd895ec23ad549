/** Telegram by a bot (https://core.telegram.org/bots/api): messages are edited as the incident changes, and answered in their thread. */
import type { View } from "../../announcements/model.ts";
import type { OutletUrl } from "../../config/notify.ts";
import { reach } from "../../lib/bounded-fetch.ts";
import { DeliveryError } from "../../lib/errors.ts";
import { HOSTED_PARAMS, hostedBase, neededPart } from "../api-host.ts";
import { type ApiAnswer, callApi, type WaitOf } from "../http.ts";
import { type OutletDeps, type OutletKind, OutletUrlError } from "../model.ts";
import { gradeOf } from "../posting.ts";
import { cut, escapeHtml, shownText, wordsOf } from "../words.ts";

/** A group takes 20 messages a minute. */
const INTERVAL_MS = 3_000;
const HOST = "api.telegram.org";
const CHAT = /^(@[A-Za-z]\w{3,31}|-?\d{1,20})$/;
/** Of a message's 4,096 characters, as they are read: each paragraph has so many at most, and what does not fit is left out. */
const LIMITS = { text: 3_800, part: 1_500, reply: 3_500 };
const MARKS = { critical: "\u{1f534}", warning: "\u{1f7e0}", info: "\u{1f535}", over: "\u2705" } as const;

/** Posts in a chat. */
export const telegram: OutletKind = {
  scheme: "telegram",
  form: "telegram://<bot's token>@telegram?chats=<chat's id or @channel>",
  params: [...HOSTED_PARAMS, "chats", "channels"],
  open(url, deps) {
    const { token, chat } = whoOf(url);
    const api = `${hostedBase(url, HOST)}/bot${token}`;
    const secrets = [token, token.slice(token.indexOf(":") + 1)];

    function call(method: string, body: object, isRepeatable: boolean, signal: AbortSignal): Promise<ApiAnswer> {
      const asked = {
        who: "Telegram",
        url: `${api}/${method}`,
        body: { chat_id: chat, ...body },
        secrets,
        isRepeatable,
      };
      return callApi(asked, { proxyOf: deps.proxyOf, signal, waitOf });
    }

    return {
      outlet: url.name,
      intervalMs: INTERVAL_MS,
      edits: true,
      canRepeat: false,
      reach: (signal) => reach("Telegram", api, deps.proxyOf, signal),
      async post(view, signal) {
        const answer = await call("sendMessage", messageOf(view, deps), false, signal);
        return { externalId: idOf(answer) };
      },
      async edit(externalId, view, signal) {
        if (externalId === null) throw new DeliveryError("never", "the message's id is not known");
        const body = { message_id: Number(externalId), ...messageOf(view, deps) };
        try {
          await call("editMessageText", body, true, signal);
        } catch (error) {
          // It shows this already.
          if (!(error instanceof DeliveryError && error.message.includes("message is not modified"))) throw error;
        }
      },
      find: async () => undefined,
      async reply(externalId, _, { text, file }, signal) {
        const words = shownText(file === null ? text : `${text}\n\n${file.content}`, LIMITS.reply, deps.redact);
        const to =
          externalId === null
            ? {}
            : { reply_parameters: { message_id: Number(externalId), allow_sending_without_reply: true } };
        return idOf(await call("sendMessage", { text: words, ...NO_PREVIEW, ...to }, false, signal));
      },
    };
  },
};

const NO_PREVIEW = { link_preview_options: { is_disabled: true } };

/** Apprise writes `telegram://<token>/<chat>`; a token has a colon, as users and passwords have between them. */
function whoOf({ user, password, host, port, segments, params }: OutletUrl): { token: string; chat: string } {
  const isOfApprise = user === "";
  const token = isOfApprise ? `${host}:${segments[0] ?? ""}` : `${user}:${password}`;
  if (port !== null) throw new OutletUrlError("the bot's token is malformed");
  const chat = params.get("chats") ?? params.get("channels") ?? segments[isOfApprise ? 1 : 0];
  return {
    token: neededPart(token, "the bot's token", /^\d{5,15}:[\w-]{20,80}$/),
    chat: neededPart(chat, "chats", CHAT),
  };
}

function idOf({ result }: ApiAnswer): string | null {
  const id = typeof result === "object" && result !== null && "message_id" in result ? result.message_id : null;
  return typeof id === "number" ? String(id) : null;
}

/** Seconds, in the answer. */
const waitOf: WaitOf = (_, { parameters }) => {
  const isTold = typeof parameters === "object" && parameters !== null && "retry_after" in parameters;
  return isTold && typeof parameters.retry_after === "number" ? parameters.retry_after * 1_000 : null;
};

function messageOf(view: View, { redact }: OutletDeps) {
  const { title, parts, url } = wordsOf(view, redact);
  const grade = gradeOf(view);
  const link = url === null ? "" : `\n\n<a href="${escapeHtml(url)}">Open dashboard</a>`;
  let left = LIMITS.text - title.length;
  const shown: string[] = [];
  for (const { label, text, isCode } of parts) {
    const words = cut(text, LIMITS.part);
    if (words.length > left) continue;
    left -= words.length;
    const body = escapeHtml(words);
    shown.push(isCode ? `<pre>${body}</pre>` : label === null ? body : `<b>${escapeHtml(label)}:</b> ${body}`);
  }
  const text = [`${MARKS[grade]} <b>${escapeHtml(title)}</b>`, ...shown].join("\n\n") + link;
  return { text, parse_mode: "HTML", ...NO_PREVIEW, disable_notification: grade === "info" };
}
