import type { Config } from "../config.ts";
import { isLoopbackHost } from "../lib/addresses.ts";
import type { Credentials } from "./credentials.ts";
import { isPagePath } from "./page/routes.ts";
import { checkBody, HttpProblem } from "./problems.ts";
import { SESSION_PATH } from "./session.ts";
import { isSlackCallback } from "./slack.ts";

/**
 * Who may do what, in one place, asked once for every request and upgrade before a route is looked for: a route that
 * somebody adds is closed until it is named as public. Says what keeps a request out.
 */
export function createAccessCheck(
  config: Pick<Config, "access" | "publicUrl">,
  credentials: Pick<Credentials, "judge">,
) {
  const checkPage = createPageRules(config);

  async function checkCredential(request: Request, path: string, address: string): Promise<HttpProblem | undefined> {
    if (config.access.mode === "open" || isPublic(path)) return undefined;
    return credentials.judge(request, address);
  }

  return async (request: Request, address: string): Promise<HttpProblem | undefined> => {
    const path = pathOf(request.url);
    if (path === undefined) return new HttpProblem(400, "bad_host", "the Host header is missing or malformed");
    // Slack's servers call by whatever name and proxy leads here, with a form; their signature says more than these rules.
    if (isSlackCallback(request.method, path)) return undefined;
    return checkPage(request, path) ?? (await checkCredential(request, path, address)) ?? checkBody(request);
  };
}

/** The path as the router sees it. Bun leaves the server's part of the URL out where the Host header does not make one. */
export function pathOf(url: string): string | undefined {
  return /^https?:\/\/[^/?#]+(\/[^?#]*)/.exec(url)?.[1];
}

/** Served to everybody; the stream has credentials of its own, the agents' tokens. */
const PUBLIC_PATHS = ["/", "/healthz", "/readyz", SESSION_PATH, "/v1/stream"];

const isPublic = (path: string) => PUBLIC_PATHS.includes(path) || isPagePath(path);

const HOST_HEADER = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?$/i;
const PROXY_HEADERS = ["forwarded", "x-real-ip", "via", "cf-connecting-ip"];
const PROXY_HEADER_PREFIX = "x-forwarded-";

/** A load balancer asks these by whatever name or address it has for the server. */
const ANY_HOST_PATHS = ["/healthz", "/readyz"];
/** Where a link on another site may lead a person: what answers there is the same for everybody. */
const isLinkable = (path: string) => path === "/" || isPagePath(path);

/**
 * Rules that need no credential: they keep web pages of other sites, names that were bound to this machine by others (DNS
 * rebinding), and proxies before an open server out. Programs that are no browsers send none of these headers, and pass.
 */
function createPageRules({ access, publicUrl }: Pick<Config, "access" | "publicUrl">) {
  const publicPage = publicUrl === null ? undefined : new URL(publicUrl);
  const isOpen = access.mode === "open";
  const publicHost = access.explicit ? publicPage?.hostname : undefined;

  function checkHost(headers: Headers, path: string): HttpProblem | undefined {
    const header = headers.get("host");
    if (header === null) return undefined;
    const host = HOST_HEADER.exec(header)?.[1];
    if (host === undefined) return new HttpProblem(400, "bad_host", "the Host header is malformed");
    if (!isOpen || ANY_HOST_PATHS.includes(path)) return undefined;
    if (isLoopbackHost(host) || host.toLowerCase() === publicHost) return undefined;
    const detail = "open access is for requests to localhost alone; set ADMIN_TOKEN, or ACCESS=open and PUBLIC_URL";
    return new HttpProblem(403, "foreign_host", detail);
  }

  function checkProxy(headers: Headers): HttpProblem | undefined {
    if (!isOpen || access.explicit || ![...headers.keys()].some(isProxyHeader)) return undefined;
    const detail = "the server is open to this machine alone, and this came through a proxy; set ADMIN_TOKEN";
    return new HttpProblem(403, "proxied_open_access", detail);
  }

  function checkOrigin(headers: Headers): HttpProblem | undefined {
    const origin = headers.get("origin");
    if (origin === null || isOwn(origin, headers.get("host"))) return undefined;
    return new HttpProblem(403, "foreign_origin", "web pages of other sites may not use this server");
  }

  function isOwn(origin: string, host: string | null): boolean {
    const page = URL.parse(origin);
    if (!page || (page.protocol !== "http:" && page.protocol !== "https:")) return false;
    // Through URL, so that a port that goes without saying is left out on both sides.
    const own = host === null ? null : URL.parse(`${page.protocol}//${host}`);
    return page.origin === publicPage?.origin || page.host === own?.host;
  }

  function checkSite(request: Request, path: string): HttpProblem | undefined {
    const site = request.headers.get("sec-fetch-site");
    if (site === null || site === "same-origin" || site === "none") return undefined;
    const isNavigation = request.method === "GET" && request.headers.get("sec-fetch-mode") === "navigate";
    if (isNavigation && isLinkable(path)) return undefined;
    return new HttpProblem(403, "foreign_origin", "web pages of other sites may not use this server");
  }

  return (request: Request, path: string): HttpProblem | undefined =>
    checkHost(request.headers, path) ??
    checkProxy(request.headers) ??
    checkOrigin(request.headers) ??
    checkSite(request, path);
}

function isProxyHeader(name: string): boolean {
  return PROXY_HEADERS.includes(name) || name.startsWith(PROXY_HEADER_PREFIX);
}
