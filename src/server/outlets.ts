import { redact } from "../analysis/redact.ts";
import type { Notifier } from "../announcements/model.ts";
import { proxyOf } from "../config/proxy.ts";
import type { Config, SlackSettings } from "../config.ts";
import type { ProxyOf } from "../lib/bounded-fetch.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { openOutlets } from "../outlets/list.ts";
import { createSlack } from "../slack/slack.ts";
import { createWebhookNotifier } from "../webhook/notifier.ts";

type OutletSettings = Pick<Config, "slack" | "notify" | "webhook" | "proxies" | "publicUrl">;

/**
 * All by which people are told, in the order in which they are asked: Slack, those of NOTIFY, the webhook; and Slack, which hears of presses,
 * too. Nothing is connected yet. Throws a StartupError that says all that is wrong with NOTIFY.
 */
export function createOutlets(config: OutletSettings, { clock, log }: { clock: Clock; log: Log }) {
  const via: ProxyOf = (url) => proxyOf(config.proxies, url);
  const outward = { redact: (text: string) => redact(text), clock, log, proxyOf: via };
  const slackBy = (settings: SlackSettings) => createSlack({ ...outward, settings });
  const webhookBy = (settings: { url: string; secret: string }) => createWebhookNotifier({ ...outward, ...settings });
  const slack = slackBy(config.slack);
  const opened = openOutlets(config.notify, {
    ...outward,
    publicUrl: config.publicUrl,
    createSlack: (settings) => slackBy(settings).notifier,
    createWebhook: webhookBy,
  });
  const all = [slack.notifier, ...opened, config.webhook && webhookBy(config.webhook)];
  const notifiers: Notifier[] = all.filter((one) => one !== null);
  return { slack, notifiers };
}

/** What `createOutlets` makes. */
export type Outlets = ReturnType<typeof createOutlets>;
