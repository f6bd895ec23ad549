import type { ServerAddress } from "../config/agent.ts";
import { errorMessage } from "../lib/errors.ts";

/** What Bun's clients, of WebSocket and of HTTP alike, are to be told about the way to the server. */
export function networkOptions({ ca, proxy }: ServerAddress): Record<string, unknown> {
  const tls = ca === null ? {} : { tls: { ca } };
  if (proxy === null) return tls;
  return { ...tls, proxy: { url: proxy, ...(proxy.startsWith("https:") ? tls : {}) } };
}

const UNTRUSTED = "set OPSPILOT_CA to the PEM file of the authority that signed it";
const CLOCK = "is the clock of this host right?";

/** What a person can do about it. */
const ADVICE: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  CERT_NOT_YET_VALID: CLOCK,
  CERT_HAS_EXPIRED: CLOCK,
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "its name is not known",
};

/** Why a connection could not be made, for a person: what Bun says, without the URL, and what can be done about it. */
export function reasonOf(message: string, error: unknown): string {
  const text = (message || errorMessage(error ?? "")).replace(/^WebSocket connection to '[^']*' failed: /, "");
  const status = /^Expected 101 status code: (\d{3})/.exec(text)?.[1];
  if (status !== undefined) return describeStatus(Number(status));
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const advice = ADVICE[code];
  const what = code === "" || text.includes(code) ? text : `${text} (${code})`;
  return advice === undefined ? what : `${what}: ${advice}`;
}

/** What stands between answered instead of the server, or the server instead of its stream. */
function describeStatus(status: number): string {
  if (status === 404) return "it answered 404: is there an OpsPilot server at this URL?";
  if (status >= 500) return `it answered ${status}: is the server behind the proxy or balancer running?`;
  if (status >= 300 && status < 400)
    return `it answered ${status}, which is not followed: set the URL that it points to`;
  return `it answered ${status} instead of opening the stream`;
}
