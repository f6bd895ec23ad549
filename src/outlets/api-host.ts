import type { OutletUrl } from "../config/notify.ts";
import { isMetadataHost } from "../lib/addresses.ts";
import { OutletUrlError } from "./model.ts";

/** Where a service's API is, for one whose URLs need name no host. */
export interface ApiAddress {
  /** Without a slash at its end. */
  base: string;
  /** What of the URL comes after the host: the key first. */
  rest: readonly string[];
}

/**
 * A hosted service's URL names its key, and a host before it only where that is another one (`scheme://host/key`, for a proxy or a
 * stand-in): a key has no dot. `?scheme=http` calls that host without TLS.
 */
export function apiAddressOf(url: OutletUrl, hosts: Readonly<Record<string, string>>): ApiAddress {
  const { host, port, segments } = url;
  if (isHostName(host)) {
    return { base: `${schemeOf(url)}://${host}${port === null ? "" : `:${port}`}`, rest: segments };
  }
  const region = url.params.get("region") ?? "us";
  const base = Object.hasOwn(hosts, region) ? hosts[region] : undefined;
  if (base === undefined) throw new OutletUrlError(`region must be one of ${Object.keys(hosts).join(", ")}`);
  return { base: `https://${base}`, rest: [host, ...segments] };
}

const isHostName = (host: string) => host.includes(".") || host.startsWith("[") || host === "localhost";

/** How a host is called: with TLS, unless the URL says otherwise. */
export function schemeOf({ params }: OutletUrl): "http" | "https" {
  const scheme = params.get("scheme") ?? "https";
  if (scheme !== "http" && scheme !== "https") throw new OutletUrlError("scheme must be http or https");
  return scheme;
}

/** A parameter that is on or off. */
export function flagOf({ params }: OutletUrl, name: string): boolean {
  const value = params.get(name) ?? "no";
  if (/^(yes|true|on|1)$/i.test(value)) return true;
  if (/^(no|false|off|0)$/i.test(value)) return false;
  throw new OutletUrlError(`${name} must be yes or no`);
}

/** The part of the URL, which must be there and be made of these characters. */
export function neededPart(value: string | undefined, what: string, pattern: RegExp): string {
  if (value === undefined || value === "") throw new OutletUrlError(`${what} is missing`);
  if (!pattern.test(value)) throw new OutletUrlError(`${what} is malformed`);
  return value;
}

/** A host of one's own, as the URL names it: without a slash at its end. */
export function ownBase(url: OutletUrl): string {
  const host = neededPart(url.host, "the host", /^\S+$/);
  return `${schemeOf(url)}://${host}${url.port === null ? "" : `:${url.port}`}`;
}

/** Where a hosted service is: `?api=host[:port]` names a proxy, or a stand-in, in its place. */
export function hostedBase(url: OutletUrl, host: string): string {
  const base = `${schemeOf(url)}://${neededPart(url.params.get("api") ?? host, "api", /^[A-Za-z0-9.:-]+$/)}`;
  if (isMetadataHost(URL.parse(base)?.hostname ?? "")) throw new OutletUrlError("api is a link-local address");
  return base;
}

/** What a URL may say of a host of one's own. */
export const OWN_PARAMS = ["scheme"] as const;
/** The same of a hosted service. */
export const HOSTED_PARAMS = ["scheme", "api"] as const;
