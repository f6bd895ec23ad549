/**
 * A webhook as an outlet: each event is one POST of JSON, signed, and tried again until it is taken.
 *
 *   X-OpsPilot-Event      the event's name
 *   X-OpsPilot-Delivery   an id, the same for each try of an announcement
 *   X-OpsPilot-Timestamp  Unix seconds, when it was sent: refuse what is older than five minutes
 *   X-OpsPilot-Signature  v1=<hex>, HMAC-SHA256 with WEBHOOK_SECRET over `<timestamp>.<body>`
 */
import { createHmac } from "node:crypto";
import type { Notifier, View } from "../announcements/model.ts";
import type { Clock } from "../lib/clock.ts";
import { DeliveryError, errorMessage } from "../lib/errors.ts";
import { eventOf, type WebhookEvent } from "./events.ts";

const INTERVAL_MS = 50;
const CALL_LIMIT_MS = 10_000;
const RETRY_AFTER_MS_MAX = 3_600_000;

export interface WebhookDeps {
  url: string;
  secret: string;
  redact: (text: string) => string;
  clock: Clock;
}

/** The webhook. Its receiver knows an announcement again by its delivery's id, so that one may be sent twice. */
export function createWebhookNotifier(deps: WebhookDeps): Notifier {
  const tell = (view: View, isFirst: boolean, signal: AbortSignal) =>
    send(deps, eventOf(view, isFirst, new Date(deps.clock.now()), deps.redact), signal);

  return {
    outlet: "webhook",
    intervalMs: INTERVAL_MS,
    edits: true,
    repeats: false,
    async post(view, signal) {
      await tell(view, true, signal);
      return { externalId: null };
    },
    edit: (_, view, signal) => tell(view, false, signal),
    find: async () => undefined,
    reply: null,
  };
}

/** The signature's header for a body that is sent at `timestamp`. */
export function signatureOf(secret: string, timestamp: string, body: string): string {
  return `v1=${createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex")}`;
}

async function send(deps: WebhookDeps, event: WebhookEvent, signal: AbortSignal): Promise<void> {
  const timestamp = String(Math.floor(deps.clock.now() / 1000));
  const response = await exchange(deps.url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "user-agent": "opspilot",
      "x-opspilot-event": event.name,
      "x-opspilot-delivery": event.delivery,
      "x-opspilot-timestamp": timestamp,
      "x-opspilot-signature": signatureOf(deps.secret, timestamp, event.body),
    },
    body: event.body,
    redirect: "manual",
    signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_LIMIT_MS)]),
  });
  judge(response);
}

/** Whether it came through is not known when this fails, and does not matter: it may come twice. */
async function exchange(url: string, init: RequestInit): Promise<Response> {
  try {
    const response = await fetch(url, init);
    // Its answer is its status; a body, however long, is not read.
    await response.body?.cancel();
    return response;
  } catch (error) {
    throw new DeliveryError("later", `the webhook did not answer: ${errorMessage(error)}`);
  }
}

function judge(response: Response): void {
  const { status } = response;
  if (status >= 200 && status < 300) return;
  const message = `the webhook answered ${status}`;
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    throw new DeliveryError("later", message, retryAfterMs(response.headers.get("retry-after")));
  }
  throw new DeliveryError("never", status >= 300 && status < 400 ? `${message}: redirects are not followed` : message);
}

/** Seconds, as programs say it; a date is not worth a second clock to compare with. */
function retryAfterMs(header: string | null): number | null {
  const seconds = header === null || header.trim() === "" ? Number.NaN : Number(header);
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1000, RETRY_AFTER_MS_MAX) : null;
}
