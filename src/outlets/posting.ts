import type { Notifier, View } from "../announcements/model.ts";
import { DeliveryError } from "../lib/errors.ts";
import { hashUuid } from "../lib/hash.ts";

/** What can post, and neither edit, look, nor answer: an end is a message of its own. */
export function postsOnly(
  { outlet, intervalMs, reach }: Pick<Notifier, "outlet" | "intervalMs"> & Pick<Required<Notifier>, "reach">,
  post: (view: View, signal: AbortSignal) => Promise<string | null>,
): Notifier {
  return {
    outlet,
    intervalMs,
    edits: false,
    reach,
    post: async (view, signal) => ({ externalId: await post(view, signal) }),
    edit: () => Promise.reject(new DeliveryError("never", "a message cannot be edited here")),
    find: async () => undefined,
    reply: null,
  };
}

/**
 * By which a view is the same one, wherever it is told again. Ids begin anew in another database, and two servers may tell one outlet: when it
 * began is part of it.
 */
export function identityOf(view: View): string {
  switch (view.kind) {
    case "incident":
      return `incident-${view.incident.id}-${view.incident.createdAt.getTime()}`;
    case "storm":
      return `storm-${view.storm.id}-${view.storm.startedAt.getTime()}`;
    case "notice":
      return `notice-${view.notice.id}-${hashUuid(view.notice.title)}`;
  }
}

/** How bad it is, for outlets that have colours or priorities. */
export type Grade = "over" | "critical" | "warning" | "info";

/** Of a view: a storm is as bad as it gets, a notice tells. */
export function gradeOf(view: View): Grade {
  switch (view.kind) {
    case "incident":
      return view.incident.status === "resolved" ? "over" : (view.incident.severity ?? "warning");
    case "storm":
      return view.storm.endedAt === null ? "critical" : "over";
    case "notice":
      return "info";
  }
}

/** By grade, as 24 bits of red, green and blue. */
export const COLOURS: Readonly<Record<Grade, number>> = {
  over: 0x2e_b6_7d,
  critical: 0xe0_1e_5a,
  warning: 0xec_b2_2e,
  info: 0x36_c5_f0,
};
