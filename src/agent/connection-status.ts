import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";

/** How the connection of a running agent is, for `opspilot agent check`, which must not open a second one. */
export interface ConnectionStatus {
  readonly isConnected: boolean;
  /** Since when, Unix milliseconds. */
  readonly atMs: number;
  /** Why it is not. */
  readonly detail: string;
}

/** Writes it down. Never throws: it only helps a person. */
export interface ConnectionStatusFile {
  connected(): void;
  ended(why: string): void;
}

const DETAIL_CHARS_MAX = 500;

/** Keeps the file; the moment of the first failure stays while it goes on. */
export function createConnectionStatus(path: string, clock: Clock, log: Log): ConnectionStatusFile {
  let last: ConnectionStatus | undefined;

  function write(isConnected: boolean, detail: string): void {
    const isSame = last !== undefined && last.isConnected === isConnected;
    if (isSame && last?.detail === detail) return;
    last = { isConnected, detail, atMs: isSame && last ? last.atMs : clock.now() };
    try {
      writeFileSync(`${path}.new`, JSON.stringify(last), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    } catch (error) {
      log.debug({ error: errorMessage(error) }, "the state of the connection cannot be written down");
    }
  }

  return {
    connected: () => write(true, ""),
    ended: (why) => write(false, why.slice(0, DETAIL_CHARS_MAX)),
  };
}

/** What a running agent wrote; undefined when there is nothing, or nothing that can be read. */
export function readConnectionStatus(path: string): ConnectionStatus | undefined {
  try {
    const { isConnected, atMs, detail } = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    if (typeof isConnected !== "boolean" || typeof atMs !== "number") return undefined;
    return { isConnected, atMs, detail: String(detail) };
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}
