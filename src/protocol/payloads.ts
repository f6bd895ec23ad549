import { type Static, Type } from "@sinclair/typebox";
import { UUID } from "../lib/uuid.ts";
import { MESSAGE_BYTES_MAX } from "./limits.ts";

/** What an agent sends. */
export const FrameType = Type.Union([Type.Literal("heartbeat"), Type.Literal("alert"), Type.Literal("result")]);
export type FrameType = Static<typeof FrameType>;

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
  disks: Type.Array(Type.Object({ mount: Type.String(), used_bytes: Bytes, total_bytes: Bytes })),
});
export type Metrics = Static<typeof Metrics>;

/** Known keys are checked, unknown ones are kept: all but `hostname` end up in `agents.meta`. */
export const HeartbeatPayload = Type.Object({
  hostname: Type.Optional(Type.String({ maxLength: 255 })),
  version: Type.Optional(Type.String({ maxLength: 100 })),
  os: Type.Optional(Type.String({ maxLength: 255 })),
  arch: Type.Optional(Type.String({ maxLength: 50 })),
  kernel: Type.Optional(Type.String({ maxLength: 255 })),
  uptime_s: Type.Optional(Type.Number({ minimum: 0 })),
  metrics: Type.Optional(Type.Partial(Metrics)),
  services: Type.Optional(Type.Unknown()),
  allow: Type.Optional(Type.Array(Type.String({ maxLength: 400 }), { maxItems: 1000 })),
});
export type HeartbeatPayload = Static<typeof HeartbeatPayload>;

/** Something went wrong on the host, or is right again. */
export const AlertPayload = Type.Object({
  type: Type.String({ minLength: 1, maxLength: 50 }),
  source: Type.String({ minLength: 1, maxLength: 255 }),
  message: Type.String({ minLength: 1, maxLength: MESSAGE_BYTES_MAX }),
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
