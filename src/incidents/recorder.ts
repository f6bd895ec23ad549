import type { TransactionSql } from "postgres";
import type { AcceptedAlert, AlertRecorder, TimedFrame } from "../ingest/model.ts";
import { stripControls } from "../lib/controls.ts";
import { hashUuid } from "../lib/hash.ts";
import { joinRawError } from "../protocol/raw-error.ts";
import { readFacts, writePlan } from "./alert-store.ts";
import { type IncomingAlert, planGrouping } from "./grouping.ts";
import { keyedFingerprint, plainFingerprint } from "./keyed.ts";
import type { IncidentOrigin } from "./model.ts";

/**
 * Turns accepted alerts into rows: what the database knows, then the grouping plan, then its rows. `opened` does what follows
 * from incidents that opened, in the same transaction.
 */
export function createAlertRecorder(options: {
  incidentGroupWindowMs: number;
  opened: (tx: TransactionSql, ids: readonly number[]) => Promise<void>;
}): AlertRecorder {
  return {
    async record(tx: TransactionSql, frames: readonly TimedFrame<AcceptedAlert>[]): Promise<void> {
      const alerts = frames.map(toIncoming);
      const facts = await readFacts(tx, alerts);
      const plan = planGrouping(alerts, facts, options.incidentGroupWindowMs);
      await writePlan(tx, plan, (opened) => options.opened(tx, opened));
    },
  };
}

function toIncoming({ frame, receivedAt }: TimedFrame<AcceptedAlert>): IncomingAlert {
  const { uuid, origin, agentId, messageId } = frame;
  const alert = { ...frame.alert, message: stripControls(frame.alert.message) };
  return {
    uuid,
    origin,
    agentId,
    messageId,
    fingerprint:
      frame.key === undefined ? fingerprintOf(frame, alert) : keyedFingerprint(frame.senderId ?? agentId, frame.key),
    isKeyed: frame.key !== undefined,
    type: alert.type,
    source: alert.source,
    state: alert.state ?? "firing",
    severity: alert.severity ?? null,
    exitCode: alert.exit_code ?? null,
    ...joinRawError(alert.message, alert.logs && stripControls(alert.logs)),
    occurredAt: receivedAt - frame.ageMs,
    receivedAt,
  };
}

/** How much of a message tells two problems apart: what follows is detail. */
const MESSAGE_CHARS = 512;

const ZERO = 48;
const NINE = 57;
const SPACE = 32;

/**
 * What makes two alerts the same problem: who says so (an agent, or the server of that agent), type, source and the message without its numbers. A UUID-shaped SHA-256
 * prefix, so that it costs 16 bytes in the row and in the index.
 */
export function fingerprintOf(
  { origin, agentId }: { origin: IncidentOrigin; agentId: string },
  { type, source, message }: { type: string; source: string; message: string },
): string {
  const whose = origin === "agent" ? agentId : `${origin}\0${agentId}`;
  const hash = hashUuid(`${whose}\0${type}\0${source}\0${normalise(message)}`);
  return origin === "integration" ? plainFingerprint(hash) : hash;
}

/**
 * The message's first 512 characters with each run of digits (and of letters and digits that holds a digit, such as a
 * container's id) as `#` and each run of white space as one space. One pass, no regular expression.
 */
export function normalise(message: string): string {
  const end = Math.min(message.length, MESSAGE_CHARS);
  let normalised = "";
  let start = 0;
  while (start < end) {
    let at = start;
    let hasDigit = false;
    for (; at < end && isWord(message.charCodeAt(at)); at++) hasDigit ||= isDigit(message.charCodeAt(at));
    if (at > start) normalised += hasDigit ? "#" : message.slice(start, at);
    const wordEnd = at;
    let blank = false;
    for (; at < end && !isWord(message.charCodeAt(at)); at++) {
      if (message.charCodeAt(at) > SPACE) {
        normalised += blank ? ` ${message[at]}` : message[at];
        blank = false;
      } else blank = true;
    }
    if (blank && at > wordEnd) normalised += " ";
    start = at;
  }
  return normalised.trim();
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE;
}

function isWord(code: number): boolean {
  return isDigit(code) || (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code > 127;
}
