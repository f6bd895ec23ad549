import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { qualityOf } from "../lib/accept.ts";

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
  if ((qualityOf(request.headers.get("accept-encoding"), "gzip") ?? 0) === 0) return undefined;
  const text = isJson ? JSON.stringify(value) : (value as string);
  if (text.length < BYTES_MIN) return undefined;
  const bytes = new TextEncoder().encode(text);
  const packed =
    bytes.length > SYNC_BYTES_MAX ? await gzipBeside(bytes, { level: LEVEL }) : Bun.gzipSync(bytes, { level: LEVEL });
  const type = isJson ? "application/json;charset=utf-8" : "text/plain;charset=utf-8";
  const headers = { "content-type": type, ...set.headers, "content-encoding": "gzip" } as Record<string, string>;
  return new Response(packed, { headers, status: Number(set.status ?? 200) });
}
