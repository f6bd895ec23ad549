import { errorMessage } from "../../lib/errors.ts";
import { LOG_LINES } from "../../protocol/commands.ts";
import { OUTPUT_BYTES_MAX } from "../../protocol/limits.ts";
import { DockerError } from "../docker-error.ts";
import { createBoundedOutput } from "../run-process.ts";
import { type AtMost, createAtMost } from "./at-most.ts";
import { type CollectorDeps, SETTLE_MS } from "./collector-model.ts";
import { createBoundedMap } from "./happening.ts";
import { countGivenUp, type Health } from "./health.ts";

export interface LastWordsOptions {
  readonly deps: Pick<CollectorDeps, "clock" | "docker" | "log">;
  readonly signal: AbortSignal;
  readonly health: Health;
}

const LOGS_LIMIT_MS = 10_000;
/** One log that hangs holds up none of the others. */
const READ_AT_ONCE_MAX = 10;
/** Each takes a connection, and some memory. */
const FOLLOWED_MAX = 50;

/** What containers wrote last, to be shown with what went wrong. */
export interface LastWords {
  /** Its log goes when it ends: what it writes is kept from now on. */
  follow(id: string): void;
  of(id: string): Promise<string>;
}

/** Reads logs when they are wanted, some at a time; those of containers that are removed at their end while they run. */
export function createLastWords({ deps, signal, health }: LastWordsOptions): LastWords {
  const { clock, docker, log } = deps;
  const atMost: AtMost = createAtMost(READ_AT_ONCE_MAX);
  const followed = createBoundedMap<ReturnType<typeof createTail>>(FOLLOWED_MAX);
  let running = 0;
  const leftOut = countGivenUp(
    health,
    "last lines",
    (count) =>
      `last lines of ${count} containers so far that are removed at their end: of ${FOLLOWED_MAX} at once they are kept`,
  );

  async function keep(id: string): Promise<void> {
    const tail = createTail();
    followed.set(id, tail);
    running++;
    try {
      for await (const { bytes } of docker.logs(id, { tail: LOG_LINES, follow: true, signal })) tail.push(bytes);
    } catch (error) {
      if (!(error instanceof DockerError)) throw error;
      log.debug({ container: id, error: errorMessage(error) }, "a container's output is no longer kept");
    } finally {
      running--;
    }
  }

  async function read(id: string): Promise<string> {
    await clock.sleep(SETTLE_MS, signal);
    const kept = followed.get(id)?.text() ?? "";
    if (kept !== "") return kept;
    const output = createBoundedOutput(OUTPUT_BYTES_MAX);
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(LOGS_LIMIT_MS)]);
      for await (const { bytes } of docker.logs(id, { tail: LOG_LINES, signal: limit })) output.push(bytes);
    } catch (error) {
      if (!(error instanceof DockerError)) throw error;
      output.push(Buffer.from(`the container's log cannot be read: ${errorMessage(error)}`));
    }
    return output.text();
  }

  return {
    follow(id) {
      if (followed.has(id)) return;
      if (running >= FOLLOWED_MAX) return leftOut();
      keep(id).catch((error) => log.error({ error, container: id }, "a container's output is no longer kept"));
    },
    of: async (id) => (await atMost(() => read(id))).trimEnd(),
  };
}

/** The last lines of an output that has no end, in bounded memory. */
function createTail() {
  const parts: Uint8Array[] = [];
  let keptBytes = 0;
  return {
    push(bytes: Uint8Array): void {
      // A copy: whoever read the bytes may use their memory again.
      parts.push(Uint8Array.from(bytes));
      keptBytes += bytes.length;
      for (let [first] = parts; first && keptBytes - first.length >= OUTPUT_BYTES_MAX; [first] = parts) {
        keptBytes -= first.length;
        parts.shift();
      }
    },
    text: (): string => lastLines(Buffer.concat(parts).subarray(-OUTPUT_BYTES_MAX).toString().trimEnd()),
  };
}

function lastLines(text: string): string {
  return text.split("\n").slice(-LOG_LINES).join("\n");
}
