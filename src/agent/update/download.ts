import { type FileHandle, open, rm } from "node:fs/promises";
import type { ServerAddress } from "../../config/agent.ts";
import { fetchBounded } from "../../lib/bounded-fetch.ts";
import { type Clock, withDeadline } from "../../lib/clock.ts";
import { ExitCode, errorMessage, StartupError } from "../../lib/errors.ts";
import { DOWNLOAD_PATH, executableName, type Platform } from "../../protocol/platforms.ts";
import { networkOptions } from "../socket.ts";

const CHECKSUM_LIMIT_MS = 30_000;
const CHECKSUM_BYTES_MAX = 1_024;
/** Three of today's; a disk is not filled. */
const SIZE_BYTES_MAX = 500_000_000;
/** Nothing came for so long: the connection is dead. */
const SILENT_MS_MAX = 60_000;
/** A server gives to some hosts at a time; a fleet that is updated at once waits its turn. */
const TURN_LIMIT_MS = 30 * 60_000;
const TURN_WAIT_S = { default: 30, max: 120 } as const;

export interface DownloadDeps {
  readonly server: ServerAddress;
  readonly platform: Platform;
  readonly clock: Clock;
  readonly stop: AbortSignal;
}

/** What the server hands out for this platform. */
export function createDownload({ server, platform, clock, stop }: DownloadDeps) {
  const url = server.url
    .replace(/^ws/, "http")
    .replace(/\/v1\/stream$/, `${DOWNLOAD_PATH}/${executableName(platform)}`);

  function ask(path: string, init: BunFetchRequestInit): Promise<Response> {
    // Else the variables of the environment would decide on a proxy. No redirect is followed.
    const all = { proxy: false, ...networkOptions(server), redirect: "manual", keepalive: false, ...init };
    return fetch(path, all as BunFetchRequestInit);
  }

  /** Waits for its turn where the server has too many others. */
  async function begin(signal: AbortSignal): Promise<Response> {
    const endMs = clock.monotonicMs() + TURN_LIMIT_MS;
    for (;;) {
      const answer = await ask(url, { signal });
      if (answer.status !== 503 || clock.monotonicMs() > endMs || signal.aborted) return answer;
      await answer.body?.cancel();
      const askedS = Number(answer.headers.get("retry-after")) || TURN_WAIT_S.default;
      // Not all of a fleet at one moment.
      await clock.sleep(Math.min(askedS, TURN_WAIT_S.max) * 1000 * (0.5 + Math.random()), signal);
    }
  }

  async function receive(path: string): Promise<string> {
    const givingUp = new AbortController();
    const answer = await begin(AbortSignal.any([stop, givingUp.signal]));
    if (answer.status !== 200 || answer.body === null) throw new Error(`it answered with status ${answer.status}`);
    const file = await open(path, "w", 0o755);
    const hasher = new Bun.CryptoHasher("sha256");
    const reader = answer.body.getReader();
    let sizeBytes = 0;
    try {
      for (;;) {
        const { done, value } = await withDeadline(reader.read(), SILENT_MS_MAX, "the next piece", (late) => late);
        if (done) break;
        sizeBytes += value.length;
        if (sizeBytes > SIZE_BYTES_MAX) throw new Error(`it is longer than ${SIZE_BYTES_MAX} bytes`);
        hasher.update(value);
        await writeAll(file, value);
      }
      await file.sync();
    } finally {
      givingUp.abort();
      await file.close();
    }
    return hasher.digest("hex");
  }

  return {
    url,
    /** The checksum of what it hands out now. */
    async checksum(): Promise<string> {
      const signal = AbortSignal.any([stop, AbortSignal.timeout(CHECKSUM_LIMIT_MS)]);
      const answer = await fetchBounded(`${url}.sha256`, { signal }, CHECKSUM_BYTES_MAX, ask).catch((error) => {
        throw failure(`${url}.sha256 cannot be had: ${errorMessage(error)}`, error);
      });
      const digest = /^[0-9a-f]{64}\b/.exec(answer.status === 200 ? await answer.text() : "")?.[0];
      if (digest !== undefined) return digest;
      throw failure(
        `${url}.sha256: the server answered with status ${answer.status}; has it an executable for ${platform}? (DOWNLOADS_DIR there)`,
      );
    },
    /** Writes it to the path, and makes sure that it is what the checksum says. */
    async save(path: string, checksum: string): Promise<void> {
      try {
        const digest = await receive(path);
        if (digest !== checksum) throw new Error("it is damaged: its checksum is another");
      } catch (error) {
        await rm(path, { force: true });
        throw failure(`${url} cannot be had: ${errorMessage(error)}`, error);
      }
    },
  };
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
}

function failure(message: string, cause?: unknown): StartupError {
  return new StartupError(message, ExitCode.unavailable, { cause });
}
