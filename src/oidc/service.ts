import type { OidcSettings } from "../config/oidc.ts";
import type { Clock } from "../lib/clock.ts";
import { sha256Hex } from "../lib/hash.ts";
import type { Log } from "../lib/log.ts";
import { claimAt, groupsIn, nameOf, roleOf } from "./claims.ts";
import type { Beginning, Claims, Ending, OidcService } from "./model.ts";
import { type Provider, ProviderError } from "./provider.ts";
import type { OidcStore } from "./store.ts";

/** Time for a password, a second factor, and a call to whoever knows them. */
const LIFETIME_MS = 600_000;
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
  /** Names, in capitals, that mean something else here. */
  reservedNames: readonly string[];
  clock: Pick<Clock, "monotonicMs">;
  log: Log;
}

/**
 * Makes the sign-in by OpenID Connect of this node. What a sign-in needs until its answer comes is a row, so that any node can
 * take the answer, once; and it is taken only from the browser that began it, which has a cookie for that.
 */
export function createOidc({ settings, provider, store, reservedNames, clock, log }: OidcDeps): OidcService {
  let under = 0;
  let logged = { message: "", untilMs: 0 };

  async function begin(wanted: { browser: string | undefined; returnTo: string }): Promise<Beginning> {
    const { returnTo } = wanted;
    const browser = wanted.browser !== undefined && SECRET.test(wanted.browser) ? wanted.browser : newSecret();
    const state = newSecret();
    const signIn = { nonce: newSecret(), verifier: newSecret(), returnTo };
    try {
      const url = await provider.authorizationUrl(state, signIn);
      await bounded(() => store.begin(keysOf(state, browser), signIn, LIFETIME_MS));
      return { ok: true, url, browser, lifetimeMs: LIFETIME_MS };
    } catch (error) {
      const reason = told(error);
      return { ok: false, reason: reason === "denied" ? "failed" : reason };
    }
  }

  async function finish({ browser, query }: { browser: string | undefined; query: string }): Promise<Ending> {
    const state = query.length > QUERY_CHARS_MAX ? null : new URLSearchParams(query).get("state");
    let returnTo: string | null = null;
    try {
      const signIn = browser && state ? await bounded(() => store.take(keysOf(state, browser))) : undefined;
      if (!signIn || state === null) return { ok: false, reason: "expired", returnTo };
      returnTo = signIn.returnTo;
      return judge(await bounded(() => provider.redeem(query, state, signIn)), signIn.returnTo);
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

  function judge(claims: Claims, returnTo: string): Ending {
    const groups = groupsIn(claimAt(claims, settings.groupsClaim));
    const who = { name: nameOf(claims, reservedNames), subject: claims.sub };
    const role = roleOf(groups, settings.roles);
    if (role === undefined) return { ok: false, reason: "no_role", returnTo, who: { ...who, groups } };
    return { ok: true, person: { ...who, role }, returnTo };
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

function keysOf(state: string, browser: string): { stateHash: string; browserHash: string } {
  return { stateHash: sha256Hex(state), browserHash: sha256Hex(browser) };
}

/** 256 random bits; of PKCE's alphabet and length, too. */
function newSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}
