import { DockerError } from "./docker-error.ts";

/** A piece of a container's output, as long as it came: neither a line nor a character need end with it. */
export interface LogPiece {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

const HEADER_BYTES = 8;
/** 0 is stdin, which is written on stdout; 3 is an error of Docker's own, which belongs to stderr. */
const STREAMS = ["stdout", "stdout", "stderr", "stderr"] as const;

/**
 * Takes Docker's multiplexed stream apart: frames of a header (stream, three zero bytes, length as a big-endian uint32) and
 * that many bytes, which the pieces of the network cut anywhere. Nothing but a header is ever kept, so a frame's length does
 * not matter. Throws a DockerError when a header is none.
 */
export async function* demultiplex(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<LogPiece> {
  const header = Buffer.alloc(HEADER_BYTES);
  let headerBytes = 0;
  let leftBytes = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      if (leftBytes > 0) {
        const bytes = chunk.subarray(at, at + leftBytes);
        yield { stream: streamOf(header), bytes };
        leftBytes -= bytes.length;
        at += bytes.length;
      } else {
        const part = chunk.subarray(at, at + HEADER_BYTES - headerBytes);
        header.set(part, headerBytes);
        headerBytes = (headerBytes + part.length) % HEADER_BYTES;
        at += part.length;
        if (headerBytes === 0) leftBytes = lengthIn(header);
      }
    }
  }
  if (headerBytes > 0 || leftBytes > 0) throw new DockerError("broken", "Docker's log stream ended in a frame");
}

function lengthIn(header: Buffer): number {
  const isHeader = (header[0] ?? 255) < STREAMS.length && header.readUIntBE(1, 3) === 0;
  if (!isHeader) throw new DockerError("broken", "Docker's log stream is not multiplexed as expected");
  return header.readUInt32BE(4);
}

function streamOf(header: Buffer): LogPiece["stream"] {
  return STREAMS[header[0] ?? 1] ?? "stdout";
}

/** The output of a container with a terminal: raw bytes, where both streams are one. */
export async function* asStdout(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<LogPiece> {
  for await (const bytes of chunks) yield { stream: "stdout", bytes };
}
