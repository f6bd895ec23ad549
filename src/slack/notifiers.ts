import type { Notifier, View } from "../announcements/model.ts";
import { type ProxyOf, reach } from "../lib/bounded-fetch.ts";
import { DeliveryError, errorMessage } from "../lib/errors.ts";
import { type Message, NOTHING_UNFURLED } from "./blocks.ts";
import { endMessage, isEnd, type MessageOptions, messageOf } from "./message.ts";
import { editInThread, type Place, sayInThread, type ThreadDeps } from "./thread.ts";
import {
  assertTaken,
  createSlackFetch,
  isNamed,
  pagesOf,
  type WebApi,
  type Workspace,
  webhookFailure,
} from "./web-api.ts";

/** As announcements name Slack, whatever way it is reached. */
export const OUTLET = "slack";

/** Slack takes about one message a second in a channel, and from a webhook. */
const INTERVAL_MS = 1_000;

/** The database's clock and Slack's may differ by so much. */
const CLOCK_SKEW_MS = 120_000;
const HISTORY_PAGE = 200;
const HISTORY_PAGES_MAX = 10;

interface WebApiNotifierDeps extends MessageOptions, ThreadDeps {
  workspace: Workspace;
}

/** Posts, edits, finds and threads messages in one channel. External ids are "channel/ts". */
export function createWebApiNotifier(deps: WebApiNotifierDeps): Notifier {
  const { api, workspace, log } = deps;

  async function find(view: View, since: Date, signal: AbortSignal): Promise<string | undefined> {
    const channel = await workspace.channelId(signal);
    const { botId } = await workspace.identity(signal);
    const { metadata: wanted } = await toldOf(view, signal);
    for await (const message of historyOf(api, channel, since, signal)) {
      const isOwn = botId === null || message.bot_id === undefined || message.bot_id === botId;
      if (message.ts && isOwn && isSame(message.metadata, wanted)) return `${channel}/${message.ts}`;
    }
    return undefined;
  }

  async function toldOf(view: View, signal: AbortSignal): Promise<Message> {
    if (view.kind !== "incident" || view.endOf === undefined) return messageOf(view, deps);
    const { url } = await workspace.identity(signal);
    return endMessage(view, deps, linkTo(url, view.endOf));
  }

  return {
    outlet: OUTLET,
    intervalMs: INTERVAL_MS,
    edits: true,
    async post(view, signal) {
      const channel = workspace.target();
      const message = { channel, ...(await toldOf(view, signal)), ...NOTHING_UNFURLED };
      const answer = await api.call("chat.postMessage", signal, (client) => client.chat.postMessage(message));
      if (!answer.ts) throw new DeliveryError("unknown", "chat.postMessage: no ts in the answer");
      if (answer.channel) workspace.learnt(answer.channel);
      return { externalId: `${answer.channel ?? channel}/${answer.ts}` };
    },
    async edit(externalId, view, signal) {
      const message = { ...placeOf(externalId), ...messageOf(view, deps) };
      await aboutOld(api.call("chat.update", signal, (client) => client.chat.update(message)));
    },
    async find(view, since, signal) {
      try {
        return await find(view, since, signal);
      } catch (error) {
        if (!cannotLook(error)) throw error;
        log.warn({ error: errorMessage(error) }, "Slack's history cannot be read: a message may be posted twice");
        return undefined;
      }
    },
    reach: (signal) => reach("Slack", deps.apiUrl ?? "https://slack.com", api.proxyOf, signal),
    async reply(externalId, _subject, reply, signal) {
      const place = placeOf(externalId);
      const ts = await aboutOld(sayInThread(deps, place, reply, signal));
      return ts === undefined ? null : `${place.channel}/${ts}`;
    },
    async editReply(externalId, reply, signal) {
      await aboutOld(editInThread(deps, placeOf(externalId), reply, signal));
    },
  };
}

/** As Slack's own "copy link" has it, which works for whoever can see the channel. */
function linkTo(workspaceUrl: string, externalId: string | null): string | null {
  const [channel, ts] = externalId?.split("/") ?? [];
  return channel && ts ? new URL(`/archives/${channel}/p${ts.replace(".", "")}`, workspaceUrl).href : null;
}

function placeOf(externalId: string | null): Place {
  const [channel, ts] = externalId?.split("/") ?? [];
  if (!channel || !ts) throw new DeliveryError("never", "nobody knows where the message is");
  return { channel, ts };
}

/** What the channel shows since then, newest first. */
async function* historyOf(api: WebApi, channel: string, since: Date, signal: AbortSignal) {
  const oldest = String((since.getTime() - CLOCK_SKEW_MS) / 1000);
  const options = { channel, oldest, limit: HISTORY_PAGE, include_all_metadata: true };
  const pages = pagesOf(HISTORY_PAGES_MAX, (cursor) =>
    api.call("conversations.history", signal, (client) => client.conversations.history({ ...options, ...cursor })),
  );
  for await (const { messages = [] } of pages) yield* messages;
}

function isSame(found: { event_type?: string; event_payload?: unknown } | undefined, wanted: Message["metadata"]) {
  if (found?.event_type !== wanted.event_type) return false;
  const payload = new Map(Object.entries(found.event_payload ?? {}));
  return Object.entries(wanted.event_payload).every(([key, value]) => String(payload.get(key)) === String(value));
}

/** What is wrong with the place of an old message alone must not hold up the new ones: it is given up. */
async function aboutOld<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!isNamed(error, ["channel_not_found", "is_archived", "is_inactive", "not_in_channel"])) throw error;
    throw new DeliveryError("never", errorMessage(error));
  }
}

/** The app was not given the right to look, or is not in the channel: waiting would not help. */
function cannotLook(error: unknown): boolean {
  return isNamed(error, [
    "missing_scope",
    "not_in_channel",
    "no_permission",
    "not_allowed_token_type",
    "unknown_method",
  ]);
}

const CALL_LIMIT_MS = 10_000;

interface WebhookAddress {
  url: string;
  proxyOf: ProxyOf;
}

/** Posts by an incoming webhook, which gives no id: nothing is edited, found or threaded, and the end is a short message of its own. */
export function createWebhookNotifier(deps: MessageOptions & WebhookAddress): Notifier {
  return {
    outlet: OUTLET,
    intervalMs: INTERVAL_MS,
    edits: false,
    async post(view, signal) {
      const message = isEnd(view) ? endMessage(view, deps) : messageOf(view, deps);
      await send(deps, message, signal);
      return { externalId: null };
    },
    edit: () => Promise.reject(new DeliveryError("never", "a webhook's message cannot be edited")),
    reach: (signal) => reach("Slack", deps.url, deps.proxyOf, signal),
    find: async () => undefined,
    reply: null,
  };
}

async function send({ url, proxyOf }: WebhookAddress, { text, blocks }: Message, signal: AbortSignal): Promise<void> {
  let retryAfterMs: number | null = null;
  const noteWait = (response: Response) => {
    const seconds = Number(response.headers.get("retry-after"));
    if (Number.isFinite(seconds) && seconds > 0) retryAfterMs = seconds * 1000;
  };
  try {
    const sdk = await import("@slack/webhook");
    const webhook = new sdk.IncomingWebhook(url, {
      timeout: CALL_LIMIT_MS,
      fetch: createSlackFetch(proxyOf, signal, noteWait),
    });
    const answer = await webhook.send({ text, blocks, ...NOTHING_UNFURLED });
    assertTaken(answer.text);
  } catch (error) {
    throw webhookFailure(error, retryAfterMs);
  }
}
