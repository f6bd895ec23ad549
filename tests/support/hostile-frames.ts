import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { decodeEnvelope, decodePayload } from "../../src/protocol/decode.ts";
import { type Envelope, FRAME_ERRORS } from "../../src/protocol/frames.ts";
import { LOGS_BYTES_MAX, MESSAGE_BYTES_MAX, OUTPUT_BYTES_MAX } from "../../src/protocol/limits.ts";
import { isCleanText } from "../../src/protocol/text.ts";
import { envelopeOf } from "./frames.ts";

/** How much, and from where; another seed each time where none is given. What is wrong is told with its seed. */
export interface FuzzOptions {
  readonly cases: number;
  readonly seed?: number | undefined;
}

/** Text of every kind: with NUL, with halves of pairs, with what looks like JSON. */
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.string({
    unit: fc.constantFrom("\0", "\ud800", "\udc00", "ä", "🦊", "{", "[", '"', "\\", "\\u0000", ",", ":", "1", "x"),
  }),
);
/** Any JSON, not deep. */
export const hostileJson = fc.jsonValue({ stringUnit: "binary", maxDepth: 5 });
const payload = fc.oneof(
  hostileJson,
  fc.record(
    {
      type: fc.oneof(fc.constant("systemd"), text),
      source: fc.oneof(fc.constant("nginx"), text),
      message: text,
      logs: fc.oneof(
        text,
        fc.integer({ min: 80_000, max: 300_000 }).map((n) => "ä€🦊x".repeat(n / 4)),
      ),
      output: fc.integer({ min: 0, max: 200_000 }).map((n) => "ä".repeat(n)),
      error: text,
      exit_code: fc.oneof(fc.integer(), fc.double(), fc.constant(null)),
      at: fc.oneof(fc.double(), fc.constant(null)),
      command_id: fc.uuid(),
      status: fc.constantFrom("done", "failed", "nothing"),
      hostname: fc.oneof(text, fc.constant(null)),
      metrics: hostileJson,
      unknown: hostileJson,
    },
    { requiredKeys: [] },
  ),
);
const bytes = fc.oneof(
  payload.map((value) => Buffer.from(JSON.stringify(value))),
  fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
  text.map((value) => Buffer.from(value)),
);
const data = fc.oneof(
  text,
  bytes.map((plain) => plain.toString("base64")),
  bytes.map((plain) => gzipSync(plain).toString("base64")),
  payload.map((value) => JSON.stringify(value)),
);
const envelope = fc.record({
  data,
  type: fc.constantFrom("heartbeat", "alert", "result"),
  compression: fc.constantFrom("none", "gzip"),
});

function strings(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [key, ...strings(inner)]);
}

function isTypedError(decoded: { reason?: unknown; message?: unknown }): boolean {
  return (
    FRAME_ERRORS.includes(decoded.reason as never) && typeof decoded.message === "string" && decoded.message !== ""
  );
}

/** What may come as one message: an envelope with anything in it, any JSON, text, and what is no text at all. */
const message = fc.oneof(
  text,
  hostileJson.map((value) => JSON.stringify(value)),
  fc
    .record(
      {
        ver: text,
        ts: hostileJson,
        token: text,
        type: text,
        id: hostileJson,
        data: hostileJson,
        compression: text,
      },
      { requiredKeys: [] },
    )
    .map((value) => JSON.stringify(value)),
  envelope.map((changes) => JSON.stringify(envelopeOf(changes))),
  fc.anything(),
);

/** The same as it can go over a socket. */
export const hostileMessage = fc.oneof(
  message.map((value) => (typeof value === "string" ? value : String(JSON.stringify(value) ?? "nothing"))),
  fc.uint8Array({ maxLength: 500 }),
);

const runs = ({ cases, seed }: FuzzOptions) => ({ numRuns: cases, ...(seed === undefined ? {} : { seed }) });

function demand(isAsPromised: boolean, what: string): void {
  if (!isAsPromised) throw new Error(what);
}

/** Throws what fast-check says of the first message that gives neither an envelope nor a typed error. */
export function fuzzEnvelopes(options: FuzzOptions): void {
  const property = fc.property(message, (value) => {
    const decoded = decodeEnvelope(value);
    demand(decoded.ok || isTypedError(decoded), "neither an envelope nor a typed error");
  });
  fc.assert(property, runs(options));
}

/** The same of payloads, which must be clean and within their bounds; and how many were good. */
export function fuzzPayloads(options: FuzzOptions): { good: number } {
  let good = 0;
  const property = fc.property(envelope, (changes) => {
    const decoded = decodePayload(envelopeOf(changes) as Envelope);
    if (!decoded.ok) return demand(isTypedError(decoded), "no typed error");
    good++;
    const { alert, result } = decoded.payload as { alert?: Record<string, string>; result?: Record<string, string> };
    demand(strings(decoded.payload).every(isCleanText), "a text is not clean");
    demand(Buffer.byteLength(alert?.message ?? "") <= MESSAGE_BYTES_MAX, "the message is too long");
    demand(Buffer.byteLength(alert?.logs ?? "") <= LOGS_BYTES_MAX, "the logs are too long");
    demand(Buffer.byteLength(result?.output ?? "") <= OUTPUT_BYTES_MAX, "the output is too long");
    demand(decoded.sizeBytes >= 0, "its size is negative");
  });
  fc.assert(property, runs(options));
  return { good };
}
