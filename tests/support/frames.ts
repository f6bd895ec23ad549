import type { Envelope } from "../../src/protocol/frames.ts";

/** An envelope that is fine, with some fields changed; `undefined` leaves one out. */
export function envelopeOf(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    ver: "1.0",
    ts: 1706140800,
    token: "my-secret-token",
    type: "heartbeat",
    data: "",
    compression: "none",
    ...changes,
  };
}

/** The same as what decodeEnvelope gives. */
export function decodedEnvelope(changes: Partial<Envelope> = {}): Envelope {
  return envelopeOf(changes) as Envelope;
}

/** An alert's payload that is fine. */
export function alertOf(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return { type: "systemd", source: "nginx", message: "nginx crashed", ...changes };
}

/** A payload as gzip and base64. */
export function gzipped(payload: unknown): string {
  return Bun.gzipSync(Buffer.from(JSON.stringify(payload))).toBase64();
}
