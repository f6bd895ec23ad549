const NEWLINE = 10;
const CARRIAGE_RETURN = 13;

/** A line, and where in the pushed bytes it ended: its newline is the byte before. */
export interface CutLine {
  readonly text: string;
  readonly endByte: number;
}

/** Cuts bytes into lines, wherever the pieces end, without ever holding more than one line's limit. */
export interface LineCutter {
  /** The lines that these bytes end. */
  push(bytes: Uint8Array): CutLine[];
  /** What was begun and has no end; empty afterwards. */
  rest(): string | undefined;
  /** Bytes of a line that has no end yet, also those that were left out. */
  readonly openBytes: number;
}

/** Of a longer line its beginning is kept, or nothing (`drop`) where half a line is worth nothing. */
export function createLineCutter(lineBytesMax: number, tooLong: "cut" | "drop" = "cut"): LineCutter {
  let parts: Uint8Array[] = [];
  let keptBytes = 0;
  let openBytes = 0;

  function keep(bytes: Uint8Array): void {
    openBytes += bytes.length;
    const part = bytes.subarray(0, lineBytesMax - keptBytes);
    if (part.length === 0) return;
    keptBytes += part.length;
    // A copy: whoever read the bytes may use their memory again.
    parts.push(Uint8Array.from(part));
  }

  /** Most lines lie in one piece: they are read where they are. */
  function takeWhole(bytes: Buffer, start: number, end: number): string {
    return bytes.toString("utf8", start, bytes[end - 1] === CARRIAGE_RETURN && end > start ? end - 1 : end);
  }

  function take(): string | undefined {
    const isWhole = openBytes === keptBytes;
    const bytes = Buffer.concat(parts, keptBytes);
    parts = [];
    keptBytes = 0;
    openBytes = 0;
    if (!isWhole && tooLong === "drop") return undefined;
    return bytes.toString("utf8", 0, isWhole && bytes.at(-1) === CARRIAGE_RETURN ? bytes.length - 1 : bytes.length);
  }

  return {
    push(pushed) {
      const bytes = Buffer.from(pushed.buffer, pushed.byteOffset, pushed.byteLength);
      const lines: CutLine[] = [];
      let start = 0;
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
        const isWhole = openBytes === 0 && end - start <= lineBytesMax;
        if (!isWhole) keep(bytes.subarray(start, end));
        const text = isWhole ? takeWhole(bytes, start, end) : take();
        start = end + 1;
        if (text !== undefined) lines.push({ text, endByte: start });
      }
      if (start < bytes.length) keep(bytes.subarray(start));
      return lines;
    },
    rest: () => (openBytes === 0 ? undefined : take()),
    get openBytes() {
      return openBytes;
    },
  };
}
