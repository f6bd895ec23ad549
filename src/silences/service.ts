/**
 * What is recorded and explained, but not announced. A silence is a person's patterns, or a decision about one problem (a
 * fingerprint). It is asked for each incident that would be announced (`match`), and looked at every few seconds
 * (`sweep`), since a problem can get worse, and a silence can end, without a new incident:
 *
 *   time            over at `until`; what it held back and still goes on is announced then
 *   until_resolved  over with its incident; the next incident of the problem is announced as usual
 *   until_worse     over when the problem comes more than twice as often, or with a higher severity: it is announced then
 *   never           over when somebody ends it
 */
import type { Sql, TransactionSql } from "postgres";
import type { Decided } from "../incidents/model.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import { isSelective, matchesGlob } from "../lib/glob.ts";
import type { Log } from "../lib/log.ts";
import { type Running, repeat } from "../lib/repeat.ts";
import type { Silenceable, SilenceEnd, SilenceService } from "./model.ts";
import type { OpenSilence, SilencedIncident, SilenceStore } from "./store.ts";
import { baselineOf, worseThan } from "./worse.ts";

const SWEEP_INTERVAL_MS = 5_000;
/** Each is compared with each incident that is to be announced. */
const PATTERNS_MAX = 1_000;
/** An ignored problem whose time is over goes on when it came within this. */
const GOES_ON_S = 600;
const SYSTEM = "system";

type Query = Sql | TransactionSql;
type IgnoreEnds = Parameters<SilenceService["ignore"]>[2];

export interface SilenceDeps {
  sql: Sql;
  store: SilenceStore;
  /** What a silence no longer holds back is to be announced, in the transaction that ends the silence. */
  announce: (tx: TransactionSql, incidentIds: readonly number[]) => Promise<void>;
  clock: Clock;
  log: Log;
}

/** Silences, and what the composition root does with them. */
export interface Silences extends SilenceService {
  /** A person changed an incident's status otherwise than by a decision; in that transaction. */
  decided(tx: TransactionSql, change: Decided): Promise<void>;
  /** Ends what is over; the incidents that are to be announced for it. Every node may do it at once. */
  sweep(): Promise<number[]>;
  start(): void;
  stop(): Promise<void>;
}

/** Makes the silences of this node. */
export function createSilences({ sql, store, announce, clock, log }: SilenceDeps): Silences {
  let sweeping: Running | undefined;

  async function ignore(tx: Query, incidentId: number, ends: IgnoreEnds, actor: string): Promise<void> {
    const incident = ends === "until_worse" ? await store.incident(tx, incidentId) : undefined;
    const baseline = incident ? baselineOf(incident.severity, await store.frequencyOf(tx, incident)) : null;
    const hours = ends === "1h" ? 1 : null;
    await store.createForIncident(tx, { incidentId, ends: END_OF[ends], hours, baseline, actor });
  }

  async function worse(tx: Query, silence: OpenSilence, incident: Silenceable): Promise<string | undefined> {
    if (silence.baseline === null) return undefined;
    const { alerts } = await store.frequencyOf(tx, incident);
    return worseThan(silence.baseline, incident.severity, alerts);
  }

  /** Why the incident is silenced, or undefined; a silence that it has outgrown ends. */
  async function whyOf(tx: Query, open: readonly OpenSilence[], incident: Silenceable): Promise<string | undefined> {
    for (const silence of open) {
      if (!speaksOf(silence, incident)) continue;
      const why = silence.ends === "until_worse" ? await worse(tx, silence, incident) : undefined;
      if (why === undefined) return inWords(silence);
      await store.end(tx, [silence.id], { actor: SYSTEM, why, incidentId: incident.id });
    }
    return undefined;
  }

  /** What it held back and still goes on, once it is over. */
  async function heldBack(tx: Query, silence: OpenSilence): Promise<number[]> {
    if (silence.fingerprint !== null) {
      const incident = await store.openIncident(tx, silence.fingerprint, silence.agent ?? "");
      return incident && incident.quietS < GOES_ON_S ? [incident.id] : [];
    }
    const open = await store.openSince(tx, silence.created_at);
    return open.filter((one) => one.isUndecided && speaksOf(silence, one)).map(({ id }) => id);
  }

  async function expire(tx: TransactionSql, silence: OpenSilence): Promise<number[]> {
    if (silence.ends === "until_resolved") {
      await store.end(tx, [silence.id], { actor: SYSTEM, why: "its incident is resolved" });
      return [];
    }
    const ids = await heldBack(tx, silence);
    const incidentId = silence.fingerprint === null ? null : ids[0];
    await store.end(tx, [silence.id], { actor: SYSTEM, why: "its time is over", incidentId });
    return ids;
  }

  /** Ends one silence that is due; the incidents to announce. */
  async function settle(tx: TransactionSql, silence: OpenSilence & { isOver: boolean }): Promise<number[]> {
    if (silence.isOver) return expire(tx, silence);
    const incident = await store.openIncident(tx, silence.fingerprint ?? "", silence.agent ?? "");
    const why = incident && (await worse(tx, silence, incident));
    if (!incident || why === undefined) return [];
    await store.end(tx, [silence.id], { actor: SYSTEM, why, incidentId: incident.id });
    return [incident.id];
  }

  async function sweep(): Promise<number[]> {
    return (await sql.begin(async (tx) => {
      const ids: number[] = [];
      for (const silence of await store.findDue(tx)) ids.push(...(await settle(tx, silence)));
      const distinct = [...new Set(ids)];
      if (distinct.length > 0) await announce(tx, distinct);
      return distinct;
    })) as number[];
  }

  return {
    async list({ limit, ...page }) {
      const found = await store.list({ ...page, limit: limit + 1 });
      const silences = found.slice(0, limit);
      const last = silences.at(-1);
      return found.length > limit && last ? { silences, nextCursor: last.id } : { silences };
    },
    create: (silence, actor) => store.create(silence, actor, PATTERNS_MAX),
    async end(id, actor) {
      return (await sql.begin(async (tx) => {
        const [ended] = await store.end(tx, [id], { actor, why: "ended by a person" });
        if (!ended) return false;
        const ids = ended.fingerprint === null ? await heldBack(tx, ended) : [];
        if (ids.length > 0) await announce(tx, ids);
        return true;
      })) as boolean;
    },
    ignore,
    async match(tx, incidents) {
      const reasons = new Map<number, string>();
      if (incidents.length === 0) return reasons;
      const open = await store.findOpen(tx, [...new Set(incidents.map(({ fingerprint }) => fingerprint))]);
      for (const incident of incidents) {
        const why = await whyOf(tx, open, incident);
        if (why !== undefined) reasons.set(incident.id, why);
      }
      return reasons;
    },
    async decided(tx, { incidentId, status, actor }) {
      if (status === "acknowledged") return;
      const open = await store.ofIncident(tx, incidentId);
      if (status === "ignored") {
        // A decision that says for how long stands.
        if (open.length === 0) await ignore(tx, incidentId, "until_resolved", actor);
        return;
      }
      const over = open.filter(({ ends }) => ends === "until_resolved").map(({ id }) => id);
      if (over.length > 0) await store.end(tx, over, { actor, why: "its incident is resolved" });
    },
    sweep,
    start() {
      const failed = (error: unknown) => log.warn({ error: errorMessage(error) }, "silences could not be looked at");
      sweeping ??= repeat(clock, SWEEP_INTERVAL_MS, async () => void (await sweep()), failed);
    },
    stop: async () => sweeping?.stop(),
  };
}

const END_OF: Record<IgnoreEnds, SilenceEnd> = {
  until_resolved: "until_resolved",
  "1h": "time",
  until_worse: "until_worse",
  for_good: "never",
};

/** Whether the silence is about this incident. */
function speaksOf(silence: OpenSilence, incident: Silenceable | SilencedIncident): boolean {
  if (silence.fingerprint !== null) return silence.fingerprint === incident.fingerprint;
  const fits = (pattern: string | null, text: string) => pattern === null || matchesGlob(pattern, text);
  return (
    fits(silence.type, incident.type) && fits(silence.source, incident.source) && fitsAgent(silence.agent, incident)
  );
}

/** Names of hosts and ids are written in either case. */
function fitsAgent(pattern: string | null, { agentId, hostname }: Silenceable): boolean {
  if (pattern === null) return true;
  const lower = pattern.toLowerCase();
  return matchesGlob(lower, agentId.toLowerCase()) || matchesGlob(lower, (hostname ?? "").toLowerCase());
}

function inWords(silence: OpenSilence): string {
  const { id, actor, comment, until } = silence;
  const about = silence.fingerprint === null ? `silence ${id} (${patternsOf(silence)})` : `ignored (silence ${id})`;
  const end = until === null ? ENDS_IN_WORDS[silence.ends] : `until ${until.toISOString()}`;
  return `${about} by ${actor}, ${end}${comment === null ? "" : `: ${comment}`}`;
}

const ENDS_IN_WORDS: Record<SilenceEnd, string> = {
  time: "for a time",
  until_resolved: "until it is resolved",
  until_worse: "until it gets worse",
  never: "for good",
};

function patternsOf({ agent, type, source }: OpenSilence): string {
  const parts = Object.entries({ agent, type, source }).filter(([, pattern]) => isSelective(pattern));
  return parts.length === 0 ? "everything" : parts.map(([name, pattern]) => `${name} ${pattern}`).join(", ");
}
