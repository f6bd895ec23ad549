import { createHmac, timingSafeEqual } from "node:crypto";
import { sha256Hex } from "../lib/hash.ts";

/** Older, or so far ahead of our clock, and it may be a recorded one. */
const WINDOW_MS = 5 * 60_000;

/** A callback as it came: the raw body, before anything was decoded. */
export interface SignedCallback {
  readonly body: string;
  readonly timestamp: string | null;
  readonly signature: string | null;
}

/** Whether Slack sent it. `hash` stands for it in the store of those that were seen. */
export type SignatureVerdict =
  | { ok: true; hash: string }
  | { ok: false; reason: "unsigned" | "stale" | "forged"; message: string };

/** Checks Slack's signature, version 0: an HMAC over "v0:timestamp:body", compared in constant time. */
export function verifySignature(secret: string, callback: SignedCallback, nowMs: number): SignatureVerdict {
  const { body, timestamp, signature } = callback;
  if (timestamp === null || signature === null) return refused("unsigned", "Slack's signature is missing");
  if (!/^\d{1,12}$/.test(timestamp)) return refused("unsigned", "the timestamp is no number of seconds");
  const expected = `v0=${createHmac("sha256", secret).update(`v0:${timestamp}:${body}`).digest("hex")}`;
  if (!isEqual(signature, expected)) return refused("forged", "the signature is wrong");
  const ageMs = Math.abs(nowMs - Number(timestamp) * 1000);
  if (ageMs > WINDOW_MS) return refused("stale", "the callback is older than 5 minutes, or the clocks differ");
  return { ok: true, hash: sha256Hex(expected) };
}

function refused(reason: "unsigned" | "stale" | "forged", message: string): SignatureVerdict {
  return { ok: false, reason, message };
}

/** Texts of other lengths are no signature at all: that may be seen. */
function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
