import type { AccessAudit, Identity } from "../access/model.ts";
import type { Config } from "../config.ts";
import { type ActorOf, type ClientAddress, isLoopbackHost, type PeerLookup } from "../lib/addresses.ts";
import { requestActor } from "../protocol/actors.ts";
import { isEnough, type Role, type RouteRole } from "../protocol/roles.ts";
import type { Credentials } from "./credentials.ts";
import { isDownloadPath } from "./downloads/routes.ts";
import type { Route } from "./errors.ts";
import { isIntakePath } from "./intake.ts";
import { isOidcCallback, OIDC_PATHS } from "./oidc.ts";
import { isPagePath } from "./page/routes.ts";
import { checkBody, HttpProblem } from "./problems.ts";
import { neededRole } from "./roles.ts";
import { SESSION_PATH } from "./session.ts";
import { isSlackCallback } from "./slack.ts";

/** Under open access everybody who gets here is this. */
const ANYBODY: Identity = { role: "admin", name: null, tokenId: null, way: "api" };

/** Whether a request may go on, and as whom; nobody in particular where the path is for everybody. */
export type Admission = { ok: true; identity: Identity | undefined } | { ok: false; problem: HttpProblem };

/**
 * Who may come in, in one place, asked once for every request and upgrade before a route is looked for: a route that
 * somebody adds is closed until it is named as public. What who came in may do there is `createAuthorization`'s.
 */
export function createAccessCheck(
  config: Pick<Config, "access" | "publicUrl">,
  credentials: Pick<Credentials, "judge">,
) {
  const checkPage = createPageRules(config);

  async function admit(request: Request, path: string, address: string): Promise<Admission> {
    if (config.access.mode === "open") return { ok: true, identity: ANYBODY };
    return isPublic(path) ? { ok: true, identity: undefined } : credentials.judge(request, address);
  }

  return async (request: Request, address: string): Promise<Admission> => {
    const path = pathOf(request.url);
    if (path === undefined) return refused(new HttpProblem(400, "bad_host", "the Host header is missing or malformed"));
    // Slack's servers call by whatever name and proxy leads here, with a form; their signature says more than these rules.
    if (isSlackCallback(request.method, path)) return { ok: true, identity: undefined };
    const foreign = checkPage(request, path);
    if (foreign) return refused(foreign);
    const admission = await admit(request, path, address);
    const unreadable = admission.ok && !isIntakePath(path) ? checkBody(request) : undefined;
    return unreadable ? refused(unreadable) : admission;
  };
}

const refused = (problem: HttpProblem): Admission => ({ ok: false, problem });

/**
 * What who came in may do: the route that was found names the role that it needs, and one that names none needs the highest. Also who
 * that is, for whatever keeps it.
 */
export function createAuthorization(deps: {
  routes: () => readonly Route[];
  addressOf: ClientAddress;
  audit: Pick<AccessAudit, "refused">;
}) {
  const identities = new WeakMap<Request, Identity>();
  /** By method and path, of routes alone. */
  const needs = new Map<string, RouteRole>();

  function need(request: Request, path: string): RouteRole {
    const key = `${request.method} ${path}`;
    const known = needs.get(key) ?? neededRole(deps.routes(), request, path);
    needs.set(key, known);
    return known;
  }

  const actorOf: ActorOf = (request, server) => {
    const { way, name } = identities.get(request) ?? ANYBODY;
    return requestActor(way, name, deps.addressOf(request, server));
  };

  /** Throws the refusal where who sends the request may not do what needs this role; `route` says in the audit trail what that is. */
  function demand(request: Request, server: PeerLookup | null, needed: RouteRole, route: string): void {
    const role = identities.get(request)?.role;
    if (needed === "everybody" || (role !== undefined && isEnough(role, needed))) return;
    const data = { route, role: role ?? "none", needed };
    deps.audit.refused({ kind: "access.refused", actor: actorOf(request, server), data });
    throw new HttpProblem(403, "role_too_low", `this needs the role ${needed}; the credential has the role ${role}`);
  }

  return {
    admit: (request: Request, identity: Identity): void => void identities.set(request, identity),
    actorOf,
    /** The role of who came in; undefined where nobody was let in by a credential. */
    roleOf: (request: Request): Role | undefined => identities.get(request)?.role,
    /** Throws the refusal. `path` is the route's, with its parameters' names. */
    authorize(request: Request, server: PeerLookup | null, path: string): void {
      demand(request, server, need(request, path), `${request.method} ${path.replace(/(.)\/$/, "$1")}`);
    },
    demand,
  };
}

/** The path as the router sees it. Bun leaves the server's part of the URL out where the Host header does not make one. */
export function pathOf(url: string): string | undefined {
  return /^https?:\/\/[^/?#]+(\/[^?#]*)/.exec(url)?.[1];
}

/** Served to everybody; the stream has credentials of its own, the agents' tokens, and so has what integrations send. */
const PUBLIC_PATHS = ["/", "/healthz", "/readyz", SESSION_PATH, ...OIDC_PATHS, "/v1/stream"];

const isPublic = (path: string) =>
  PUBLIC_PATHS.includes(path) || isPagePath(path) || isDownloadPath(path) || isIntakePath(path);

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
    if (isNavigation(request) && (isLinkable(path) || isOidcAnswer(request, path))) return undefined;
    return new HttpProblem(403, "foreign_origin", "web pages of other sites may not use this server");
  }

  return (request: Request, path: string): HttpProblem | undefined =>
    checkHost(request.headers, path) ??
    checkProxy(request.headers) ??
    checkOrigin(request.headers) ??
    checkSite(request, path);
}

const isNavigation = ({ method, headers }: Request) => method === "GET" && headers.get("sec-fetch-mode") === "navigate";

/** The provider sends a person back by a redirect of the whole window; it counts only with that browser's own cookie. */
function isOidcAnswer({ headers }: Request, path: string): boolean {
  return isOidcCallback(path) && (headers.get("sec-fetch-dest") ?? "document") === "document";
}

function isProxyHeader(name: string): boolean {
  return PROXY_HEADERS.includes(name) || name.startsWith(PROXY_HEADER_PREFIX);
}
