import { TAR_END, tarHeader, tarPadding } from "../../src/lib/tar.ts";

/** An archive of these files, each a text, or a value as JSON. */
export function createTar(files: readonly (readonly [path: string, content: unknown])[]): Uint8Array {
  const parts = files.flatMap(([path, content]) => {
    const bytes = Buffer.from(typeof content === "string" ? content : JSON.stringify(content));
    return [tarHeader({ path, sizeBytes: bytes.length }), bytes, tarPadding(bytes.length)];
  });
  return Buffer.concat([...parts, TAR_END]);
}
