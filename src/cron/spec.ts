import type { JobSpec } from "./model.ts";
import { patternFault, zoneFault } from "./schedule.ts";

const GRACE_S = 300;
const ZONE = "UTC";

/** What a person says of a job. */
export interface JobFields {
  readonly schedule?: string | undefined;
  readonly zone?: string | undefined;
  readonly every_s?: number | undefined;
  readonly grace_s?: number | undefined;
  readonly limit_s?: number | undefined;
}

/** Reads what is expected of a job: a schedule or an interval, and how much patience; else what is wrong, by field. */
export function readJob(
  fields: JobFields,
): { ok: true; spec: JobSpec } | { ok: false; faults: { field: string; message: string }[] } {
  const { schedule: cron, zone = ZONE, every_s: everyS, grace_s: graceS = GRACE_S, limit_s: limitS } = fields;
  const rest = { graceMs: graceS * 1000, limitMs: limitS === undefined ? null : limitS * 1000 };
  if (cron === undefined && everyS !== undefined) {
    if (fields.zone === undefined) return { ok: true, spec: { schedule: { everyMs: everyS * 1000 }, ...rest } };
    return { ok: false, faults: [{ field: "zone", message: "goes with a schedule alone" }] };
  }
  if (cron === undefined || everyS !== undefined) {
    return { ok: false, faults: [{ field: "schedule", message: "a job has a schedule or an interval, one of them" }] };
  }
  const inZone = zoneFault(zone);
  const inPattern = inZone === undefined ? patternFault(cron, zone) : undefined;
  if (inZone !== undefined) return { ok: false, faults: [{ field: "zone", message: inZone }] };
  if (inPattern !== undefined) return { ok: false, faults: [{ field: "schedule", message: inPattern }] };
  return { ok: true, spec: { schedule: { cron, zone }, ...rest } };
}
