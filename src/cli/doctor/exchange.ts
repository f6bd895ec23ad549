import { fetchBounded } from "../../lib/bounded-fetch.ts";
import { errorMessage } from "../../lib/errors.ts";

/** A list of all models has some hundred KB. */
const BODY_BYTES_MAX = 8 * 2 ** 20;

/** What a service answered, or why there is no answer. */
export type Exchange =
  | { readonly ok: true; readonly status: number; readonly body: string; readonly skewS: number | null }
  | { readonly ok: false; readonly why: string };

/** One GET: no redirect is followed, and a body that is too long is no answer. `skewS`: how far the service's clock is ahead of ours. */
export async function get(
  url: string,
  options: { headers?: Record<string, string>; limitMs: number; ownCertificate?: boolean },
): Promise<Exchange> {
  const { headers = {}, limitMs, ownCertificate } = options;
  try {
    const init = {
      headers: { "user-agent": "opspilot", ...headers },
      keepalive: false,
      signal: AbortSignal.timeout(limitMs),
      ...(ownCertificate ? { tls: { rejectUnauthorized: false } } : {}),
    };
    const response = await fetchBounded(url, init, BODY_BYTES_MAX);
    const skewS = skewOf(response.headers.get("date"));
    return { ok: true, status: response.status, body: await response.text(), skewS };
  } catch (error) {
    return { ok: false, why: errorMessage(error) };
  }
}

/** The header has whole seconds. */
function skewOf(date: string | null): number | null {
  const serviceMs = Date.parse(date ?? "");
  return Number.isNaN(serviceMs) ? null : (serviceMs + 500 - Date.now()) / 1000;
}
