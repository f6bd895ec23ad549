import type { Candidate } from "../incidents/model.ts";
import type { NoticeView, Reply } from "./model.ts";

/** A notice, as its row holds it. */
export type NoticeContent = Pick<NoticeView, "title" | "lines">;

/** A row of which it is to be decided whether people are notified. */
export interface UndecidedRow {
  id: number;
  incidentId: number;
  /** Times in a row that deciding threw. */
  failures: number;
}

/** An incident's row on one outlet, as it stands before it is decided. */
export interface CandidateRow {
  id: number;
  outlet: string;
  state: string;
  why: string;
  isOpen: boolean;
  revision: number;
  incident: Candidate;
}

/** What was decided for a row. */
export interface NotifyChoice {
  id: number;
  state: "withheld" | "waiting";
  why: string;
  revision: number;
  /** When it is told in a storm's message. */
  stormId: number | null;
  /** When it is to be decided again though its incident does not change. */
  againInS: number | null;
}

/** A row that is to be posted, or of which it is to be found out whether it was. */
export interface DueRow {
  id: number;
  kind: "incident" | "storm" | "reply" | "notice";
  incidentId: number | null;
  subject: string;
  state: "waiting" | "unknown";
  why: string;
  /** Of the second message of a storm: which storm. */
  stormId: number | null;
  content: Reply | null;
  notice: NoticeContent | null;
  /** Of a reply that was said already, and is to show another text. */
  externalId: string | null;
  attempts: number;
  unknowns: number;
  attemptedAt: Date | null;
  /** Of a reply: the message that it belongs beneath, and how that one stands. Of an end: the message that it is the end of. */
  beneath: string | null;
  beneathState: string | null;
  isOver: boolean;
  /** Somebody acknowledged, ignored or resolved its incident, or it ended by itself. */
  isTakenUp: boolean;
}

/** A message that may not show the newest state. */
export interface BehindRow {
  id: number;
  kind: "incident" | "storm";
  incidentId: number | null;
  why: string;
  externalId: string | null;
  shownHash: string | null;
  /** Seconds since it was last edited; null when it never was. */
  editedAgoS: number | null;
  /** Edits in a row that failed. */
  failures: number;
  /** An earlier leader's call may have landed after this one's: it is edited whatever it is taken to show. */
  isDoubtful: boolean;
  lastError: string | null;
}

/** What an outlet shows after a call. */
export interface Shown {
  hash: string;
  revision: number;
}
