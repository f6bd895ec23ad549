import { promisify } from "node:util";
import { gzip } from "node:zlib";

/** Shorter answers fit into a packet or two as they are. */
const BYTES_MIN = 1_024;
/** Longer ones are compressed beside the event loop. */
const SYNC_BYTES_MAX = 32 * 1_024;
/** Half the time of the usual 6, and JSON is hardly longer by it. */
const LEVEL = 4;

const gzipBeside = promisify(gzip);

/** What Elysia is about to answer with. */
interface Answer {
  headers: Record<string, unknown>;
  status?: number | string;
}

/**
 * JSON and text, compressed for a client that takes gzip; undefined leaves the answer as it is. A Response is its route's own: a
 * stream of events is never held back.
 */
export async function compress(value: unknown, request: Request, set: Answer): Promise<Response | undefined> {
  const isJson = typeof value === "object" && value !== null && !(value instanceof Response);
  if (!isJson && typeof value !== "string") return undefined;
  set.headers.vary = set.headers.vary === undefined ? "Accept-Encoding" : `${set.headers.vary}, Accept-Encoding`;
  if (!takesGzip(request.headers.get("accept-encoding") ?? "")) return undefined;
  const text = isJson ? JSON.stringify(value) : (value as string);
  if (text.length < BYTES_MIN) return undefined;
  const bytes = new TextEncoder().encode(text);
  const packed =
    bytes.length > SYNC_BYTES_MAX ? await gzipBeside(bytes, { level: LEVEL }) : Bun.gzipSync(bytes, { level: LEVEL });
  const type = isJson ? "application/json;charset=utf-8" : "text/plain;charset=utf-8";
  const headers = { "content-type": type, ...set.headers, "content-encoding": "gzip" } as Record<string, string>;
  return new Response(packed, { headers, status: Number(set.status ?? 200) });
}

/** By RFC 9110: `gzip` or `*` that is not weighed as nothing; what names gzip itself counts before `*`. */
function takesGzip(accepted: string): boolean {
  const weights = new Map(
    accepted
      .toLowerCase()
      .split(",")
      .map((one) => one.split(";"))
      .map(([name = "", ...parameters]) => {
        const weight = parameters.map((one) => /^\s*q=([\d.]+)\s*$/.exec(one)?.[1]).find((one) => one !== undefined);
        return [name.trim(), Number(weight ?? 1)] as const;
      }),
  );
  return (weights.get("gzip") ?? weights.get("x-gzip") ?? weights.get("*") ?? 0) > 0;
}
