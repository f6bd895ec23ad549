/**
 * Whether, and how, people are told of incidents that were just explained. In this order:
 *
 *   silenced          withheld; decided again when the silence ends (the job comes a second time)
 *   already resolved  withheld, unless critical: nobody needs to get up for what is over
 *   a consequence     withheld, attached to its cause; told if it is still open 5 minutes after the cause was resolved
 *   a storm           told in the storm's one digest message
 *   else              a message of its own
 *
 * Each outlet has one row for an incident, and a row that is decided stays so: a second run changes nothing.
 */
import type { TransactionSql } from "postgres";
import type { Silenceable } from "../silences/model.ts";
import { causeOf } from "./consequences.ts";
import type { Cause, Undecided } from "./decide-model.ts";
import type { Decided, DecideStore, Verdict } from "./decide-store.ts";
import type { AnnouncementService } from "./model.ts";
import { STORM_LIMIT, type StormStore } from "./storm-store.ts";

export interface DecideDeps {
  store: DecideStore;
  storms: StormStore;
  /** Names of the outlets that are set up. */
  outlets: readonly string[];
  /** SilenceService.match. */
  silenced: (tx: TransactionSql, incidents: readonly Silenceable[]) => Promise<Map<number, string>>;
  reply: AnnouncementService["reply"];
  /** Wakes who delivers, at the commit. */
  notify: (tx: TransactionSql) => Promise<void>;
}

/** What is known when a batch is decided. */
interface Known {
  decided: ReadonlyMap<string, Decided>;
  silenced: ReadonlyMap<number, string>;
  causes: readonly Cause[];
}

type Finding =
  | { kind: "withheld"; why: string }
  | { kind: "consequence"; causeId: number; why: string }
  | { kind: "told"; why: string };

/** Decides about a batch of incidents, in one transaction, alone over all nodes. */
export function createDecider(deps: DecideDeps) {
  const { store, storms, outlets } = deps;

  async function decideAll(tx: TransactionSql, ids: readonly number[]): Promise<void> {
    await storms.endOver(tx);
    const incidents = await store.find(tx, ids);
    const decided = await store.findDecided(tx, ids);
    const known: Known = {
      decided: new Map(decided.map((one) => [keyOf(one.incidentId, one.outlet), one])),
      silenced: await deps.silenced(tx, incidents),
      causes: await store.findCauses(tx, [...new Set(incidents.map((one) => one.agentId))]),
    };
    const open = incidents.filter(
      (one) => outlets.length === 0 || outlets.some((outlet) => isUndecided(one, outlet, known)),
    );
    await carryOut(
      tx,
      open.map((incident) => ({ incident, finding: findingOf(incident, known) })),
      known,
    );
    await tellEndedSilences(tx, ids);
  }

  async function carryOut(
    tx: TransactionSql,
    found: readonly { incident: Undecided; finding: Finding }[],
    known: Known,
  ): Promise<void> {
    await store.attach(
      tx,
      found.flatMap(({ incident: { id }, finding }) =>
        finding.kind === "consequence" ? [{ id, causeId: finding.causeId, reason: finding.why }] : [],
      ),
    );
    const withheld = found.filter(
      ({ finding, incident }) => finding.kind !== "told" && isNews(incident, finding, outlets, known),
    );
    await store.note(
      tx,
      withheld.map(({ incident, finding }) => ({ id: incident.id, kind: "withheld", data: { why: finding.why } })),
    );
    for (const outlet of outlets) {
      const mine = found.filter(({ incident }) => isUndecided(incident, outlet, known));
      await store.write(
        tx,
        mine.flatMap(({ incident, finding }) =>
          finding.kind === "told" ? [] : [verdict(incident.id, outlet, "withheld", finding.why)],
        ),
      );
      await tell(
        tx,
        outlet,
        mine.filter(({ finding }) => finding.kind === "told"),
      );
    }
  }

  /** A message each, up to the limit; the rest into the storm's digest. */
  async function tell(tx: TransactionSql, outlet: string, told: readonly { incident: Undecided; finding: Finding }[]) {
    if (told.length === 0) return;
    let digestId = await storms.findOpen(tx, outlet);
    const room = digestId === undefined ? Math.max(0, STORM_LIMIT - (await storms.countRecent(tx, outlet))) : 0;
    const own = told.slice(0, room);
    const rest = told.slice(room);
    await store.write(
      tx,
      own.map(({ incident, finding }) => verdict(incident.id, outlet, "waiting", finding.why)),
    );
    if (rest.length > 0) {
      digestId ??= await storms.begin(tx, outlet);
      const why = `one of more than ${STORM_LIMIT} new incidents a minute: told in one message for all of them`;
      await store.write(
        tx,
        rest.map(({ incident }) => ({ ...verdict(incident.id, outlet, "withheld", why), digestId: digestId ?? null })),
      );
      await store.note(
        tx,
        rest.map(({ incident: { id } }) => ({ id, kind: "announced", data: { outlet, why } })),
      );
    }
    await deps.notify(tx);
  }

  /** A problem that people know of, and had silenced, goes on: said beneath its message. */
  async function tellEndedSilences(tx: TransactionSql, ids: readonly number[]): Promise<void> {
    for (const { incidentId, silenceId, reason } of await store.findEndedSilences(tx, ids)) {
      const text = `No longer silenced (${reason}), and it goes on.`;
      await deps.reply(tx, incidentId, `silence-ended:${silenceId}`, { text, file: null });
    }
  }

  return {
    async decide(ids: readonly number[]): Promise<void> {
      if (ids.length > 0) await store.alone((tx) => decideAll(tx, ids));
    },
    /** Tells of incidents that were withheld, for a reason of its own; a storm and a silence hold them back as others. */
    async tellWithheld(tx: TransactionSql, whys: ReadonlyMap<number, string>): Promise<void> {
      const incidents = await store.find(tx, [...whys.keys()]);
      const silenced = await deps.silenced(tx, incidents);
      const told = incidents
        .filter(({ id }) => !silenced.has(id))
        .map((incident) => ({ incident, finding: { kind: "told", why: whys.get(incident.id) ?? "" } as const }));
      for (const outlet of outlets) await tell(tx, outlet, told);
    },
  };
}

export type Decider = ReturnType<typeof createDecider>;

const keyOf = (incidentId: number, outlet: string) => `${incidentId} ${outlet}`;

const verdict = (incidentId: number, outlet: string, state: Verdict["state"], why: string): Verdict => ({
  incidentId,
  outlet,
  state,
  why,
  digestId: null,
});

/** No row yet, or one that was withheld for something that may have ended since. */
function isUndecided({ id, parentId }: Undecided, outlet: string, { decided }: Known): boolean {
  const row = decided.get(keyOf(id, outlet));
  return row === undefined || (row.state === "withheld" && row.digestId === null && parentId === null);
}

/** Whether the timeline does not say so yet; without an outlet it is told only what is done once. */
function isNews({ id }: Undecided, { kind, why }: Finding, outlets: readonly string[], { decided }: Known): boolean {
  if (outlets.length === 0) return kind === "consequence";
  return ![...decided.values()].some((row) => row.incidentId === id && row.why === why);
}

function findingOf(incident: Undecided, { silenced, causes }: Known): Finding {
  const silence = silenced.get(incident.id);
  if (silence !== undefined) return { kind: "withheld", why: silence };
  if (incident.status === "resolved" && incident.severity !== "critical") {
    return { kind: "withheld", why: "it was resolved before anybody was told" };
  }
  if (incident.parentId !== null)
    return { kind: "withheld", why: incident.reason ?? `consequence of incident #${incident.parentId}` };
  const cause = causeOf(incident, causes);
  return cause
    ? { kind: "consequence", causeId: cause.causeId, why: cause.reason }
    : { kind: "told", why: whyTold(incident) };
}

function whyTold({ previousId, status }: Undecided): string {
  if (status === "resolved") return "critical; it was resolved before anybody was told";
  return previousId === null
    ? "a new problem on this host"
    : `it is back: incident #${previousId} was the same problem`;
}
