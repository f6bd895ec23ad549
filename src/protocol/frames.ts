import { type Static, Type } from "@sinclair/typebox";
import { UUID } from "../lib/uuid.ts";
import { MESSAGE_ID_CHARS_MAX, TOKEN_CHARS } from "./limits.ts";

/** Where an agent's upgrade request brings an enrolment token: with it, an unknown token of its own becomes known. */
export const ENROLMENT_HEADER = "opspilot-enrolment";

/** "1.0": fire and forget. "1.1": a frame with an `id` is acknowledged once its effect is durable. */
export const PROTOCOL_VERSIONS = ["1.0", "1.1"] as const;
export type ProtocolVersion = (typeof PROTOCOL_VERSIONS)[number];

/** The kinds of what an agent sends. */
export const FrameType = Type.Union([Type.Literal("heartbeat"), Type.Literal("alert"), Type.Literal("result")]);
export type FrameType = Static<typeof FrameType>;

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

/** How bad it is, where the agent knows. */
export const Severity = Type.Union([Type.Literal("info"), Type.Literal("warning"), Type.Literal("critical")]);
export type Severity = Static<typeof Severity>;

const Bytes = Type.Number({ minimum: 0 });

/** A host's figures; each of them may be missing. */
export const Metrics = Type.Object({
  cpu_pct: Type.Number(),
  load1: Type.Number(),
  load5: Type.Number(),
  load15: Type.Number(),
  mem_used_bytes: Bytes,
  mem_total_bytes: Bytes,
  swap_used_bytes: Bytes,
  swap_total_bytes: Bytes,
  disks: Type.Array(Type.Object({ mount: Type.String(), used_bytes: Bytes, total_bytes: Bytes })),
});
export type Metrics = Static<typeof Metrics>;

/** What one collector of an agent says of itself. */
export const CollectorReport = Type.Object({
  /** `absent`: what it watches was never there on this host. */
  state: Type.Union([Type.Literal("sees"), Type.Literal("cannot"), Type.Literal("absent")]),
  /** For so long already, by a clock that nobody sets. */
  for_s: Type.Number({ minimum: 0, maximum: 4102444800 }),
  why: Type.Optional(Type.String({ maxLength: 500 })),
  /** What it leaves out since there is too much of it, in words. */
  gave_up: Type.Optional(Type.Array(Type.String({ maxLength: 200 }), { maxItems: 10 })),
  /** An alert of the agent's tells people already that it cannot. */
  told: Type.Optional(Type.Boolean()),
});
export type CollectorReport = Static<typeof CollectorReport>;

/** By the collector's name, which is part of ids. */
const CollectorReports = Type.Record(Type.String({ pattern: "^[a-z][a-z0-9-]{0,29}$" }), CollectorReport, {
  maxProperties: 20,
  additionalProperties: false,
});

/** How one of an agent's checks stood when it was tried last. */
export interface CheckReport {
  readonly name: string;
  readonly up: boolean;
  /** It is up or down for so long already. */
  readonly for_s: number;
  readonly took_ms: number;
  /** When it was tried, Unix seconds. */
  readonly at: number;
  /** What it said last. */
  readonly said: string;
  /** When the first certificate of its chain ends, Unix seconds. */
  readonly certificate_ends?: number;
}

/** Known keys are checked, unknown ones are kept: all but `hostname` and `collectors` end up in `agents.meta`. */
export const HeartbeatPayload = Type.Object({
  hostname: Type.Optional(Type.String({ maxLength: 255 })),
  version: Type.Optional(Type.String({ maxLength: 100 })),
  os: Type.Optional(Type.String({ maxLength: 255 })),
  arch: Type.Optional(Type.String({ maxLength: 50 })),
  kernel: Type.Optional(Type.String({ maxLength: 255 })),
  uptime_s: Type.Optional(Type.Number({ minimum: 0 })),
  metrics: Type.Optional(Type.Partial(Metrics)),
  services: Type.Optional(Type.Unknown()),
  /** Which agent this is of those that use its token: {run, boot?}. What is of another shape is kept, and says nothing. */
  instance: Type.Optional(Type.Unknown()),
  allow: Type.Optional(Type.Array(Type.String({ maxLength: 400 }), { maxItems: 1000 })),
  collectors: Type.Optional(CollectorReports),
  /** CheckReports. What is of another shape is kept, and says nothing. */
  checks: Type.Optional(Type.Unknown()),
});
export type HeartbeatPayload = Static<typeof HeartbeatPayload>;

/** Something went wrong on the host, or is right again. */
export const AlertPayload = Type.Object({
  type: Type.String({ minLength: 1, maxLength: 50 }),
  source: Type.String({ minLength: 1, maxLength: 255 }),
  message: Type.String({ minLength: 1 }),
  logs: Type.Optional(Type.String()),
  exit_code: Type.Optional(Type.Integer({ minimum: -2147483648, maximum: 2147483647 })),
  severity: Type.Optional(Severity),
  state: Type.Optional(Type.Union([Type.Literal("firing"), Type.Literal("resolved")])),
  at: Type.Optional(Type.Number({ minimum: 0, maximum: 4102444800 })),
  hostname: Type.Optional(Type.String({ maxLength: 255 })),
});
export type AlertPayload = Static<typeof AlertPayload>;

/** What became of a command. */
export const ResultPayload = Type.Object({
  command_id: Type.String({ pattern: `^${UUID}$` }),
  status: Type.Union([Type.Literal("done"), Type.Literal("failed"), Type.Literal("rejected")]),
  exit_code: Type.Optional(Type.Integer({ minimum: -2147483648, maximum: 2147483647 })),
  output: Type.Optional(Type.String()),
  error: Type.Optional(Type.String()),
  duration_ms: Type.Optional(Type.Number({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
  finished_at: Type.Optional(Type.Number({ minimum: 0, maximum: 4102444800 })),
});
export type ResultPayload = Static<typeof ResultPayload>;
