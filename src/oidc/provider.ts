import type {
  AuthorizationCodeGrantChecks,
  ClientAuth,
  Configuration,
  CustomFetch,
  TokenEndpointResponse,
  TokenEndpointResponseHelpers,
} from "openid-client";
import type { OidcSettings } from "../config/oidc.ts";
import { createFetch, fetchBounded, type ProxyOf, TooLargeError } from "../lib/bounded-fetch.ts";
import type { Clock } from "../lib/clock.ts";
import { stripControls } from "../lib/controls.ts";
import { errorMessage, OpsPilotError } from "../lib/errors.ts";
import { fieldsOf, isRecord } from "../lib/json.ts";
import { claimAt, hasName } from "./claims.ts";
import type { Claims } from "./model.ts";
import type { SignInProof } from "./seal.ts";

/** Of each call; a sign-in makes three or four. */
const CALL_LIMIT_MS = 8_000;
/** Metadata, keys and claims have some kilobytes; a person in thousands of groups some hundred. */
const ANSWER_BYTES_MAX = 2 ** 20;
/** How far the provider's clock may be from ours. */
const CLOCK_TOLERANCE_S = 60;
/** What the provider says of itself is asked for again after this. */
const METADATA_MS = 3_600_000;
/** Where it could not be asked, whoever comes within this hears the same: strangers do not make us knock again and again. */
const FAILED_MS = 5_000;
const USUAL_SCOPES = ["openid", "profile", "email"];
const GROUPS_SCOPE = "groups";
const WORDS_CHARS_MAX = 300;

/** Why the provider did not prove who somebody is; the message is for the log and holds no secret. */
export class ProviderError extends OpsPilotError<"denied" | "unreachable" | "failed"> {}

type Library = typeof import("openid-client");
type Tokens = TokenEndpointResponse & TokenEndpointResponseHelpers;

/** What was discovered: the library's clients, by the ways in which they prove themselves, and what is asked for. */
interface Client {
  readonly library: Library;
  /** What works, or is tried first, comes first. */
  ways: readonly [Configuration, ...Configuration[]];
  readonly scope: string;
}

export interface ProviderDeps {
  settings: OidcSettings;
  proxyOf: ProxyOf;
  clock: Pick<Clock, "monotonicMs">;
  callLimitMs?: number;
}

/**
 * Makes the client of a provider. Nothing is asked for before the first sign-in: a provider that is away keeps no server from
 * starting. Signatures, issuer, audience, times and nonce of the ID token are checked by the library.
 */
export function createProvider({ settings, proxyOf, clock, callLimitMs = CALL_LIMIT_MS }: ProviderDeps) {
  const send = createFetch(proxyOf);
  const bounded: CustomFetch = async (url, { body, ...init }) => {
    const signal = AbortSignal.timeout(callLimitMs);
    const all = { ...init, body: body as BunFetchRequestInit["body"], signal, keepalive: false };
    try {
      return await fetchBounded(url, all, ANSWER_BYTES_MAX, send);
    } catch (error) {
      throw outageOf(error, new URL(url).host, callLimitMs);
    }
  };
  let known: { client: Promise<Client>; untilMs: number } | undefined;

  /** One at a time asks, whoever waits for it. */
  function discover(): Promise<Client> {
    if (known !== undefined && clock.monotonicMs() < known.untilMs) return known.client;
    const asked = { client: discoverClient(settings, bounded), untilMs: Number.POSITIVE_INFINITY };
    known = asked;
    asked.client.then(
      () => keepFor(asked, METADATA_MS),
      () => keepFor(asked, FAILED_MS),
    );
    return asked.client;
  }

  function keepFor(asked: NonNullable<typeof known>, ms: number): void {
    asked.untilMs = clock.monotonicMs() + ms;
  }

  return {
    /** Whether it can be asked now, and is the one that the settings mean. Throws a ProviderError. */
    async look(): Promise<void> {
      await discover();
    },

    /** Where a browser goes to sign in. Throws a ProviderError. */
    async authorizationUrl(state: string, { nonce, verifier }: SignInProof): Promise<URL> {
      const { library, ways, scope } = await discover();
      const challenge = await library.calculatePKCECodeChallenge(verifier);
      const proof = { state, nonce, code_challenge: challenge, code_challenge_method: "S256" };
      try {
        return library.buildAuthorizationUrl(ways[0], { redirect_uri: settings.redirectUri, scope, ...proof });
      } catch (error) {
        // There is no such endpoint, or it is none to trust.
        throw new ProviderError("failed", wordsOf(errorMessage(error)));
      }
    },

    /** Who somebody is, by the answer that the browser brought. Throws a ProviderError. */
    async redeem(query: string, state: string, { nonce, verifier }: SignInProof): Promise<Claims> {
      const client = await discover();
      const url = new URL(settings.redirectUri + query);
      const checks = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true };
      try {
        const tokens = await redeemCode(client, url, checks);
        const claims = tokens.claims();
        if (claims === undefined) throw new ProviderError("failed", "there is no ID token");
        const [configuration] = client.ways;
        if (isEnough(claims) || !configuration.serverMetadata().userinfo_endpoint) return claims;
        // Many providers keep the ID token short, and tell the rest to who asks with the access token.
        const more = await client.library.fetchUserInfo(configuration, tokens.access_token, claims.sub);
        return { ...more, ...claims };
      } catch (error) {
        throw providerErrorOf(client.library, error);
      }
    },
  };

  function isEnough(claims: Claims): boolean {
    return hasName(claims) && claimAt(claims, settings.groupsClaim) !== undefined;
  }
}

export type Provider = ReturnType<typeof createProvider>;

/** Where nobody signs in by OpenID Connect the library is not loaded. */
async function discoverClient(settings: OidcSettings, customFetch: CustomFetch): Promise<Client> {
  const library = await import("openid-client");
  const url = new URL(settings.issuer);
  // The setting allows plain http on this machine alone.
  const insecure = url.protocol === "http:" ? [library.allowInsecureRequests] : [];
  const options = {
    execute: [...insecure, library.enableNonRepudiationChecks],
    [library.customFetch]: customFetch,
  };
  const metadata = { [library.clockTolerance]: CLOCK_TOLERANCE_S };
  const prepare = (way: ClientAuth) => library.discovery(url, settings.clientId, metadata, way, options);
  try {
    const { first, second } = waysOf(library, settings.clientSecret);
    const preferred = await prepare(first);
    const { token_endpoint_auth_methods_supported: methods, scopes_supported: scopes } = preferred.serverMetadata();
    const others = second === null ? [] : [await prepare(second)];
    const isPost = methods?.includes("client_secret_post") === true && !methods.includes("client_secret_basic");
    const ways: Client["ways"] = isPost && others[0] ? [others[0], preferred] : [preferred, ...others];
    return { library, ways, scope: settings.scopes ?? scopesFor(scopes) };
  } catch (error) {
    throw providerErrorOf(library, error);
  }
}

/** With a secret as the standard has it, and as forms do. */
function waysOf(library: Library, secret: string | null): { first: ClientAuth; second: ClientAuth | null } {
  if (secret === null) return { first: library.None(), second: null };
  return { first: library.ClientSecretBasic(secret), second: library.ClientSecretPost(secret) };
}

/** Some providers refuse what they do not know. */
function scopesFor(known: readonly string[] = []): string {
  return [...USUAL_SCOPES, ...(known.includes(GROUPS_SCOPE) ? [GROUPS_SCOPE] : [])].join(" ");
}

/**
 * Providers say which ways they know, not which of them they want of this client, and some take a secret with certain
 * characters in one way alone. So the next is tried when one is refused, and what worked comes first from then on.
 */
async function redeemCode(client: Client, url: URL, checks: AuthorizationCodeGrantChecks): Promise<Tokens> {
  const { library, ways } = client;
  let refusal: unknown;
  for (const way of ways) {
    try {
      const tokens = await library.authorizationCodeGrant(way, url, { ...checks });
      client.ways = [way, ...ways.filter((one) => one !== way)];
      return tokens;
    } catch (error) {
      if (!isClientRefused(library, error)) throw error;
      refusal = error;
    }
  }
  throw refusal;
}

/** By the body, or by a challenge for another credential. */
function isClientRefused(library: Library, error: unknown): boolean {
  if (error instanceof library.WWWAuthenticateChallengeError) return error.status === 401;
  return error instanceof library.ResponseBodyError && error.error === "invalid_client";
}

const DENIED = /^access_denied$|_required$|^account_selection/;
const FOR_NOW = ["temporarily_unavailable", "server_error"];
const CLIENT_REFUSED = "the provider refuses OIDC_CLIENT_ID or OIDC_CLIENT_SECRET";
const OTHER_ISSUER = "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED";

/** The provider's word, or the library's. What else was thrown is a surprise. */
function providerErrorOf(library: Library, error: unknown): unknown {
  if (error instanceof library.AuthorizationResponseError) {
    const reason = DENIED.test(error.error) ? "denied" : FOR_NOW.includes(error.error) ? "unreachable" : "failed";
    return new ProviderError(reason, wordsOf(error.error, error.error_description));
  }
  if (isClientRefused(library, error)) return new ProviderError("failed", CLIENT_REFUSED);
  if (error instanceof library.ResponseBodyError)
    return new ProviderError("failed", wordsOf(error.error, error.error_description));
  if (error instanceof library.WWWAuthenticateChallengeError)
    return new ProviderError("failed", `the provider answers with status ${error.status}`);
  return error instanceof library.ClientError ? clientErrorOf(error) : error;
}

/** In words of ours: the library passes some errors of a connection on as they are, and those look like our own database's. */
function outageOf(error: unknown, host: string, limitMs: number): ProviderError {
  if (error instanceof TooLargeError) return new ProviderError("failed", `${host}: ${error.message}`);
  const isLate = error instanceof DOMException && error.name === "TimeoutError";
  const words = isLate ? `no answer within ${limitMs / 1000} s` : errorMessage(error);
  return new ProviderError("unreachable", wordsOf(host, words));
}

function clientErrorOf({ message, code, cause }: Error & { code?: string }): ProviderError {
  if (cause instanceof ProviderError) return cause;
  if (code === OTHER_ISSUER && isOtherIssuer(cause)) {
    const name = JSON.stringify(cause.body.issuer);
    return new ProviderError("failed", `the provider calls itself ${name}: OIDC_ISSUER must be exactly that`);
  }
  if (cause instanceof Response)
    return new ProviderError(cause.status < 500 ? "failed" : "unreachable", `${message}: ${cause.status}`);
  return new ProviderError("failed", wordsOf(message, cause instanceof Error ? cause.message : undefined));
}

function isOtherIssuer(cause: unknown): cause is { body: { issuer: unknown } } {
  const { attribute, body } = fieldsOf(cause);
  return attribute === "issuer" && isRecord(body);
}

function wordsOf(...texts: (string | undefined)[]): string {
  return stripControls(texts.filter(Boolean).join(": ")).slice(0, WORDS_CHARS_MAX);
}
