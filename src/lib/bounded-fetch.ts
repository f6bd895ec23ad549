import { DeliveryError, errorMessage } from "./errors.ts";

/** Asks for one HTTP exchange; `fetch`, or a stand-in for it. */
export type Fetch = (url: string, init: BunFetchRequestInit) => Promise<Response>;

/** The proxy that leads to a URL; null where none is to be asked. */
export type ProxyOf = (url: URL) => string | null;

/** No proxy at all. */
export const direct: ProxyOf = () => null;

/** A fetch by this rule alone. Bun's own goes by the environment's variables, and asks a proxy for loopback addresses, too. */
export function createFetch(proxyOf: ProxyOf): Fetch {
  return (url, init) => fetch(url, { ...init, proxy: proxyOf(new URL(url)) ?? false } as BunFetchRequestInit);
}

/** Codes of failures before anything was sent, of Bun's fetch and of Node's sockets. */
export const NOT_SENT =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ConnectionRefused|FailedToOpenSocket|.*(CERT|SSL|SELF_SIGNED|UNABLE_TO_VERIFY).*)$/;

const REACH_LIMIT_MS = 5_000;
/** What a proxy answers for a host that it does not reach. */
const AWAY_STATUSES = new Set([407, 502, 503, 504]);

/** Whether anything answers at the URL's host: it changes nothing, and carries no secret. Throws a DeliveryError `later` when nothing does. */
export async function reach(who: string, url: string, proxyOf: ProxyOf, signal: AbortSignal): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(REACH_LIMIT_MS)]);
  let status: number;
  try {
    const init = { method: "HEAD", redirect: "manual", signal: limit } as const;
    ({ status } = await createFetch(proxyOf)(new URL("/", url).href, init));
  } catch (error) {
    throw new DeliveryError("later", `${who} is not reached: ${errorMessage(error)}`);
  }
  if (AWAY_STATUSES.has(status)) throw new DeliveryError("later", `${who} is not reached: HTTP status ${status}`);
}

/** A body was longer than the caller takes. */
export class TooLargeError extends Error {}

/** The body is whole and decoded once it was read; these would say otherwise. */
const STALE_HEADERS = ["content-encoding", "content-length", "transfer-encoding"];

/**
 * One exchange that follows no redirect and has read the body, up to the limit, when it returns: a slow, cut or endless body
 * then fails here, under the same signal as the rest.
 */
export async function fetchBounded(
  input: string | URL | Request,
  init: BunFetchRequestInit,
  limitBytes: number,
  send: Fetch = createFetch(direct),
): Promise<Response> {
  const url = input instanceof Request ? input.url : String(input);
  const response = await send(url, { ...init, redirect: "manual" });
  const body = await readBounded(response, limitBytes, init.signal ?? undefined);
  const { status, statusText } = response;
  const headers = new Headers(response.headers);
  for (const name of STALE_HEADERS) headers.delete(name);
  const hasNoBody = status === 204 || status === 205 || status === 304;
  return new Response(hasNoBody ? null : body, { status, statusText, headers });
}

/** An answer's whole body; throws a TooLargeError when it is longer. */
export async function readBounded(
  { body }: Response,
  limitBytes: number,
  signal?: AbortSignal,
): Promise<Buffer<ArrayBuffer>> {
  const reader = body?.getReader();
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    while (reader !== undefined) {
      signal?.throwIfAborted();
      const { done, value } = await reader.read();
      if (done) break;
      sizeBytes += value.byteLength;
      if (sizeBytes > limitBytes) throw new TooLargeError(`the answer is longer than ${limitBytes} bytes`);
      chunks.push(value);
    }
  } catch (error) {
    // Nobody waits for the rest; that it cannot be cancelled any more is no news.
    reader?.cancel().catch((late: unknown) => late);
    throw error;
  }
  return Buffer.concat(chunks, sizeBytes);
}
