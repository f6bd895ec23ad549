import type { TransactionSql } from "postgres";
import type { AcceptedAlert, AlertRecorder, TimedFrame } from "../ingest/model.ts";
import { readFacts, writePlan } from "./alert-store.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { planGrouping } from "./grouping.ts";
import type { IncomingAlert } from "./grouping-model.ts";

/** Between a message and its logs in `raw_error`. */
const LOGS_MARK = "\n\nLogs:\n";

export interface AlertRecorderDeps {
  incidentGroupWindowMs: number;
  /** What follows from incidents that opened, in the same transaction. */
  opened: (tx: TransactionSql, ids: readonly number[]) => Promise<void>;
}

/** Turns accepted alerts into rows: what the database knows, then the grouping plan, then one statement. */
export function createAlertRecorder(options: AlertRecorderDeps): AlertRecorder {
  return {
    async record(tx: TransactionSql, frames: readonly TimedFrame<AcceptedAlert>[]): Promise<void> {
      const alerts = frames.map(toIncoming);
      const facts = await readFacts(tx, alerts);
      const opened = await writePlan(tx, planGrouping(alerts, facts, options.incidentGroupWindowMs));
      if (opened.length > 0) await options.opened(tx, opened);
    },
  };
}

function toIncoming({ frame, receivedAt }: TimedFrame<AcceptedAlert>): IncomingAlert {
  const { uuid, agentId, messageId, alert } = frame;
  return {
    uuid,
    agentId,
    messageId,
    fingerprint: fingerprintOf(agentId, alert.type, alert.source, alert.message),
    type: alert.type,
    source: alert.source,
    state: alert.state ?? "firing",
    severity: alert.severity ?? null,
    exitCode: alert.exit_code ?? null,
    rawError: alert.logs ? alert.message + LOGS_MARK + alert.logs : alert.message,
    messageChars: codePoints(alert.message),
    occurredAt: receivedAt - frame.ageMs,
    receivedAt,
  };
}

/** Characters as PostgreSQL counts them. */
function codePoints(text: string): number {
  let count = text.length;
  for (let at = 0; at < text.length; at++) if ((text.charCodeAt(at) & 0xfc00) === 0xdc00) count--;
  return count;
}
