import type { TransactionSql } from "postgres";
import type { AcceptedAlert, AlertRecorder, TimedFrame } from "../ingest/model.ts";
import { joinRawError } from "../protocol/raw-error.ts";
import { readFacts, writePlan } from "./alert-store.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { type IncomingAlert, planGrouping } from "./grouping.ts";

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
  const { uuid, origin, agentId, messageId, alert } = frame;
  return {
    uuid,
    origin,
    agentId,
    messageId,
    fingerprint: fingerprintOf(frame, alert),
    type: alert.type,
    source: alert.source,
    state: alert.state ?? "firing",
    severity: alert.severity ?? null,
    exitCode: alert.exit_code ?? null,
    ...joinRawError(alert.message, alert.logs),
    occurredAt: receivedAt - frame.ageMs,
    receivedAt,
  };
}
