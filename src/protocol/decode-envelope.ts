import { describeFault, envelopeCheck } from "./checks.ts";
import type { Refusal } from "./decode-data.ts";
import { type Envelope, type FrameErrorReason, PROTOCOL_VERSIONS, type ProtocolVersion } from "./frames.ts";
import { describeJsonFault, type JsonFault, parseJsonObject } from "./json.ts";
import { FRAME_BYTES_MAX, MESSAGE_ID_CHARS_MAX } from "./limits.ts";
import { isCleanText } from "./text.ts";

/** A refusal comes with the id that the frame had, for the answer. */
export type DecodedEnvelope = { ok: true; envelope: Envelope } | (Refusal & { id: string | undefined });

/**
 * Decodes what came as one message: size, JSON, version, shape, in this order. The payload is not looked at, so this is
 * cheap enough for strangers. Accepts anything (a binary message is no text) and never throws.
 */
export function decodeEnvelope(message: unknown): DecodedEnvelope {
  if (typeof message !== "string") return failure("bad_json", "Expected a text frame", undefined);
  if (message.length > FRAME_BYTES_MAX)
    return failure("too_large", `Expected at most ${FRAME_BYTES_MAX} bytes`, undefined);
  const value = parseJsonObject(message);
  return typeof value === "string" ? jsonFailure(value) : checkEnvelope(value);
}

function checkEnvelope(value: Record<string, unknown>): DecodedEnvelope {
  const { ver } = value;
  if (typeof ver === "string" && !isSupported(ver)) {
    return failure("unsupported_version", `Expected ver ${PROTOCOL_VERSIONS.join(" or ")}`, idOf(value));
  }
  // An id is of 1.1 only; null means absent.
  if (value.id !== undefined && (value.id === null || ver === "1.0")) delete value.id;
  if (!envelopeCheck.Check(value)) return failure("bad_envelope", describeFault(envelopeCheck, value), idOf(value));
  if (value.id !== undefined && !isCleanText(value.id)) {
    return failure("bad_envelope", "id: Expected no NUL and no lone surrogate", undefined);
  }
  return { ok: true, envelope: value };
}

function isSupported(ver: string): ver is ProtocolVersion {
  return ver === "1.0" || ver === "1.1";
}

function idOf(value: Record<string, unknown>): string | undefined {
  const { id } = value;
  return typeof id === "string" && id.length > 0 && id.length <= MESSAGE_ID_CHARS_MAX ? id : undefined;
}

function jsonFailure(fault: JsonFault): DecodedEnvelope {
  const reason = fault === "malformed" ? "bad_json" : fault === "not_object" ? "bad_envelope" : "too_large";
  return failure(reason, describeJsonFault(fault), undefined);
}

function failure(reason: FrameErrorReason, message: string, id: string | undefined): DecodedEnvelope {
  return { ok: false, reason, message, id };
}
