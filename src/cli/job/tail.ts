import { stripControls } from "../../lib/controls.ts";

const NEWLINE = 10;

/** Keeps the last lines of what a job writes, however much that is. */
export function createTail({ linesMax, bytesMax }: { linesMax: number; bytesMax: number }) {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  let lastSource: number | undefined;

  function add(bytes: Uint8Array): void {
    chunks.push(bytes);
    sizeBytes += bytes.length;
    for (let [first] = chunks; first !== undefined && sizeBytes - first.length >= bytesMax; [first] = chunks) {
      sizeBytes -= first.length;
      chunks.shift();
    }
  }

  return {
    /** What came by one of the job's outputs; a line that another one has begun ends there. */
    push(source: number, bytes: Uint8Array): void {
      if (bytes.length === 0) return;
      if (lastSource !== undefined && lastSource !== source && chunks.at(-1)?.at(-1) !== NEWLINE)
        add(Uint8Array.of(NEWLINE));
      lastSource = source;
      // A copy: the reader may use its buffer again.
      add(Uint8Array.from(bytes.subarray(Math.max(0, bytes.length - bytesMax))));
    },
    /** The last lines as text, without what is for a terminal alone; the first of them may have lost its beginning. */
    text(): string {
      const bytes = Buffer.concat(chunks);
      const lines = stripControls(bytes.subarray(Math.max(0, bytes.length - bytesMax)).toString())
        .trimEnd()
        .split("\n");
      return lines.slice(-linesMax).join("\n");
    },
  };
}

export type Tail = ReturnType<typeof createTail>;
