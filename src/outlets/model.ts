import type { Notifier } from "../announcements/model.ts";
import type { OutletUrl } from "../config/notify.ts";
import type { SlackSettings } from "../config.ts";
import type { ProxyOf } from "../lib/bounded-fetch.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";

/** What an outlet needs of the server. */
export interface OutletDeps {
  redact(text: string): string;
  clock: Clock;
  log: Log;
  proxyOf: ProxyOf;
  publicUrl: string | null;
  /** Those that have settings of their own, too, by these: null where Slack's name no channel. */
  createSlack(settings: SlackSettings): Notifier | null;
  createWebhook(settings: { url: string; secret: string }): Notifier;
}

/** One way to tell people. */
export interface OutletKind {
  readonly scheme: string;
  /** Said when a URL is wrong: "ntfy://[user:password@]host/topic". */
  readonly form: string;
  /** Those of the URL that the outlet knows; where it is not given, all go to the outlet. */
  readonly params?: readonly string[];
  /** Throws an OutletUrlError that names the part, never its value. */
  open(url: OutletUrl, deps: OutletDeps): Notifier;
}

/** What is wrong with an outlet's URL, without anything of it. */
export class OutletUrlError extends Error {}
