import type { TSchema } from "@sinclair/typebox";
import type { TypeCheck } from "@sinclair/typebox/compiler";
import { alertCheck, describeFault, heartbeatCheck, resultCheck } from "./checks.ts";
import { decodeData, type Refusal } from "./decode-data.ts";
import type { Envelope, Payload } from "./frames.ts";
import { describeJsonFault, parseJsonObject } from "./json.ts";
import { LOGS_BYTES_MAX, MESSAGE_BYTES_MAX, OUTPUT_BYTES_MAX, PAYLOAD_BYTES_MAX } from "./limits.ts";
import { AlertPayload, ResultPayload } from "./payloads.ts";
import { cleanJsonObject, isLongerThan, keepEnds } from "./text.ts";

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
  if (!heartbeatCheck.Check(value)) return badPayload(heartbeatCheck, value);
  return { ok: true, payload: { type: "heartbeat", heartbeat: value }, sizeBytes };
}

const ALERT_KEYS = Object.keys(AlertPayload.properties);

function decodeAlert(value: Record<string, unknown>, sizeBytes: number): DecodedPayload {
  const alert = pick(value, ALERT_KEYS);
  if (!alertCheck.Check(alert)) return badPayload(alertCheck, alert);
  if (isLongerThan(alert.message, MESSAGE_BYTES_MAX)) {
    return { ok: false, reason: "bad_payload", message: `message: Expected at most ${MESSAGE_BYTES_MAX} bytes` };
  }
  const cutBytes = cut(alert, "logs", LOGS_BYTES_MAX);
  return { ok: true, payload: { type: "alert", alert }, sizeBytes: sizeBytes - cutBytes };
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

function badPayload(check: TypeCheck<TSchema>, value: unknown): Refusal {
  return { ok: false, reason: "bad_payload", message: describeFault(check, value) };
}
