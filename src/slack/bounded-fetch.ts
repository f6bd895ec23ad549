/** A page of a channel's history is the longest answer; what is longer is not held in memory. */
const RESPONSE_BYTES_MAX = 8 * 1024 * 1024;

/** One HTTP exchange as the SDKs ask for it. */
export type SlackFetch = (
  url: string | URL,
  init?: {
    method?: string;
    headers?: Record<string, string>;
    body?: string | FormData;
    redirect?: "error" | "follow" | "manual";
    signal?: AbortSignal;
  },
) => Promise<Response>;

/**
 * A fetch for Slack's SDKs: it follows no redirect, ends when `signal` does, and has read the body when it returns, so
 * that a slow or cut one fails here. `seen` looks at each answer.
 */
export function createSlackFetch(signal: AbortSignal, seen?: (response: Response) => void): SlackFetch {
  return async (url, init = {}) => {
    const signals = init.signal ? [signal, init.signal] : [signal];
    const response = await fetch(url, { ...init, redirect: "manual", signal: AbortSignal.any(signals) });
    seen?.(response);
    const body = await readBounded(response);
    const headers = new Headers(response.headers);
    for (const name of ["content-encoding", "content-length", "transfer-encoding"]) headers.delete(name);
    const hasNoBody = [204, 205, 304].includes(response.status);
    return new Response(hasNoBody ? null : body, { status: response.status, statusText: response.statusText, headers });
  };
}

async function readBounded(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of response.body ?? []) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > RESPONSE_BYTES_MAX) throw new Error(`the answer is longer than ${RESPONSE_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks, sizeBytes));
}
