import { META_BYTES_MAX } from "../protocol/limits.ts";
import type { HeartbeatPayload } from "../protocol/payloads.ts";

/** A clock that is further off than this is shown. */
const SKEW_SHOWN_SECONDS = 300;

/**
 * What `agents.meta` keeps of a heartbeat: everything but the host's name. Unknown keys that make it longer than 16 KiB
 * of JSON are left out, the last ones first, and `truncated` says so.
 */
export function metaOf(heartbeat: HeartbeatPayload, skewSeconds: number): Record<string, unknown> {
  const meta: Record<string, unknown> = {};
  let bytes = 2;
  for (const [key, value] of Object.entries(heartbeat)) {
    if (key === "hostname" || value === undefined) continue;
    bytes += Buffer.byteLength(JSON.stringify({ [key]: value }));
    if (bytes > META_BYTES_MAX) return { ...meta, truncated: true };
    meta[key] = value;
  }
  if (Math.abs(skewSeconds) > SKEW_SHOWN_SECONDS) meta.clock_skew_s = Math.round(skewSeconds);
  return meta;
}
