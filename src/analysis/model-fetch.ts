import { type Fetch, fetchBounded } from "../lib/bounded-fetch.ts";

/** A model's answer has some KB; more is not one, and would be held in memory. */
const RESPONSE_BYTES_MAX = 1024 * 1024;

/** Nothing else is sent: the SDK adds headers from environment variables, which only `config` may read. */
const SENT_HEADERS = ["accept", "authorization", "content-type", "http-referer", "x-title"];

/** A fetch for the SDK that sends only headers that we chose. */
export function createModelFetch(send?: Fetch) {
  return (url: string | URL | Request, init: RequestInit = {}): Promise<Response> =>
    fetchBounded(url, { ...init, headers: chosenHeaders(init.headers) }, RESPONSE_BYTES_MAX, send);
}

function chosenHeaders(headers: RequestInit["headers"]): Headers {
  const all = new Headers(headers);
  const chosen = new Headers({ "user-agent": "opspilot" });
  for (const name of SENT_HEADERS) {
    const value = all.get(name);
    if (value !== null) chosen.set(name, value);
  }
  return chosen;
}
