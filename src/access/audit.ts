import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { AccessAudit, Refusal } from "./model.ts";

/** The same refusal again and again is one line in this time. */
const REPEAT_MS = 60_000;
/** In this time no more lines than this: strangers who guess must not fill the database. */
const LINES_MAX = 20;
/** Refusals that are remembered; beyond it the oldest are forgotten. */
const REMEMBERED_MAX = 1_000;

interface AuditDeps {
  /** Writes a line of the audit trail. */
  note: (line: { kind: string; actor: string; data?: object }) => Promise<void>;
  clock: Pick<Clock, "monotonicMs">;
  log: Log;
}

/** Makes the part of the audit trail that is about access itself. */
export function createAccessAudit({ note, clock, log }: AuditDeps): AccessAudit {
  const told = new Map<string, number>();
  let [lines, windowEndMs] = [0, 0];

  async function write(line: Parameters<AuditDeps["note"]>[0]): Promise<void> {
    try {
      await note(line);
    } catch (error) {
      log.warn({ error: errorMessage(error), kind: line.kind, actor: line.actor }, "the audit trail lacks a line");
    }
  }

  /** Whether it is news, and there is room for it. */
  function isDue({ kind, actor, data }: Refusal): boolean {
    const nowMs = clock.monotonicMs();
    const key = JSON.stringify([kind, actor, data.route]);
    if (nowMs < (told.get(key) ?? 0)) return false;
    if (nowMs >= windowEndMs) [lines, windowEndMs] = [0, nowMs + REPEAT_MS];
    if (lines >= LINES_MAX) return false;
    lines++;
    const [oldest] = told.keys();
    if (oldest !== undefined && told.size >= REMEMBERED_MAX) told.delete(oldest);
    told.delete(key);
    told.set(key, nowMs + REPEAT_MS);
    return true;
  }

  return {
    refused(refusal) {
      if (isDue(refusal)) void write(refusal);
    },
    session: (kind, actor, data) => write({ kind, actor, ...(data ? { data } : {}) }),
  };
}
