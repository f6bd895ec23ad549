import { createHmac, timingSafeEqual } from "node:crypto";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { sha256Hex } from "../lib/hash.ts";

const Id = Type.String({ minLength: 1, maxLength: 64 });
const Text = Type.String({ maxLength: 4_000 });

/** A pressed button or menu, as far as it is looked at; everything else in it is left alone. */
const BlockActions = Type.Object({
  type: Type.Literal("block_actions"),
  api_app_id: Type.Optional(Id),
  user: Type.Object({ id: Id, team_id: Type.Optional(Id) }),
  team: Type.Object({ id: Id }),
  channel: Type.Object({ id: Id }),
  container: Type.Object({ type: Type.Literal("message"), message_ts: Id, channel_id: Id }),
  message: Type.Optional(Type.Object({ bot_id: Type.Optional(Id), app_id: Type.Optional(Id) })),
  response_url: Type.Optional(Text),
  actions: Type.Array(
    Type.Object({
      action_id: Text,
      block_id: Text,
      value: Type.Optional(Text),
      selected_option: Type.Optional(Type.Union([Type.Null(), Type.Object({ value: Text })])),
    }),
    { minItems: 1, maxItems: 25 },
  ),
});
export type BlockActions = Static<typeof BlockActions>;

/** The payload as a pressed button, without all else that came with it; undefined for whatever else Slack sends. */
export function asBlockActions(payload: unknown): BlockActions | undefined {
  return Value.Check(BlockActions, payload)
    ? (Value.Clean(BlockActions, structuredClone(payload)) as BlockActions)
    : undefined;
}

/** Older, or so far ahead of our clock, and it may be a recorded one. */
const WINDOW_MS = 5 * 60_000;

/** A callback as it came: the raw body, before anything was decoded. */
export interface SignedCallback {
  readonly body: string;
  readonly timestamp: string | null;
  readonly signature: string | null;
}

/**
 * Checks Slack's signature, version 0: an HMAC over "v0:timestamp:body", compared in constant time. `hash` stands for the callback
 * in the store of those that were seen.
 */
export function verifySignature(secret: string, callback: SignedCallback, nowMs: number) {
  const refused = (reason: "unsigned" | "stale" | "forged", message: string) =>
    ({ ok: false, reason, message }) as const;
  const { body, timestamp, signature } = callback;
  if (timestamp === null || signature === null) return refused("unsigned", "Slack's signature is missing");
  if (!/^\d{1,12}$/.test(timestamp)) return refused("unsigned", "the timestamp is no number of seconds");
  const expected = `v0=${createHmac("sha256", secret).update(`v0:${timestamp}:${body}`).digest("hex")}`;
  if (!isEqual(signature, expected)) return refused("forged", "the signature is wrong");
  const ageMs = Math.abs(nowMs - Number(timestamp) * 1000);
  if (ageMs > WINDOW_MS) return refused("stale", "the callback is older than 5 minutes, or the clocks differ");
  return { ok: true, hash: sha256Hex(expected) } as const;
}

/** Texts of other lengths are no signature at all: that may be seen. */
function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
