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
  if (!isHeader(header)) throw new DockerError("broken", "Docker's log stream is not multiplexed as expected");
  return header.readUInt32BE(4);
}

function isHeader(bytes: Buffer): boolean {
  return bytes.length >= HEADER_BYTES && (bytes[0] ?? 255) < STREAMS.length && bytes.readUIntBE(1, 3) === 0;
}

function streamOf(header: Buffer): LogPiece["stream"] {
  return STREAMS[header[0] ?? 1] ?? "stdout";
}

/**
 * A container's output, multiplexed, or raw as of one with a terminal, where both streams are one. Which of the two its first bytes tell:
 * a container that lives for a moment is gone before it could be asked about.
 */
export async function* piecesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<LogPiece> {
  const rest = chunks[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  try {
    while (head.length < HEADER_BYTES) {
      const next = await rest.next();
      if (next.done) break;
      head = Buffer.concat([head, next.value]);
    }
    const all = joined(head, rest);
    yield* isHeader(head) ? demultiplex(all) : asStdout(all);
  } finally {
    await rest.return?.();
  }
}

async function* joined(head: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

async function* asStdout(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<LogPiece> {
  for await (const bytes of chunks) yield { stream: "stdout", bytes };
}
