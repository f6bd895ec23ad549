import { createReadStream } from "node:fs";

const READ_BYTES = 2 ** 20;

/** SHA-256 of the text's UTF-8, as 64 hexadecimal digits. */
export function sha256Hex(text: string): string {
  return Bun.SHA256.hash(text, "hex");
}

/** The first 128 bits of the text's SHA-256, written as PostgreSQL writes a uuid. */
export function hashUuid(text: string): string {
  const hex = sha256Hex(text);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}

/** SHA-256 of a file, which may be large, as 64 hexadecimal digits. */
export async function sha256OfFile(path: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const piece of createReadStream(path, { highWaterMark: READ_BYTES })) hasher.update(piece);
  return hasher.digest("hex");
}
