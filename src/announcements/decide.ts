/**
 * Whether people are notified of incidents, decided for one outlet by its leader: again and again, of rows whose incident changed
 * since, or whose time has come. The muters are asked in their order, and the first that answers for an incident counts:
 *
 *   routed elsewhere          withheld, too; routing-store.ts says when it is decided again
 *   muted                     withheld, and why; decided again when the incident changes (a silence that ends changes it)
 *   muted by a storm          told in the storm's one message: nothing more happens to its row
 *   else                      waiting: it gets a message of its own; what flaps takes the one over that its incident before had
 *
 * When deciding throws for a reason of ours, the batch is halved until the culprit is alone: all others are decided at once, that
 * one is tried again later.
 */
import type { TransactionSql } from "postgres";
import { isDatabaseAway } from "../db/away.ts";
import type { Candidate, Mute, Muter, Note } from "../incidents/model.ts";
import { type BackoffOptions, backoffMs } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import { durationWords } from "../lib/units.ts";
import { takeMessagesOver } from "./flapping-store.ts";
import type { OutletDeps } from "./outlet.ts";
import type { OutletStore } from "./outlet-store.ts";
import type { CandidateRow, NotifyChoice, UndecidedRow } from "./rows.ts";

/** Rows that are decided in one transaction. */
const CHUNK_ROWS = 200;
/** Of which so many come before the next message is posted. */
const CHUNKS_MAX = 5;
const RETRY: BackoffOptions = { minMs: 1_000, maxMs: 300_000 };
const SYSTEM = "system";

/** Withheld when it is found so before the first message, however that comes. */
export const OVER_BEFORE = "it was resolved before anybody was told";

/** The same of what only asks that somebody acknowledges it. */
export const TAKEN_UP_BEFORE = "somebody acknowledged it before, or it ended";

/** Mutes what is over, unless it is critical: nobody needs to get up for it. */
export const alreadyOver: Muter = {
  name: "already over",
  mutes: async (_, incidents) => {
    const over = incidents.filter(({ status, severity }) => status === "resolved" && severity !== "critical");
    return new Map(over.map(({ id }) => [id, { why: OVER_BEFORE }]));
  },
};

interface DeciderDeps extends Pick<OutletDeps, "sql" | "muters" | "writer" | "log" | "metrics" | "escalatesAfterMs"> {
  outlet: string;
  store: OutletStore;
}

/** Decides for one outlet. Only its leader does. */
export function createDecider(deps: DeciderDeps) {
  const { outlet, sql, store, muters, writer, log, metrics, escalatesAfterMs = null } = deps;

  async function decideApart(rows: readonly UndecidedRow[]): Promise<void> {
    try {
      await sql.begin((tx) => decideTogether(tx, rows));
    } catch (error) {
      if (isDatabaseAway(error)) throw error;
      const [first] = rows;
      if (rows.length === 1 && first) return postpone(first, error);
      const half = rows.length >> 1;
      await decideApart(rows.slice(0, half));
      await decideApart(rows.slice(half));
    }
  }

  async function decideTogether(tx: TransactionSql, rows: readonly UndecidedRow[]): Promise<void> {
    const ids = new Set(rows.map(({ id }) => id));
    const incidentIds = rows.map(({ incidentId }) => incidentId);
    const all = await store.lockRows(tx, incidentIds);
    const mine = all.filter((row) => ids.has(row.id) && row.isOpen && isUndecided(row));
    const incidents = mine.map(({ incident }) => incident);
    const mutes = await askMuters(tx, incidents);
    const choices = mine.map((row) => choiceOf(row, mutes.get(row.incident.id), escalatesAfterMs));
    await store.writeChoices(tx, choices);
    // Nobody would hear that a message is edited.
    if (escalatesAfterMs === null) await takeOver(tx, choices);
    const notes = incidents.flatMap(({ id }, at) => (mutes.get(id)?.isRouted ? [] : noteOf(id, choices[at], all)));
    await writer.note(tx, notes);
  }

  /** What flaps goes on in the message that there is. */
  async function takeOver(tx: TransactionSql, choices: readonly NotifyChoice[]): Promise<void> {
    const waiting = choices.filter(({ state }) => state === "waiting").map(({ id }) => id);
    const taken = waiting.length === 0 ? [] : await takeMessagesOver(tx, waiting);
    const notes = taken.map(({ incidentId, before }) => {
      const data = { outlet, why: `it flaps, and goes on in the message of incident #${before}` };
      return { kind: "announced", actor: SYSTEM, incidentId, data };
    });
    await writer.note(tx, notes);
  }

  async function askMuters(tx: TransactionSql, incidents: readonly Candidate[]): Promise<Map<number, Mute>> {
    const mutes = new Map<number, Mute>();
    for (const muter of muters) {
      const left = incidents.filter(({ id }) => !mutes.has(id));
      if (left.length === 0) break;
      for (const [id, mute] of await muter.mutes(tx, left, outlet)) mutes.set(id, mute);
    }
    return mutes;
  }

  /** What the timeline is told; nothing where it says so already, of this outlet or of another. */
  function noteOf(incidentId: number, choice: NotifyChoice | undefined, all: readonly CandidateRow[]): Note[] {
    if (choice?.state !== "withheld") return [];
    const { why, stormId } = choice;
    if (stormId !== null) return [{ kind: "announced", actor: SYSTEM, incidentId, data: { outlet, why } }];
    const isSaid = all.some((row) => row.incident.id === incidentId && row.state === "withheld" && row.why === why);
    return isSaid ? [] : [{ kind: "withheld", actor: SYSTEM, incidentId, data: { why } }];
  }

  async function postpone(row: UndecidedRow, error: unknown): Promise<void> {
    metrics.attempts.inc({ outlet, outcome: "decide_failed" });
    log.error({ outlet, incident: row.incidentId, error }, "it could not be decided whether people are notified");
    await store.postpone(row, backoffMs(row.failures, RETRY), errorMessage(error));
  }

  return {
    /** Decides what is due; true when there is more, which is left for later so that what is decided can be posted. */
    async decideDue(signal: AbortSignal): Promise<boolean> {
      for (let chunks = 0; chunks < CHUNKS_MAX && !signal.aborted; chunks++) {
        const rows = await store.findUndecided(CHUNK_ROWS);
        if (rows.length > 0) await decideApart(rows);
        if (rows.length < CHUNK_ROWS) return false;
      }
      return true;
    },
  };
}

const isUndecided = ({ state }: CandidateRow) => state === "undecided" || state === "withheld";

function choiceOf(
  { id, revision, incident }: CandidateRow,
  mute: Mute | undefined,
  escalatesAfterMs: number | null,
): NotifyChoice {
  const { why = whyNotified(incident, escalatesAfterMs), stormId = null, againInS = null } = mute ?? {};
  return { id, state: mute ? "withheld" : "waiting", why, revision, stormId, againInS };
}

/** A consequence that nobody mutes has outlived its cause. */
function whyNotified({ previousId, parentId, status }: Candidate, escalatesAfterMs: number | null): string {
  if (escalatesAfterMs !== null)
    return `critical, and nobody has acknowledged it for ${durationWords(escalatesAfterMs)}`;
  if (status === "resolved") return "critical; it was resolved before anybody was told";
  if (parentId !== null) return `still open 5 minutes after its cause, incident #${parentId}, was resolved`;
  return previousId === null
    ? "a new problem on this host"
    : `it is back: incident #${previousId} was the same problem`;
}
