import { isIP } from "node:net";
import { createAddressSet, isAddressOrRange, isLoopbackHost } from "../lib/addresses.ts";
import type { RawAgentSettings } from "./agent-settings.ts";

/**
 * The proxy that is to be used for this URL, or null: by the variables that most programs know. A loopback address is
 * never asked for by way of a proxy.
 */
export function proxyOf(raw: RawAgentSettings, url: URL): string | null {
  const isSecure = url.protocol === "wss:" || url.protocol === "https:";
  const proxy = isSecure ? (raw.HTTPS_PROXY ?? raw.https_proxy) : (raw.HTTP_PROXY ?? raw.http_proxy);
  if (proxy === undefined || isLoopbackHost(url.hostname)) return null;
  return isExempt(raw.NO_PROXY ?? raw.no_proxy ?? "", url) ? null : proxy;
}

/** Entries of NO_PROXY: `*`, a host with all below it (`example.com`, `.example.com`, `*.example.com`), an address or a range; each with a port or without. */
function isExempt(noProxy: string, url: URL): boolean {
  const host = url.hostname.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  const port = url.port || (url.protocol === "wss:" || url.protocol === "https:" ? "443" : "80");
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== "")
    .some((entry) => covers(entry, host, port));
}

function covers(entry: string, host: string, port: string): boolean {
  if (entry === "*") return true;
  if (isAddressOrRange(entry)) return isIP(host) !== 0 && createAddressSet([entry]).has(host);
  const [, name = "", entryPort] = /^(?:\*?\.)?\[?(.+?)\]?(?::(\d+))?$/.exec(entry) ?? [];
  if (entryPort !== undefined && entryPort !== port) return false;
  return host === name || host.endsWith(`.${name}`);
}
