/** A model's answer has some KB; more is not one, and would be held in memory. */
export const RESPONSE_BYTES_MAX = 1024 * 1024;

/** Asks for one HTTP exchange; `fetch`, or a stand-in for it. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** The answer was longer than RESPONSE_BYTES_MAX. */
export class TooLargeError extends Error {}

/** Nothing else is sent: the SDK adds headers from environment variables, which only `config` may read. */
const SENT_HEADERS = ["accept", "authorization", "content-type", "http-referer", "x-title"];
/** The body is whole and decoded once it was read; these would say otherwise. */
const STALE_HEADERS = ["content-encoding", "content-length", "transfer-encoding"];

/**
 * A fetch for the SDK that follows no redirect, sends only headers that we chose, and has read the body, up to the limit,
 * when it returns: a slow, cut or endless body then fails here, under the same deadline as the rest.
 */
export function createBoundedFetch(
  inner: Fetch,
): (input: string | URL | Request, init?: RequestInit) => Promise<Response> {
  return async (input, init = {}) => {
    const response = await inner(addressOf(input), {
      ...init,
      headers: chosenHeaders(init.headers),
      redirect: "manual",
    });
    const body = await readBounded(response, init.signal ?? undefined);
    const headers = new Headers(response.headers);
    for (const name of STALE_HEADERS) headers.delete(name);
    return new Response(hasNoBody(response.status) ? null : body, { status: response.status, headers });
  };
}

const addressOf = (input: string | URL | Request) => (input instanceof Request ? input.url : String(input));

const hasNoBody = (status: number) => status === 204 || status === 205 || status === 304;

function chosenHeaders(headers: RequestInit["headers"]): Headers {
  const all = new Headers(headers);
  const chosen = new Headers({ "user-agent": "opspilot" });
  for (const name of SENT_HEADERS) {
    const value = all.get(name);
    if (value !== null) chosen.set(name, value);
  }
  return chosen;
}

async function readBounded(response: Response, signal: AbortSignal | undefined): Promise<Uint8Array<ArrayBuffer>> {
  const reader = response.body?.getReader();
  if (reader === undefined) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const { done, value } = await reader.read();
      if (done) break;
      sizeBytes += value.byteLength;
      if (sizeBytes > RESPONSE_BYTES_MAX)
        throw new TooLargeError(`the answer is longer than ${RESPONSE_BYTES_MAX} bytes`);
      chunks.push(value);
    }
  } catch (error) {
    // Nobody waits for the rest; that it cannot be cancelled any more is no news.
    reader.cancel().catch((late: unknown) => late);
    throw error;
  }
  return new Uint8Array(Buffer.concat(chunks, sizeBytes));
}
