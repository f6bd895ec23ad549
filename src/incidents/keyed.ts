/**
 * Fingerprints of what integrations send. Some senders have a name of their own for each problem, others none; within this origin the first
 * digit says which, so that a recovery without a name ends nothing that has one.
 */
import { hashUuid } from "../lib/hash.ts";

const KEYED = "f";
const PLAIN = "0";

/** What makes alerts the same problem that have their sender's own name for it, on whatever host it is. */
export function keyedFingerprint(senderId: string, key: string): string {
  return KEYED + hashUuid(`integration\0${senderId}\0key\0${key}`).slice(1);
}

/** The fingerprint of what an integration sends without a name of its own. */
export function plainFingerprint(hash: string): string {
  return PLAIN + hash.slice(1);
}

/** Whether an integration's fingerprint is of its sender's own name. */
export function isKeyed(fingerprint: string): boolean {
  return fingerprint.startsWith(KEYED);
}
