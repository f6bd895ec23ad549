import type { Notifier } from "../announcements/model.ts";
import type { ProxyOf } from "../lib/bounded-fetch.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";

/** A line of NOTIFY, taken apart. Nothing of it may reach a log but `name` and `scheme`. */
export interface OutletUrl {
  name: string;
  scheme: string;
  user: string;
  password: string;
  host: string;
  port: number | null;
  segments: string[];
  params: URLSearchParams;
}

/** What an outlet needs of the server. */
export interface OutletDeps {
  redact(text: string): string;
  clock: Clock;
  log: Log;
  proxyOf: ProxyOf;
  publicUrl: string | null;
}

/** One way to tell people. */
export interface OutletKind {
  readonly scheme: string;
  /** Said when a URL is wrong: "ntfy://[user:password@]host/topic". */
  readonly form: string;
  /** Throws an OutletUrlError that names the part, never its value. */
  open(url: OutletUrl, deps: OutletDeps): Notifier;
}

/** What is wrong with an outlet's URL, without anything of it. */
export class OutletUrlError extends Error {}
