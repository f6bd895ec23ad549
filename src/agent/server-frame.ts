import { fieldsOf } from "../lib/json.ts";
import { FRAME_ERRORS, type FrameErrorReason, type ServerFrame } from "../protocol/frames.ts";
import { parseJsonObject } from "../protocol/json.ts";

/** A command is a few hundred bytes; nothing that the server sends is longer than this. */
const FRAME_CHARS_MAX = 1024 * 1024;
/** The longest that the server may make us wait, and may let us be silent. */
const WAIT_SECONDS_MAX = 3600;

/** What the server sent, or undefined: a frame of a kind that is not known here is none of our business. Never throws. */
export function decodeServerFrame(message: unknown): ServerFrame | undefined {
  if (typeof message !== "string" || message.length > FRAME_CHARS_MAX) return undefined;
  const value = parseJsonObject(message);
  return typeof value === "string" ? undefined : decode(value);
}

function decode(value: Record<string, unknown>): ServerFrame | undefined {
  switch (value.type) {
    case "ack":
      return typeof value.id === "string" ? { type: "ack", id: value.id } : undefined;
    case "welcome":
      return decodeWelcome(value);
    case "error":
      return decodeError(value);
    case "command":
      return decodeCommand(value);
    default:
      return undefined;
  }
}

function decodeWelcome({ agent_id, heartbeat_s }: Record<string, unknown>): ServerFrame | undefined {
  if (typeof agent_id !== "string") return undefined;
  return { type: "welcome", agent_id, heartbeat_s: secondsOf(heartbeat_s) ?? DEFAULT_HEARTBEAT_SECONDS };
}

/** Until a server says otherwise. */
export const DEFAULT_HEARTBEAT_SECONDS = 30;

/** A code that is not known is as final as `bad_payload`: what we sent is not understood. */
function decodeError({ code, message, id, retry_after_s }: Record<string, unknown>): ServerFrame | undefined {
  if (typeof code !== "string") return undefined;
  const retryAfter = secondsOf(retry_after_s);
  return {
    type: "error",
    code: isKnown(code) ? code : "bad_payload",
    message: typeof message === "string" ? message : "",
    ...(typeof id === "string" ? { id } : {}),
    ...(retryAfter === undefined ? {} : { retry_after_s: retryAfter }),
  };
}

/** Its parameters are looked at by whoever runs it. */
function decodeCommand({ id, command, params, ttl_s }: Record<string, unknown>): ServerFrame | undefined {
  if (typeof id !== "string" || typeof command !== "string") return undefined;
  return {
    type: "command",
    id,
    command,
    params: fieldsOf(params),
    ttl_s: typeof ttl_s === "number" && ttl_s >= 0 ? ttl_s : 0,
  };
}

function secondsOf(value: unknown): number | undefined {
  return typeof value === "number" && value > 0 ? Math.min(value, WAIT_SECONDS_MAX) : undefined;
}

function isKnown(code: string): code is FrameErrorReason {
  return (FRAME_ERRORS as readonly string[]).includes(code);
}
