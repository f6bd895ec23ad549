import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSpool, type Spool } from "../../src/agent/spool.ts";
import type { SpoolFrame } from "../../src/agent/spool-segments.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { quiet } from "./log.ts";

const MIB = 2 ** 20;

/** A frame that is fine. */
export function spoolFrame(id: string, changes: Partial<SpoolFrame> = {}): SpoolFrame {
  return { id, type: "alert", data: `{"about":"${id}"}`, compression: "none", key: Bun.hash.crc32(id), ...changes };
}

/** A spool in the directory, as an agent opens it. */
export function spoolIn(dir: string, bytesMax = 64 * MIB, log = quiet): Spool {
  return openSpool({ dir, bytesMax, clock: createSystemClock(), log });
}

/** The ids of all that waits, in the order in which it would be sent; all of it is in flight then. */
export function takeAll(spool: Spool): string[] {
  const ids: string[] = [];
  for (let frame = spool.take(); frame; frame = spool.take()) ids.push(frame.id);
  return ids;
}

/** Runs with an empty directory, which is removed afterwards. */
export async function withDirectory<T>(task: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), "opspilot-spool-"));
  try {
    return await task(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
