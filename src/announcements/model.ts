import type { Sql, TransactionSql } from "postgres";
import type { Feedback } from "../feedback/model.ts";
import type { DecisionAction } from "../protocol/actions.ts";

/** What a decision looks like in a message. */
export interface DecisionLine {
  id: string;
  action: DecisionAction;
  variant: string | null;
  actorName: string;
  state: string;
  /** What came of it, in words: "restarted by @ana, active again after 4 s"; null while nothing did. */
  outcome: string | null;
  requestedAt: Date;
  ended: boolean;
}

/** An incident as an outlet tells it. Nothing in it is redacted or escaped yet: that is the outlet's first step. */
export interface IncidentView {
  id: number;
  agentId: string;
  hostname: string | null;
  type: string;
  source: string;
  severity: "info" | "warning" | "critical" | null;
  status: "new" | "analyzed" | "acknowledged" | "ignored" | "resolved";
  occurrences: number;
  createdAt: Date;
  lastSeenAt: Date;
  resolvedAt: Date | null;
  /** Why it ended, in words. */
  reason: string | null;
  message: string;
  explanation: {
    by: "heuristic" | "model";
    category: string;
    confidence: number;
    cause: string;
    fix: string;
    /** A model's, not checked: shown as text only. */
    fixCommand: string | null;
    evidence: string[];
  } | null;
  /** What a person said of its explanation, and of those of earlier incidents of the same problem, the last word first. */
  feedback: Feedback | null;
  earlierFeedback: readonly Feedback[];
  /** Why it is announced, in words. */
  why: string;
  /**
   * Opened this often within `windowMs`, or each time within `windowMs` of the time before; null when it does not flap. `wellSince`:
   * its sender says that it is over, which is to hold first.
   */
  flapping: { times: number; windowMs: number; wellSince?: Date | null } | null;
  /** Of restarts for the same fingerprint: how many cleared it; null when none was tried. */
  learnt: { cleared: number; tried: number } | null;
  /** Open incidents that follow from this one, newest last, and how many they are. */
  consequences: { id: number; source: string; message: string; reason: string | null }[];
  consequencesTotal: number;
  parentId: number | null;
  previousId: number | null;
  decisions: DecisionLine[];
  /** Which buttons make sense now. */
  can: Record<DecisionAction, boolean>;
  /** A model may look into it on request. */
  canInvestigate?: boolean;
  /** The dashboard's page of it; null without PUBLIC_URL. */
  url: string | null;
}

/** Many incidents of a storm, in one message. */
export interface StormView {
  id: number;
  startedAt: Date;
  /** Null while the storm goes on. */
  endedAt: Date | null;
  total: number;
  open: number;
  /** The largest groups first. */
  byHost: { hostname: string; count: number }[];
  byCategory: { category: string; count: number }[];
  /** All that it holds, 500 at most: by host, the one with the most first, and by kind. */
  held?: readonly { id: number; hostname: string; kind: string; source: string }[];
  newest: {
    id: number;
    hostname: string | null;
    type: string;
    source: string;
    message: string;
    severity: string | null;
  }[];
  url: string | null;
}

/** Something to say that is no incident's message: the daily digest, or that an incident is still open. It is posted, and never edited. */
export interface NoticeView {
  /** By which it is known again. */
  id: number;
  title: string;
  /** In the order in which they are read; an empty one parts two groups. */
  lines: readonly string[];
  /** Of which incident it speaks; null for a digest. */
  incidentId: number | null;
  /** The dashboard's page for it; null without PUBLIC_URL. */
  url: string | null;
}

/** What is told. `endOf`: only how the incident ended, in a new message, since that one (by its external id) cannot be edited. */
export type View =
  | { kind: "incident"; incident: IncidentView; endOf?: string | null }
  | { kind: "storm"; storm: StormView }
  | { kind: "notice"; notice: NoticeView };

/** Said beneath an incident's message. */
export interface Reply {
  text: string;
  /** At most 64 KiB. */
  file: { name: string; content: string } | null;
  /** To be heard by everybody who hears of messages, where an outlet's threads are heard by fewer. */
  isLoud?: boolean;
}

/** Where people are told: one file for each outlet. A third is a third file. */
export interface Notifier {
  /** As `announcements.outlet` names it, 20 characters at most. */
  readonly outlet: string;
  /** Least time between two calls that post or edit, milliseconds. */
  readonly intervalMs: number;
  /** Whether what was posted is edited as the incident changes; else only its end is posted, as a message of its own. */
  readonly edits: boolean;
  /**
   * Whether a post of which nobody knows how it ended may be made again without an end: it is looked for first, or its second coming is known
   * there for the same. Else it is made once more, and then given up. Where it is not said, what can be edited can.
   */
  readonly canRepeat?: boolean;
  /** False where a raised counter alone is no news: then nothing is edited for it. */
  readonly repeats?: boolean;
  /** False where a message that cannot be edited cannot be followed by another one. */
  readonly endsAnew?: boolean;
  /** False where nobody is to be reminded of what is still open: the outlet does that by itself. */
  readonly reminds?: boolean;
  /** Throws a DeliveryError. The external id is null where the outlet gives none. */
  post(view: View, signal: AbortSignal): Promise<{ externalId: string | null }>;
  edit(externalId: string | null, view: View, signal: AbortSignal): Promise<void>;
  /**
   * Whether an earlier post, of which nobody knows how it ended, came through since: its external id, or undefined when
   * it did not. An outlet that cannot look answers undefined, and it is posted again, once at most.
   */
  find(view: View, since: Date, signal: AbortSignal): Promise<string | undefined>;
  /**
   * Asks for a sign of life that changes nothing, before something is tried again; throws a DeliveryError when the outlet is away.
   * Where it is not given, the next message is the question.
   */
  reach?(signal: AbortSignal): Promise<void>;
  /** Resolves with the reply's own id, null where the outlet gives none. Null where the outlet has no threads. */
  readonly reply:
    | ((externalId: string | null, subject: string, reply: Reply, signal: AbortSignal) => Promise<string | null>)
    | null;
  /** Shows another text in a reply that has an id; where it is not given, a reply stays as it was first said. */
  editReply?(externalId: string, reply: Reply, signal: AbortSignal): Promise<void>;
}

/** Announcements as other features use them. */
export interface AnnouncementService {
  /**
   * Puts something beneath the incident's messages, once for each `subject` (at most 100 characters). It comes with the next look at
   * the outlet: at once when the transaction changes the incident, too.
   */
  reply(sql: Sql | TransactionSql, incidentId: number, subject: string, reply: Reply): Promise<void>;
  /**
   * The same for what goes on: one reply for each `subject`, which is edited to what was said last. Nothing where people were not told
   * of the incident.
   */
  keepReply(sql: Sql | TransactionSql, incidentId: number, subject: string, reply: Reply): Promise<void>;
  /** The incident that a message is about; undefined when the message is none of ours. */
  incidentOf(outlet: string, externalId: string): Promise<number | undefined>;
  /** Whether a message of the incident may stand in the outlet already, although nobody has heard so yet. */
  isInFlight(outlet: string, incidentId: number): Promise<boolean>;
  /** Something of these incidents changed that their messages show although they are over: they are edited once more. */
  followAgain(tx: TransactionSql, incidentIds: readonly number[]): Promise<void>;
}
