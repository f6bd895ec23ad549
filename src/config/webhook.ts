import type { Mistakes } from "./mistakes.ts";
import { type RawSettings, SERVER_SETTINGS } from "./settings.ts";

/** Where events are sent, and what they are signed with. */
export interface WebhookSettings {
  readonly url: string;
  readonly secret: string;
}

/** The webhook's settings; null without one. A receiver that cannot tell who sends is of no use: the secret is needed. */
export function readWebhook(raw: RawSettings, mistakes: Mistakes): WebhookSettings | null {
  const text = raw.WEBHOOK_URL;
  const secret = raw.WEBHOOK_SECRET;
  const isUrlMissing = text === undefined && !mistakes.concern("WEBHOOK_URL");
  if (isUrlMissing && secret !== undefined) mistakes.add("WEBHOOK_URL", "is needed by WEBHOOK_SECRET");
  if (text === undefined) return null;
  const url = webhookOf(text);
  if (url === undefined) mistakes.add("WEBHOOK_URL", SERVER_SETTINGS.complaint("WEBHOOK_URL", text));
  if (secret === undefined && !mistakes.concern("WEBHOOK_SECRET")) {
    mistakes.add(
      "WEBHOOK_SECRET",
      "is needed by WEBHOOK_URL: 16 characters or more, such as the output of `openssl rand -hex 24`",
    );
  }
  return url === undefined || secret === undefined ? null : { url, secret };
}

/** A query may hold the receiver's own key; a password in the URL is not sent by fetch. */
function webhookOf(text: string): string | undefined {
  const url = URL.parse(text);
  return url && url.username + url.password + url.hash === "" ? url.href : undefined;
}
