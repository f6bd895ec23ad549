import { isIP } from "node:net";
import { createAddressSet, isAddressOrRange, isLoopbackHost } from "../lib/addresses.ts";
import type { Mistakes } from "./settings.ts";

/** The settings of proxies as text: the server's and the agent's, by the names that other programs know them by, too. */
export interface RawProxies {
  HTTPS_PROXY?: string;
  HTTP_PROXY?: string;
  NO_PROXY?: string;
}

/** Through which proxy which URLs are asked for. */
export interface Proxies {
  readonly https: string | null;
  readonly http: string | null;
  /** As in NO_PROXY. */
  readonly exempt: string;
}

/** Reads them; what is no URL is a mistake. */
export function readProxies(raw: RawProxies, mistakes: Mistakes): Proxies {
  const read = (name: "HTTPS_PROXY" | "HTTP_PROXY") => {
    const text = raw[name] ?? null;
    if (text === null || URL.parse(text) !== null) return text;
    mistakes.add(name, "expected an http or https URL of a proxy");
    return null;
  };
  return { https: read("HTTPS_PROXY"), http: read("HTTP_PROXY"), exempt: raw.NO_PROXY ?? "" };
}

/** The proxy that is to be used for this URL, or null. A loopback address is never asked for by way of a proxy. */
export function proxyOf({ https, http, exempt }: Proxies, url: URL): string | null {
  const isSecure = url.protocol === "wss:" || url.protocol === "https:";
  const proxy = isSecure ? https : http;
  return proxy === null || isLoopbackHost(url.hostname) || isExempt(exempt, url) ? null : proxy;
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
