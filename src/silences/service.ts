/**
 * What is recorded and explained, but not announced. A silence is a person's patterns, or a decision about one problem (a
 * fingerprint). It is asked for each incident of which is decided whether people are notified (`muter`), and looked at once it is
 * due and as incidents change (`sweep`), since people may have been notified of a problem before it was silenced:
 *
 *   time            over at `until`; of what it held back and still goes on is decided again then
 *   until_resolved  over with its incident; the next incident of the problem is announced as usual
 *   until_worse     over when the problem comes more than twice as often, or with a higher severity: it is announced then
 *   never           over when somebody ends it
 */
import type { Sql, TransactionSql } from "postgres";
import type { Candidate, Decided, IncidentWriter, Mute, Muter, Note, Silenceable } from "../incidents/model.ts";
import { isSelective, matchesGlob } from "../lib/glob.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import { cutPage } from "../lib/page.ts";
import type { IgnoreVariant } from "../protocol/actions.ts";
import { actorName } from "../protocol/actors.ts";
import type { FitStore } from "./fit-store.ts";
import type { Silence, SilenceEnd, SilenceService } from "./model.ts";
import type { Ending, OpenSilence, SilenceStore } from "./store.ts";

/** Where nobody wakes it: other nodes make silences, too. */
const SWEEP_INTERVAL_MS = 60_000;
/** Incidents change many times a second in a storm. */
const SWEEP_REST_MS = 1_000;
/** Each is compared with each incident that is to be announced. */
const PATTERNS_MAX = 1_000;
/** An ignored problem whose time is over goes on when it came within this. */
const GOES_ON_S = 600;
/** Of more changes at once whoever shows incidents reads its lists anew. */
const TOLD_MAX = 1_000;
const SYSTEM = "system";

interface SilenceDeps {
  sql: Sql;
  store: SilenceStore;
  fits: FitStore;
  writer: Pick<IncidentWriter, "touch" | "note">;
  loops: Loops;
}

/** A silence that is to end: why, and what goes on. */
interface Over extends Ending {
  why: string;
  /** Incidents of which is to be decided again. */
  heldBack: readonly number[];
}

/** Makes the silences of this node. */
export function createSilences({ sql, store, fits, writer, loops }: SilenceDeps) {
  let sweeping: Loop | undefined;

  /** With a line in the audit trail, and in the timeline of the incident that goes on. */
  async function end(tx: TransactionSql, endings: readonly (Ending & { why: string })[], actor: string) {
    if (endings.length === 0) return [];
    const whys = new Map(endings.map(({ id, why }) => [id, why]));
    const ended = await store.end(tx, endings);
    const notes = ended.map((one) => endedNote(one, actor, whys.get(one.id) ?? ""));
    await writer.note(tx, notes);
    await tellSpoken(tx, ended);
    return ended;
  }

  /** Whoever shows the open incidents of which these speak shows whether they are silenced. */
  async function tellSpoken(tx: TransactionSql, changed: readonly OpenSilence[]): Promise<void> {
    const problems = changed.flatMap(({ fingerprint }) => (fingerprint === null ? [] : [fingerprint]));
    const open = await store.openOf(tx, problems, { isAll: problems.length < changed.length });
    const spoken = open.filter((incident) => changed.some((silence) => speaksOf(silence, incident)));
    await store.tell(tx, spoken.map(({ id }) => id).slice(0, TOLD_MAX));
  }

  async function ignore(tx: TransactionSql, incidentId: number, variant: IgnoreVariant, actor: string): Promise<void> {
    const now = variant === "until_worse" ? (await store.frequencies(tx, [incidentId])).get(incidentId) : undefined;
    const baseline = now ? baselineOf(now.severity, now) : null;
    const hours = variant === "1h" ? 1 : null;
    const made = await store.createForIncident(tx, { incidentId, ends: END_OF[variant], hours, baseline, actor });
    if (made) await writer.note(tx, [{ ...createdNote(made), incidentId }]);
  }

  async function mutes(tx: TransactionSql, incidents: readonly Candidate[]): Promise<Map<number, Mute>> {
    if (incidents.length === 0) return new Map();
    await store.keepOpen(tx);
    const open = await store.findOpen(tx, [...new Set(incidents.map(({ fingerprint }) => fingerprint))]);
    const spoken = incidents.map((incident) => ({ incident, silences: open.filter((one) => speaksOf(one, incident)) }));
    const outgrown = await outgrownOf(tx, spoken);
    await end(tx, [...outgrown.values()], SYSTEM);
    return new Map(
      spoken.flatMap(({ incident, silences }) => {
        const silence = silences.find(({ id }) => !outgrown.has(id));
        return silence ? [[incident.id, { why: inWords(silence) }] as const] : [];
      }),
    );
  }

  async function silenced(incidents: readonly Silenceable[]): Promise<Set<number>> {
    if (incidents.length === 0) return new Set();
    const open = await store.findOpen(sql, [...new Set(incidents.map(({ fingerprint }) => fingerprint))]);
    return new Set(incidents.filter((one) => open.some((silence) => speaksOf(silence, one))).map(({ id }) => id));
  }

  /** Silences until it gets worse of incidents that did. */
  async function outgrownOf(
    tx: TransactionSql,
    spoken: readonly { incident: Silenceable; silences: readonly OpenSilence[] }[],
  ): Promise<Map<number, Ending & { why: string }>> {
    const watched = spoken.flatMap(({ incident, silences }) =>
      silences.filter(({ ends }) => ends === "until_worse").map((silence) => ({ incident, silence })),
    );
    if (watched.length === 0) return new Map();
    const ids = watched.map(({ incident }) => incident.id);
    const frequencies = await store.frequencies(tx, ids);
    return new Map(
      watched.flatMap(({ incident: { id, severity }, silence }) => {
        const why = worse(silence, severity, frequencies.get(id)?.alerts ?? 0);
        return why === undefined ? [] : [[silence.id, { id: silence.id, why, incidentId: id }] as const];
      }),
    );
  }

  /** What it held back and still goes on. */
  async function heldBackBy(tx: TransactionSql, silence: OpenSilence): Promise<number[]> {
    if (silence.fingerprint !== null) {
      const incident = await store.openIncident(tx, silence.fingerprint, silence.agent ?? "");
      return incident && incident.quietS < GOES_ON_S ? [incident.id] : [];
    }
    const open = await store.openSince(tx, silence.created_at);
    return open.filter((one) => one.isUndecided && speaksOf(silence, one)).map(({ id }) => id);
  }

  async function expired(tx: TransactionSql, silence: OpenSilence): Promise<Over> {
    const { id } = silence;
    if (silence.ends === "until_resolved") return { id, why: "its incident is resolved", heldBack: [] };
    const heldBack = await heldBackBy(tx, silence);
    const incidentId = silence.fingerprint === null ? undefined : heldBack[0];
    return { id, why: "its time is over", heldBack, incidentId };
  }

  async function findWorse(query: Sql | TransactionSql): Promise<Over[]> {
    return (await store.findWatched(query)).flatMap((one) => {
      const { id, openIncidentId: incidentId } = one;
      const why = worse(one, one.severity, one.alerts);
      return why === undefined ? [] : [{ id, why, incidentId, heldBack: [incidentId] }];
    });
  }

  async function settle(tx: TransactionSql): Promise<number[]> {
    await store.lockEnding(tx);
    const over: Over[] = [];
    for (const silence of await store.findOver(tx)) over.push(await expired(tx, silence));
    over.push(...(await findWorse(tx)));
    const ended = new Set((await end(tx, over, SYSTEM)).map(({ id }) => id));
    const ids = new Set(over.filter(({ id }) => ended.has(id)).flatMap(({ heldBack }) => heldBack));
    await writer.touch(tx, [...ids]);
    return [...ids];
  }

  /** Ends what is over; the incidents of which is decided again for it. Every node may do it at once: most find nothing. */
  async function sweep(): Promise<number[]> {
    const isDue = (await store.findOver(sql)).length > 0 || (await findWorse(sql)).length > 0;
    return isDue ? ((await sql.begin(settle)) as number[]) : [];
  }

  return {
    async list({ limit, ...page }) {
      const { rows: silences, ...next } = cutPage(await store.list({ ...page, limit: limit + 1 }), limit);
      return { silences, ...next };
    },
    async create(silence, actor) {
      const made = await sql.begin(async (tx) => {
        const created = await store.create(tx, silence, actor, PATTERNS_MAX);
        if (created) await writer.note(tx, [createdNote(created)]);
        if (created) await tellSpoken(tx, [{ ...created, baseline: null }]);
        return created;
      });
      sweeping?.wake();
      return made as Silence | undefined;
    },
    async end(id, actor) {
      return (await sql.begin(async (tx) => {
        await store.lockEnding(tx);
        const [ended] = await end(tx, [{ id, why: "ended by a person" }], actor);
        if (ended) await writer.touch(tx, await heldBackBy(tx, ended));
        return ended !== undefined;
      })) as boolean;
    },
    fit: (patterns) => fits.find({ ...patterns, fingerprint: null }),
    async fitOf(id) {
      const silence = await store.getOpen(id);
      return silence && fits.find(silence);
    },
    ignore,
    muter: { name: "silences", mutes } as Muter,
    /** Which of these incidents an open silence speaks of. */
    silenced,
    /** A person changed an incident's status otherwise than by a decision; in that transaction. */
    async decided(tx: TransactionSql, { incidentId, status, actor }: Decided) {
      if (status === "acknowledged") return;
      const open = await store.ofIncident(tx, incidentId);
      if (status === "ignored") {
        // A decision that says for how long stands.
        if (open.length === 0) await ignore(tx, incidentId, "until_resolved", actor);
        return;
      }
      const over = open.filter(({ ends }) => ends === "until_resolved");
      const endings = over.map(({ id }) => ({ id, why: "its incident is resolved" }));
      await end(tx, endings, actor);
    },
    sweep,
    /** Incidents have changed: what is silenced may have got worse. */
    wake: () => sweeping?.wake(),
    start() {
      sweeping ??= loops.start({
        name: "silences",
        everyMs: SWEEP_INTERVAL_MS,
        restMs: SWEEP_REST_MS,
        failed: "silences could not be looked at",
        turn: async () => {
          await sweep();
          return store.nextOverMs();
        },
      });
    },
    stop: async () => sweeping?.stop(),
  } satisfies SilenceService & Record<string, unknown>;
}

const END_OF: Record<IgnoreVariant, SilenceEnd> = {
  until_resolved: "until_resolved",
  "1h": "time",
  until_worse: "until_worse",
  for_good: "never",
};

/** In what the problem got worse than the silence bears, in words. */
function worse({ baseline }: OpenSilence, severity: Silenceable["severity"], alerts: number): string | undefined {
  return baseline === null ? undefined : worseThan(baseline, severity, alerts);
}

/** Whether the silence is about this incident. */
function speaksOf(silence: OpenSilence, incident: Silenceable): boolean {
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

/** What was asked for: a person's patterns, or how long a problem is ignored. */
function createdNote({ id, agent, type, source, fingerprint, ends, until, comment, actor }: Silence): Note {
  const data = fingerprint === null ? { agent, type, source, until, comment } : { ends, until };
  return { kind: "silence.created", actor, data: { silence_id: id, ...data } };
}

function endedNote(silence: OpenSilence & { toldId: number | null }, actor: string, reason: string): Note {
  const { id, toldId, incident_id, agent } = silence;
  const agentId = incident_id === null ? null : agent;
  return { kind: "silence.ended", actor, incidentId: toldId, agentId, data: { silence_id: id, reason } };
}

function inWords(silence: OpenSilence): string {
  const { id, actor, comment, until } = silence;
  const about = silence.fingerprint === null ? `silence ${id} (${patternsOf(silence)})` : `ignored (silence ${id})`;
  const end = until === null ? ENDS_IN_WORDS[silence.ends] : `until ${until.toISOString()}`;
  return `${about} by ${actorName(actor)}, ${end}${comment === null ? "" : `: ${comment}`}`;
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

const SEVERITY_RANK = { info: 1, warning: 2, critical: 3 } as const;
/** Above it a problem has got worse. */
const RATE_FACTOR = 2;
/** So many alerts show a rate by their distances, though they have not come for an hour yet. */
const RATE_ALERTS_MIN = 5;
/** Alerts that come in one burst are no rate. */
const RATE_SPAN_S_MIN = 60;
const HOUR_S = 3_600;

type Severity = Candidate["severity"];

/** How bad a problem is: what "worse" is measured by. */
export interface Badness {
  severity: Severity;
  per_hour: number;
}

/** Alerts of one problem within the last hour. */
export interface Frequency {
  alerts: number;
  /** From the first of them to the last. */
  spanS: number;
}

/**
 * How bad it is when somebody ignores it. A problem that repeats each ten seconds since five minutes does so 360 times an
 * hour, and an hour later has not got worse: with enough alerts the rate is theirs, not their number.
 */
export function baselineOf(severity: Severity, { alerts, spanS }: Frequency): Badness {
  const steady = ((alerts - 1) * HOUR_S) / Math.max(spanS, RATE_SPAN_S_MIN);
  return { severity, per_hour: alerts >= RATE_ALERTS_MIN ? Math.max(alerts, Math.round(steady)) : Math.max(1, alerts) };
}

/** In what it got worse, in words; undefined when it did not. */
export function worseThan(before: Badness, severity: Severity, alertsLastHour: number): string | undefined {
  if (rankOf(severity) > rankOf(before.severity))
    return `it is ${severity} now, and was ${before.severity ?? "of no severity"}`;
  if (alertsLastHour <= before.per_hour * RATE_FACTOR) return undefined;
  return `it came ${alertsLastHour} times within an hour, and ${before.per_hour} times when it was ignored`;
}

function rankOf(severity: Severity): number {
  return severity === null ? 0 : SEVERITY_RANK[severity];
}
