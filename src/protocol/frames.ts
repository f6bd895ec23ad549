import { type Static, Type } from "@sinclair/typebox";
import { MESSAGE_ID_CHARS_MAX, TOKEN_CHARS } from "./limits.ts";
import type { AlertPayload, HeartbeatPayload, ResultPayload } from "./payloads.ts";
import { FrameType } from "./payloads.ts";

/** "1.0": fire and forget. "1.1": a frame with an `id` is acknowledged once its effect is durable. */
export const PROTOCOL_VERSIONS = ["1.0", "1.1"] as const;
export type ProtocolVersion = (typeof PROTOCOL_VERSIONS)[number];

/** What an agent sends. `ver` is looked at first, so that a version of the future gets its own error. */
export const Envelope = Type.Object({
  ver: Type.String(),
  ts: Type.Number({ minimum: 0, maximum: 4102444800 }),
  token: Type.Union([Type.Literal(""), Type.String({ minLength: TOKEN_CHARS.min, maxLength: TOKEN_CHARS.max })], {
    description: `${TOKEN_CHARS.min} to ${TOKEN_CHARS.max} characters`,
  }),
  type: FrameType,
  id: Type.Optional(Type.String({ minLength: 1, maxLength: MESSAGE_ID_CHARS_MAX })),
  data: Type.String(),
  compression: Type.Union([Type.Literal("none"), Type.Literal("gzip")]),
});
export type Envelope = Static<typeof Envelope>;

/** An envelope's payload once decoded: nulls are gone, text is clean, sizes are within bounds. */
export type Payload =
  | { type: "heartbeat"; heartbeat: HeartbeatPayload }
  | { type: "alert"; alert: AlertPayload }
  | { type: "result"; result: ResultPayload };

/** Every reason that an error frame can carry. For a spool, `bad_*`, `too_large`, `unsupported_version` and
 * `token_mismatch` are final; `rate_limited`, `overloaded` and `unauthorized` are for later. */
export const FRAME_ERRORS = [
  "bad_json",
  "bad_envelope",
  "unsupported_version",
  "bad_base64",
  "bad_gzip",
  "too_large",
  "bad_payload",
  "unauthorized",
  "token_mismatch",
  "rate_limited",
  "overloaded",
] as const;
export type FrameErrorReason = (typeof FRAME_ERRORS)[number];

/** What the server sends. */
export type ServerFrame =
  | { type: "command"; id: string; command: string; params: Record<string, unknown>; ttl_s: number }
  | { type: "ack"; id: string }
  | { type: "welcome"; agent_id: string; heartbeat_s: number }
  | { type: "error"; code: FrameErrorReason; message: string; id?: string; retry_after_s?: number };

/** Why the server closes a socket (RFC 6455 codes, and two of our own from the private range). */
export const CloseCode = {
  shutdown: 1001,
  unauthorized: 1008,
  tooLarge: 1009,
  internal: 1011,
  overloaded: 1013,
  deleted: 4401,
  superseded: 4409,
} as const;
