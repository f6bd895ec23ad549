import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { AccessAudit } from "../access/model.ts";
import { OIDC_CALLBACK_PATH, OIDC_PATH } from "../config/oidc.ts";
import type { Config } from "../config.ts";
import { isDatabaseAway } from "../db/away.ts";
import type { ClientAddress, PeerLookup } from "../lib/addresses.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Ending, OidcService, SignInRefusal } from "../oidc/model.ts";
import { requestActor } from "../protocol/actors.ts";
import type { SessionService } from "../sessions/model.ts";
import {
  isSecureWay,
  longPathCookie,
  longPathOf,
  secretOf,
  sessionCookie,
  signInCookie,
  signInSecretOf,
} from "./cookies.ts";
import { PAGE_PATH } from "./page/pack.ts";
import { isPagePath } from "./page/routes.ts";
import * as api from "./schemas.ts";

/** Asked by browsers that are not signed in. */
export const OIDC_PATHS = [OIDC_PATH, OIDC_CALLBACK_PATH];

/** Whether it is where the provider sends people back to. */
export const isOidcCallback = (path: string): boolean => path === OIDC_CALLBACK_PATH;

/** An address of the page with its filters. */
const RETURN_CHARS_MAX = 2_000;
const GROUPS_CHARS_MAX = 500;

/** What the page's sign-in tells: beside the provider's reasons that our own database is away. */
type Shown = SignInRefusal | "unavailable";

export interface OidcRouteDeps {
  oidc: OidcService;
  config: Pick<Config, "publicUrl" | "tls">;
  sessions: Pick<SessionService, "createFor" | "end" | "endHashed" | "hashOf">;
  addressOf: ClientAddress;
  audit: AccessAudit;
  log: Log;
}

/**
 * Signing in at a provider of OpenID Connect. Both are navigations of a browser's window, and lead it on: to the provider, to the
 * page where one wanted to go, or to its sign-in, with the reason why not.
 */
export function oidcRoutes({ oidc, config, sessions, addressOf, audit, log }: OidcRouteDeps) {
  const { everybody } = api.describing("session");

  async function begin(request: Request): Promise<Response> {
    const returnTo = ownPath(new URL(request.url).searchParams.get("return_to"));
    const { headers } = request;
    // The cookie of a session is strict: it does not come along with the answer, which is the provider's doing.
    const session = secretOf(headers);
    const formerSession = session === undefined ? null : sessions.hashOf(session);
    const begun = await oidc.begin({ browser: signInSecretOf(headers), returnTo, formerSession });
    if (!begun.ok) return toSignIn(begun.reason, returnTo);
    const { url, browser, longPath, lifetimeMs } = begun;
    const bounds = [OIDC_PATH, lifetimeMs / 1000, isSecureWay(config, request)] as const;
    const cookies = [signInCookie(browser, ...bounds)];
    if (longPath !== null) cookies.push(longPathCookie(longPath, ...bounds));
    return leadTo(url.href, cookies);
  }

  async function finish(request: Request, address: string): Promise<Response> {
    const { headers, url } = request;
    const { search: query } = new URL(url);
    const ending = await oidc.finish({ browser: signInSecretOf(headers), longPath: longPathOf(headers), query });
    if (ending.ok) return signIn(ending, request, address);
    tellRefused(ending, address);
    return toSignIn(ending.reason, ending.returnTo);
  }

  async function signIn(ending: Ending & { ok: true }, request: Request, address: string): Promise<Response> {
    const { name, role, subject } = ending.person;
    const old = secretOf(request.headers);
    if (old !== undefined) await sessions.end(old);
    if (ending.formerSession !== null) await sessions.endHashed(ending.formerSession);
    const { secret, lifetimeMs } = await sessions.createFor({ name, role });
    log.info({ address, name, role }, "a browser signed in");
    await audit.session("session.started", requestActor("oidc", name, address), { role, subject });
    const cookie = sessionCookie(secret, lifetimeMs / 1000, isSecureWay(config, request));
    return leadTo(ending.returnTo ?? PAGE_PATH, [cookie]);
  }

  /** Who is known and has no role is named, with the groups, so that whoever sets OIDC_ROLES sees what to write there. */
  function tellRefused({ reason, who }: Ending & { ok: false }, address: string): void {
    if (who === undefined) {
      audit.refused({ kind: "session.refused", actor: requestActor("oidc", null, address), data: { reason } });
      return;
    }
    const { name, subject } = who;
    const groups = who.groups.join(", ").slice(0, GROUPS_CHARS_MAX);
    log.warn({ address, name, groups }, "none of somebody's groups has a role (OIDC_ROLES)");
    const data = { reason, route: `GET ${OIDC_CALLBACK_PATH}`, role: "none", needed: "viewer", subject, groups };
    audit.refused({ kind: "access.refused", actor: requestActor("oidc", name, address), data });
  }

  /** A person looks at it: whatever is known to go wrong is said by the page. */
  async function answered(work: Promise<Response>): Promise<Response> {
    try {
      return await work;
    } catch (error) {
      if (!isDatabaseAway(error)) throw error;
      log.warn({ error: errorMessage(error) }, "a sign-in by OpenID Connect found no database");
      return toSignIn("unavailable", null);
    }
  }

  const led = () => api.answers(303, Type.Void());
  return new Elysia({ name: "oidc", normalize: false })
    .get(
      OIDC_PATH,
      ({ request }) => answered(begin(request)),
      everybody(
        "Leads a browser to the provider to sign in, and then to return_to, a path of the page; only with OIDC_ISSUER",
        { query: Type.Object({ return_to: Type.Optional(Type.String({ description: "such as /app/incidents/1" })) }) },
        led(),
      ),
    )
    .get(
      OIDC_CALLBACK_PATH,
      ({ request, server }: { request: Request; server: PeerLookup | null }) =>
        answered(finish(request, addressOf(request, server))),
      everybody("Where the provider leads it back, with a code; sets the session's cookie", {}, led()),
    );
}

/** The path as it is in the page; whatever leads elsewhere is the page's first. */
function ownPath(text: string | null): string {
  const base = "http://page.invalid";
  const url = text === null || text.length > RETURN_CHARS_MAX ? null : URL.parse(text, base);
  return url?.origin === base && isPagePath(url.pathname) ? url.pathname + url.search + url.hash : PAGE_PATH;
}

function toSignIn(reason: Shown, returnTo: string | null): Response {
  const query = new URLSearchParams({ sso: reason, ...(returnTo === null ? {} : { return_to: returnTo }) });
  return leadTo(`${PAGE_PATH}/sign-in?${query}`);
}

/** The address that it comes from has a code in it, which nobody else is to see. */
function leadTo(location: string, cookies: readonly string[] = []): Response {
  const headers = new Headers({ location, "referrer-policy": "no-referrer" });
  for (const cookie of cookies) headers.append("set-cookie", cookie);
  return new Response(null, { status: 303, headers });
}
