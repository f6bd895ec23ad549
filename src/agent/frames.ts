import { encodeData, encodeFrame } from "../protocol/encode.ts";
import type { Envelope } from "../protocol/frames.ts";
import { LOGS_BYTES_MAX, MESSAGE_BYTES_MAX, OUTPUT_BYTES_MAX } from "../protocol/limits.ts";
import type { AlertPayload, HeartbeatPayload, ResultPayload } from "../protocol/payloads.ts";
import { cleanText, keepEnds, keepHead } from "../protocol/text.ts";
import { type HostAlert, KEY_CHARS_MAX } from "./model.ts";
import type { SpoolFrame } from "./spool-record.ts";

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

/** By its name where it has one, so that the server knows what is told twice. */
function alertId({ key }: HostAlert): string {
  const isName = key !== undefined && key.length <= KEY_CHARS_MAX && /^[\x21-\x7e]+$/.test(key);
  return isName ? `alert-${key}` : crypto.randomUUID();
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
