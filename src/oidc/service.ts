import type { OidcSettings } from "../config/oidc.ts";
import type { Clock } from "../lib/clock.ts";
import { sha256Hex } from "../lib/hash.ts";
import type { Log } from "../lib/log.ts";
import { claimAt, groupsIn, nameOf, roleOf } from "./claims.ts";
import type { Answer, Beginning, Claims, Ending, OidcService, Wanted } from "./model.ts";
import { type Provider, ProviderError } from "./provider.ts";
import type { OpenSignIn, Seal } from "./seal.ts";
import type { OidcStore } from "./store.ts";

/** Time for a password, a second factor, and a call to whoever knows them. */
const LIFETIME_MS = 600_000;
/** Some providers take no state of more than 255 characters, which this leaves within that. */
const STATE_PATH_CHARS_MAX = 96;
const SECRET_BYTES = 32;
const SECRET = /^[A-Za-z0-9_-]{43}$/;
/** A code and a state; some providers' codes have kilobytes. */
const QUERY_CHARS_MAX = 16_384;
/** Strangers keep no more calls to the provider, and no more statements, under way. */
const AT_ONCE_MAX = 50;
/** The same failure is one line of the log in this time. */
const REPEAT_MS = 60_000;

export interface OidcDeps {
  settings: OidcSettings;
  provider: Provider;
  store: OidcStore;
  seal: Seal;
  /** Names, in capitals, that mean something else here. */
  reservedNames: readonly string[];
  clock: Pick<Clock, "monotonicMs" | "now">;
  log: Log;
}

/**
 * Makes the sign-in by OpenID Connect of this node. Strangers can begin as many as they like: what a sign-in needs until its answer
 * comes is sealed into its state, which any node can open, and nothing is kept. An answer is taken only from the browser that
 * began, which has a cookie for that, and once: then there is a row, until its time would be over.
 */
export function createOidc({ settings, provider, store, seal, reservedNames, clock, log }: OidcDeps): OidcService {
  let under = 0;
  let logged = { message: "", untilMs: 0 };

  async function begin({ returnTo, formerSession, ...wanted }: Wanted): Promise<Beginning> {
    const browser = wanted.browser !== undefined && SECRET.test(wanted.browser) ? wanted.browser : newSecret();
    const isLong = returnTo.length > STATE_PATH_CHARS_MAX;
    const endsMs = clock.now() + LIFETIME_MS;
    const way = isLong ? { digest: digestOf(returnTo) } : { path: returnTo };
    const state = seal.seal({ endsMs, formerSession, returnTo: way }, browser);
    try {
      const url = await provider.authorizationUrl(state, seal.proofOf(state, browser));
      return { ok: true, url, browser, longPath: isLong ? returnTo : null, lifetimeMs: LIFETIME_MS };
    } catch (error) {
      const reason = told(error);
      return { ok: false, reason: reason === "denied" ? "failed" : reason };
    }
  }

  async function finish({ browser, longPath, query }: Answer): Promise<Ending> {
    const state = query.length > QUERY_CHARS_MAX ? null : new URLSearchParams(query).get("state");
    const signIn = browser && state ? seal.open(state, browser) : undefined;
    if (!browser || !state || !signIn) return { ok: false, reason: "expired", returnTo: null };
    const returnTo = pathOf(signIn, longPath);
    try {
      const isFirst = await bounded(() => store.take(sha256Hex(state), signIn.endsMs));
      if (!isFirst) return { ok: false, reason: "expired", returnTo };
      const claims = await bounded(() => provider.redeem(query, state, seal.proofOf(state, browser)));
      return judge(claims, returnTo, signIn.formerSession);
    } catch (error) {
      return { ok: false, reason: told(error), returnTo };
    }
  }

  /** Nobody has to be known for any of this: neither database nor provider is asked without a bound. */
  async function bounded<T>(work: () => Promise<T>): Promise<T> {
    if (under >= AT_ONCE_MAX) throw new ProviderError("unreachable", "too many sign-ins are under way at once");
    under++;
    try {
      return await work();
    } finally {
      under--;
    }
  }

  function judge(claims: Claims, returnTo: string | null, formerSession: string | null): Ending {
    const groups = groupsIn(claimAt(claims, settings.groupsClaim));
    const who = { name: nameOf(claims, reservedNames), subject: claims.sub };
    const role = roleOf(groups, settings.roles);
    if (role === undefined) return { ok: false, reason: "no_role", returnTo, who: { ...who, groups } };
    return { ok: true, person: { ...who, role }, returnTo, formerSession };
  }

  /** The reason for people; the log has the words, and the same ones once in a while: strangers can cause them. */
  function told(error: unknown): ProviderError["reason"] {
    if (!(error instanceof ProviderError)) throw error;
    const { reason, message } = error;
    const nowMs = clock.monotonicMs();
    if (message === logged.message && nowMs < logged.untilMs) return reason;
    logged = { message, untilMs: nowMs + REPEAT_MS };
    log.warn({ reason, error: message }, "a sign-in by OpenID Connect failed");
    return reason;
  }

  return { name: settings.name, url: settings.url, begin, finish };
}

/** Of several windows with long paths the browser keeps the last one's: the others' is not known then. */
function pathOf({ returnTo }: OpenSignIn, longPath: string | undefined): string | null {
  if ("path" in returnTo) return returnTo.path;
  return longPath !== undefined && digestOf(longPath) === returnTo.digest ? longPath : null;
}

/** 128 bits are enough to know one's own path again. */
function digestOf(path: string): string {
  return sha256Hex(path).slice(0, 32);
}

/** 256 random bits; of PKCE's alphabet and length, too. */
function newSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}
