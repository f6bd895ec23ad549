import type { Notifier } from "../announcements/model.ts";
import { DeliveryError } from "../lib/errors.ts";
import { webhookFailure } from "./delivery-errors.ts";
import { endMessage, isEnd, type MessageOptions, messageOf } from "./message.ts";
import { createSlackFetch } from "./slack-fetch.ts";
import { OUTLET } from "./web-api-notifier.ts";

const CALL_LIMIT_MS = 10_000;
/** Slack takes about one message a second from a webhook. */
const INTERVAL_MS = 1_000;

export interface WebhookNotifierDeps extends MessageOptions {
  url: string;
}

/** Posts by an incoming webhook, which gives no id: nothing is edited, found or threaded, and the end is a short message of its own. */
export function createWebhookNotifier(deps: WebhookNotifierDeps): Notifier {
  return {
    outlet: OUTLET,
    intervalMs: INTERVAL_MS,
    edits: false,
    async post(view, signal) {
      const message = isEnd(view) ? endMessage(view, deps) : messageOf(view, deps);
      await send(deps.url, message, signal);
      return { externalId: null };
    },
    edit: () => Promise.reject(new DeliveryError("never", "a webhook's message cannot be edited")),
    find: async () => undefined,
    reply: null,
  };
}

async function send(url: string, message: ReturnType<typeof messageOf>, signal: AbortSignal): Promise<void> {
  let retryAfterMs: number | null = null;
  const noteWait = (response: Response) => {
    const seconds = Number(response.headers.get("retry-after"));
    if (Number.isFinite(seconds) && seconds > 0) retryAfterMs = seconds * 1000;
  };
  try {
    const sdk = await import("@slack/webhook");
    const webhook = new sdk.IncomingWebhook(url, { timeout: CALL_LIMIT_MS, fetch: createSlackFetch(signal, noteWait) });
    const { text, blocks } = message;
    await webhook.send({ text, blocks, unfurl_links: false, unfurl_media: false });
  } catch (error) {
    throw webhookFailure(error, retryAfterMs);
  }
}
