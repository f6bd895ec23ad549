import type { TSchema } from "@sinclair/typebox";
import { type TypeCheck, TypeCompiler, ValueErrorType } from "@sinclair/typebox/compiler";
import { fieldsOf, isRecord } from "../lib/json.ts";
import {
  AlertPayload,
  Envelope,
  type FrameErrorReason,
  HeartbeatPayload,
  type Payload,
  PROTOCOL_VERSIONS,
  ResultPayload,
} from "./frames.ts";
import { gunzip } from "./gunzip.ts";
import { describeJsonFault, parseJsonObject } from "./json.ts";
import {
  FRAME_BYTES_MAX,
  LOGS_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  MESSAGE_ID_CHARS_MAX,
  OUTPUT_BYTES_MAX,
  PAYLOAD_BYTES_MAX,
} from "./limits.ts";
import { cleanJsonObject, isCleanText, isLongerThan, keepEnds } from "./text.ts";

/** A refusal comes with the id that the frame had, for the answer. */
type DecodedEnvelope = { ok: true; envelope: Envelope } | (Refusal & { id: string | undefined });

/**
 * Decodes what came as one message: size, JSON, version, shape, in this order. The payload is not looked at, so this is
 * cheap enough for strangers. Accepts anything (a binary message is no text) and never throws.
 */
export function decodeEnvelope(message: unknown): DecodedEnvelope {
  if (typeof message !== "string") return failure("bad_json", "Expected a text frame");
  if (message.length > FRAME_BYTES_MAX) return failure("too_large", `Expected at most ${FRAME_BYTES_MAX} bytes`);
  const value = parseJsonObject(message);
  if (typeof value !== "string") return checkEnvelope(value);
  const reason = value === "malformed" ? "bad_json" : value === "not_object" ? "bad_envelope" : "too_large";
  return failure(reason, describeJsonFault(value));
}

function checkEnvelope(value: Record<string, unknown>): DecodedEnvelope {
  const { ver } = value;
  if (typeof ver === "string" && !PROTOCOL_VERSIONS.some((one) => one === ver)) {
    return failure("unsupported_version", `Expected ver ${PROTOCOL_VERSIONS.join(" or ")}`, idOf(value));
  }
  // An id is of 1.1 only; null means absent.
  if (value.id !== undefined && (value.id === null || ver === "1.0")) delete value.id;
  if (!envelopeCheck.Check(value)) return failure("bad_envelope", describeFault(envelopeCheck, value), idOf(value));
  if (value.id !== undefined && !isCleanText(value.id)) {
    return failure("bad_envelope", "id: Expected no NUL and no lone surrogate");
  }
  return { ok: true, envelope: value };
}

function idOf(value: Record<string, unknown>): string | undefined {
  const { id } = value;
  return typeof id === "string" && id.length > 0 && id.length <= MESSAGE_ID_CHARS_MAX ? id : undefined;
}

function failure(reason: FrameErrorReason, message: string, id?: string): DecodedEnvelope {
  return { ok: false, reason, message, id };
}

/** `sizeBytes` is about what the payload holds in memory: its decoded JSON, less what was cut out of it. */
export type DecodedPayload = { ok: true; payload: Payload; sizeBytes: number } | Refusal;

/**
 * Decodes the payload, once the envelope's token is accepted: base64, gzip, UTF-8, JSON, schema, in this order. Afterwards
 * nulls of optional fields are gone, text is clean, logs and output are within their limits. Never throws.
 */
export function decodePayload(envelope: Envelope): DecodedPayload {
  const { type } = envelope;
  if (type === "heartbeat" && envelope.data === "") return { ok: true, payload: { type, heartbeat: {} }, sizeBytes: 0 };
  const data = decodeData(envelope, PAYLOAD_BYTES_MAX[type]);
  if (!data.ok) return data;
  const parsed = parseJsonObject(data.text);
  if (typeof parsed === "string") {
    const reason = parsed === "too_deep" || parsed === "too_many_values" ? "too_large" : "bad_payload";
    return { ok: false, reason, message: `data: ${describeJsonFault(parsed)}` };
  }
  // Raw text cannot hold what cleaning removes, since UTF-8 and JSON forbid it: only an escape can.
  const value = data.text.includes("\\u") ? cleanJsonObject(parsed) : parsed;
  switch (type) {
    case "heartbeat":
      return decodeHeartbeat(value, data.sizeBytes);
    case "alert":
      return decodeAlert(value, data.sizeBytes);
    case "result":
      return decodeResult(value, data.sizeBytes);
  }
}

/** Unknown keys stay: they are kept as the agent's meta. */
function decodeHeartbeat(value: Record<string, unknown>, sizeBytes: number): DecodedPayload {
  dropNulls(value);
  if (typeof value.metrics === "object") dropNulls(value.metrics as Record<string, unknown>);
  for (const report of Object.values(fieldsOf(value.collectors))) if (isRecord(report)) dropNulls(report);
  if (!heartbeatCheck.Check(value)) return badPayload(heartbeatCheck, value);
  return { ok: true, payload: { type: "heartbeat", heartbeat: value }, sizeBytes };
}

const ALERT_KEYS = Object.keys(AlertPayload.properties);

function decodeAlert(value: Record<string, unknown>, sizeBytes: number): DecodedPayload {
  const read = readAlert(value);
  if (!read.ok) return read;
  return { ok: true, payload: { type: "alert", alert: read.alert }, sizeBytes: sizeBytes - read.cutBytes };
}

/** An alert's payload that is JSON already, with clean text: its shape is checked, nulls go, logs and message are cut. Never throws. */
export function readAlert(
  value: Record<string, unknown>,
): { ok: true; alert: AlertPayload; cutBytes: number } | Refusal {
  const alert = pick(value, ALERT_KEYS);
  if (!alertCheck.Check(alert)) return badPayload(alertCheck, alert);
  const cutBytes = cut(alert, "logs", LOGS_BYTES_MAX) + cut(alert, "message", MESSAGE_BYTES_MAX);
  return { ok: true, alert, cutBytes };
}

const RESULT_KEYS = Object.keys(ResultPayload.properties);

function decodeResult(value: Record<string, unknown>, sizeBytes: number): DecodedPayload {
  const result = pick(value, RESULT_KEYS);
  if (!resultCheck.Check(result)) return badPayload(resultCheck, result);
  const cutBytes = cut(result, "output", OUTPUT_BYTES_MAX) + cut(result, "error", MESSAGE_BYTES_MAX);
  return { ok: true, payload: { type: "result", result }, sizeBytes: sizeBytes - cutBytes };
}

function dropNulls(object: Record<string, unknown>): void {
  for (const key in object) if (object[key] === null) delete object[key];
}

/** The known keys that have a value. Unknown ones are ignored, and their memory is given back. */
function pick(value: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  const picked: Record<string, unknown> = {};
  for (const key of keys) {
    const field = value[key];
    if (field !== undefined && field !== null) picked[key] = field;
  }
  return picked;
}

/** Cuts a text field to its limit, and answers by how many bytes. */
function cut<K extends string>(payload: { [key in K]?: string }, key: K, limitBytes: number): number {
  const text = payload[key];
  if (text === undefined || !isLongerThan(text, limitBytes)) return 0;
  const kept = keepEnds(text, limitBytes);
  (payload as Record<K, string>)[key] = kept;
  return Buffer.byteLength(text) - Buffer.byteLength(kept);
}

function badPayload(check: TypeCheck<TSchema>, value: unknown): Refusal & { reason: "bad_payload" } {
  return { ok: false, reason: "bad_payload", message: describeFault(check, value) };
}

/** Why something is refused, for the error frame. */
export interface Refusal {
  ok: false;
  reason: FrameErrorReason;
  message: string;
}

/** The JSON text of a payload, and how long its UTF-8 is. */
type DecodedData = { ok: true; text: string; sizeBytes: number } | Refusal;

/** Undoes base64, gzip and UTF-8 as the envelope says; of the result at most `limitBytes`. Never throws. */
export function decodeData(envelope: Envelope, limitBytes: number): DecodedData {
  const { data, compression } = envelope;
  if (data.length > FRAME_BYTES_MAX) return tooLarge(FRAME_BYTES_MAX);
  if (compression === "none" && startsAsObject(data)) {
    // The envelope's JSON may have escaped lone surrogates, which would pass the payload's JSON unseen.
    return { ok: true, text: data.toWellFormed(), sizeBytes: Buffer.byteLength(data) };
  }
  const bytes = decodeBase64(data);
  if (bytes === undefined) return { ok: false, reason: "bad_base64", message: "data: Expected base64" };
  const plain = compression === "gzip" ? gunzip(bytes, limitBytes) : bytes;
  if (plain === "too_large") return tooLarge(limitBytes);
  if (plain === "bad_gzip") return { ok: false, reason: plain, message: "data: Expected gzip, and nothing after it" };
  return plain.length > limitBytes ? tooLarge(limitBytes) : decodeUtf8(plain);
}

function tooLarge(limitBytes: number): Refusal {
  return { ok: false, reason: "too_large", message: `data: Expected at most ${limitBytes} bytes` };
}

/** Every payload is an object, and base64 has no brace, so the first character tells plain JSON from base64. */
function startsAsObject(data: string): boolean {
  let at = 0;
  while (isJsonSpace(data.charCodeAt(at))) at++;
  return data.charCodeAt(at) === 0x7b;
}

function isJsonSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

const BASE64_OPTIONS = { alphabet: "base64", lastChunkHandling: "strict" } as const;

function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.fromBase64(text, BASE64_OPTIONS);
  } catch {
    return undefined;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function decodeUtf8(bytes: Uint8Array): DecodedData {
  try {
    return { ok: true, text: utf8.decode(bytes), sizeBytes: bytes.length };
  } catch {
    return { ok: false, reason: "bad_payload", message: "data: Expected UTF-8" };
  }
}

const envelopeCheck = TypeCompiler.Compile(Envelope);
const heartbeatCheck = TypeCompiler.Compile(HeartbeatPayload);
const alertCheck = TypeCompiler.Compile(AlertPayload);
const resultCheck = TypeCompiler.Compile(ResultPayload);

/** What a value breaks first, with the field's name in front: "exit_code: Expected integer". It never quotes the value. */
function describeFault(check: TypeCheck<TSchema>, value: unknown): string {
  const error = check.Errors(value).First();
  if (!error) return "Unexpected value";
  const field = error.path.slice(1).replaceAll("/", ".");
  const message = (error.type === ValueErrorType.Union ? expectationOf(error.schema) : undefined) ?? error.message;
  return field === "" ? message : `${field}: ${message}`;
}

/** TypeBox says only "Expected union value" of a union: its description, or the words that it permits, say more. */
function expectationOf(schema: TSchema): string | undefined {
  if (schema.description !== undefined) return `Expected ${schema.description}`;
  const words = (schema.anyOf as TSchema[] | undefined)?.map((choice) => choice.const);
  return words?.every((word) => typeof word === "string") ? `Expected one of ${words.join(", ")}` : undefined;
}
