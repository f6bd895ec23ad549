import type { Envelope, ServerFrame } from "./frames.ts";

/** A frame to be sent by an agent: an envelope whose payload is still an object; none only for a heartbeat. */
export type OutgoingFrame = Omit<Envelope, "data"> & { payload?: Record<string, unknown> };

/** An agent's frame as text. */
export function encodeFrame(frame: OutgoingFrame): string {
  const { payload, ...envelope } = frame;
  return JSON.stringify({ ...envelope, data: payload === undefined ? "" : encodeData(payload, frame.compression) });
}

/** A payload as an envelope's `data`. */
export function encodeData(payload: Record<string, unknown>, compression: Envelope["compression"]): string {
  const bytes = Buffer.from(JSON.stringify(payload));
  return (compression === "gzip" ? Bun.gzipSync(bytes) : bytes).toBase64();
}

/** A server's frame as text. */
export function encodeServerFrame(frame: ServerFrame): string {
  return frame.type === "ack" ? encodeAck(frame.id) : JSON.stringify(frame);
}

/** The most frequent answer, without an object. */
export function encodeAck(id: string): string {
  return `{"type":"ack","id":${JSON.stringify(id)}}`;
}
