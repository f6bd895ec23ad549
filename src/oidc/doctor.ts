import type { OidcSettings } from "../config/oidc.ts";
import type { ProxyOf } from "../lib/bounded-fetch.ts";
import { createSystemClock } from "../lib/clock.ts";
import { broken, type Finding, fine } from "../lib/finding.ts";
import { createProvider, ProviderError } from "./provider.ts";

/** What this part is called where parts are listed. */
export const OIDC_PART = "single sign-on";

/** Whether the provider can be reached and is the one that is meant: what it says of itself is asked for, nothing else. */
export async function checkOidc(settings: OidcSettings | null, proxyOf: ProxyOf): Promise<Finding | undefined> {
  if (settings === null) return undefined;
  const { host } = new URL(settings.issuer);
  try {
    await createProvider({ settings, proxyOf, clock: createSystemClock() }).look();
    return fine(OIDC_PART, `${host} answers; it has to know ${settings.redirectUri} as a redirect URI`);
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    const todo =
      "check OIDC_ISSUER, the network, DNS, the firewall and the proxy; until then people sign in with tokens";
    return broken(OIDC_PART, `the provider cannot be used: ${error.message}`, todo);
  }
}
