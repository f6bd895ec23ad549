import { fieldsOf } from "../lib/json.ts";
import { encodeData, encodeFrame } from "../protocol/encode.ts";
import {
  type AlertPayload,
  type Envelope,
  FRAME_ERRORS,
  type HeartbeatPayload,
  type ResultPayload,
  type ServerFrame,
} from "../protocol/frames.ts";
import { parseJsonObject } from "../protocol/json.ts";
import { LOGS_BYTES_MAX, MESSAGE_BYTES_MAX, OUTPUT_BYTES_MAX } from "../protocol/limits.ts";
import { cleanText, keepEnds, keepHead } from "../protocol/text.ts";
import { type HostAlert, KEY_CHARS_MAX } from "./model.ts";
import type { SpoolFrame } from "./spool-segments.ts";

/** What is longer is compressed. */
const GZIP_FROM_BYTES = 512;
/** Of a frame's `data`, so that the whole frame stays under 512 KiB, which every balancer lets through. */
const DATA_CHARS_MAX = 500 * 1024;
/** Below this nobody can read anything in it: a frame that does not fit even then has no logs. */
const LOGS_BYTES_MIN = 1024;

const TYPE_CHARS_MAX = 50;
const SOURCE_CHARS_MAX = 255;
const EXIT_CODE_MAX = 2 ** 31 - 1;
/** As many characters as the server looks at when it groups alerts. */
const KEY_CHARS = 512;

/** An alert as a frame for the spool, within all limits of the protocol. */
export function alertFrame(alert: HostAlert): SpoolFrame {
  const payload = alertPayload(alert);
  return { id: alertId(alert), type: "alert", ...fitted(payload, "logs", LOGS_BYTES_MAX), key: keyOf(payload) };
}

/** By its name where it has one, so that the server knows what is told twice; else by a time, which spares its database work. */
function alertId({ key }: HostAlert): string {
  const isName = key !== undefined && key.length <= KEY_CHARS_MAX && /^[\x21-\x7e]+$/.test(key);
  return isName ? `alert-${key}` : Bun.randomUUIDv7();
}

/** A command's result; its id is the command's, so that the server knows a repetition. */
export function resultFrame(result: ResultPayload): SpoolFrame {
  const { output, error } = result;
  const payload: ResultPayload = {
    ...result,
    ...(output === undefined ? {} : { output: keepEnds(cleanText(output), OUTPUT_BYTES_MAX) }),
    ...(error === undefined ? {} : { error: keepEnds(cleanText(error), MESSAGE_BYTES_MAX) }),
  };
  return { id: resultId(result.command_id), type: "result", ...fitted(payload, "output", OUTPUT_BYTES_MAX), key: 0 };
}

const RESULT_PREFIX = "result-";

/** The id of the frame with this command's result. */
export function resultId(commandId: string): string {
  return RESULT_PREFIX + commandId.toLowerCase();
}

/** The command whose result a frame of this id is, if it is one. */
export function commandOfResult(frameId: string): string | undefined {
  return frameId.startsWith(RESULT_PREFIX) ? frameId.slice(RESULT_PREFIX.length) : undefined;
}

/** The frame as it goes over the socket now. The token is not in it: the request for the socket has shown it. */
export function frameText({ id, type, data, compression }: SpoolFrame, nowMs: number): string {
  return JSON.stringify({ ver: "1.1", ts: nowMs / 1000, token: "", type, id, data, compression });
}

/** A heartbeat's frame as text. */
export function heartbeatText(id: string, payload: HeartbeatPayload, nowMs: number): string {
  const compression = compressionFor(JSON.stringify(payload));
  return encodeFrame({ ver: "1.1", ts: nowMs / 1000, token: "", type: "heartbeat", id, compression, payload });
}

function alertPayload({ type, source, message, logs, exitCode, severity, state, atMs }: HostAlert): AlertPayload {
  const hasExitCode = exitCode !== undefined && Number.isInteger(exitCode) && Math.abs(exitCode) <= EXIT_CODE_MAX;
  return {
    type: shortened(type, TYPE_CHARS_MAX) || "host",
    source: shortened(source, SOURCE_CHARS_MAX) || "unknown",
    message: keepHead(cleanText(message), MESSAGE_BYTES_MAX) || "(no message)",
    ...(logs ? { logs: cleanText(logs) } : {}),
    ...(hasExitCode ? { exit_code: exitCode } : {}),
    ...(severity === undefined ? {} : { severity }),
    state,
    at: atMs / 1000,
  };
}

/** Cut as the protocol counts; a pair of surrogates that was cut in two is mended. */
function shortened(text: string, charsMax: number): string {
  return cleanText(cleanText(text).slice(0, charsMax));
}

/** The payload as data of a frame. The long field keeps its head and its tail: as much of them as the frame has room for. */
function fitted<P extends object, K extends keyof P & string>(
  payload: P,
  longField: K,
  limitBytes: number,
): Pick<Envelope, "data" | "compression"> {
  const long = payload[longField];
  for (let bytes = limitBytes; typeof long === "string" && bytes >= LOGS_BYTES_MIN; bytes /= 2) {
    const encoded = encode({ ...payload, [longField]: keepEnds(long, bytes) });
    if (encoded.data.length <= DATA_CHARS_MAX) return encoded;
  }
  return encode({ ...payload, [longField]: undefined });
}

function encode(payload: object): Pick<Envelope, "data" | "compression"> {
  const compression = compressionFor(JSON.stringify(payload));
  return { data: encodeData(payload as Record<string, unknown>, compression), compression };
}

function compressionFor(json: string): Envelope["compression"] {
  return Buffer.byteLength(json) > GZIP_FROM_BYTES ? "gzip" : "none";
}

/** Numbers differ from one time to the next where the matter is the same. */
function keyOf({ type, source, state, message }: AlertPayload): number {
  const gist = message.slice(0, KEY_CHARS).replaceAll(/\d+/g, "0");
  return Bun.hash.crc32(JSON.stringify([type, source, state, gist]));
}

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
    code: FRAME_ERRORS.find((known) => known === code) ?? "bad_payload",
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
