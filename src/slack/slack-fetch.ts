import { type Fetch, fetchBounded } from "../lib/bounded-fetch.ts";

/** A page of a channel's history is the longest answer; what is longer is not held in memory. */
const RESPONSE_BYTES_MAX = 8 * 1024 * 1024;

/** A fetch for Slack's SDKs that ends when `signal` does. `seen` looks at each answer. */
export function createSlackFetch(signal: AbortSignal, seen?: (response: Response) => void) {
  const send: Fetch = async (url, init) => {
    const response = await fetch(url, init);
    seen?.(response);
    return response;
  };
  return (url: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const signals = init.signal ? [signal, init.signal] : [signal];
    return fetchBounded(url, { ...init, signal: AbortSignal.any(signals) }, RESPONSE_BYTES_MAX, send);
  };
}
