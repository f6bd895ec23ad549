/**
 * Which outlet is told of which incident. Each takes what its routing says, within its hours; the first one takes what no other one
 * does. Who is told by escalation alone takes what is critical and nobody has acknowledged for so long, whatever the hour. All of it
 * is decided by rows and by the database's clock, so that each node comes to the same end:
 *
 *   outside its hours   decided again when they begin: an outlet is told then of what is still open
 *   left to others      decided again when the incident changes, and, by the first outlet, when anybody's hours begin or end
 *   not escalated yet   decided again when its time has come
 */
import type { TransactionSql } from "postgres";
import type { Candidate, Mute, Muter } from "../incidents/model.ts";
import { durationWords } from "../lib/units.ts";
import { firstHand, hoursChangeInMs, objectionNow, objectionTo, type RoutedOutlet } from "./routing.ts";

/** Nobody was told yet, by an outlet that may still be deciding. */
const TOLD_SOON_S = 5;

/** Mutes what an outlet is not to take. It comes before storms: those count what an outlet takes. */
export function createRoutingMuter(outlets: readonly RoutedOutlet[]): Muter {
  const atOnce = firstHand(outlets);
  const names = atOnce.map(({ name }) => name);
  const first = atOnce[0];
  const hasHours = atOnce.some(({ routing }) => routing.hours !== null);

  async function route(tx: TransactionSql, incidents: readonly Candidate[], mine: RoutedOutlet) {
    const nowMs = hasHours ? await findNowMs(tx) : 0;
    const objections = new Map(
      incidents.flatMap((one) => {
        const objection = objectionNow(mine.routing, one, nowMs);
        return objection ? [[one.id, { ...objection, one }] as const] : [];
      }),
    );
    if (mine === first && objections.size > 0) await takeWhatIsLeft(tx, objections, nowMs);
    const changesInMs = mine === first && hasHours ? hoursChangeInMs(atOnce, nowMs) : null;
    const mutes = [...objections].map(([id, { why, untilMs }]) => {
      return [id, muteOf(`not for ${mine.name}: ${why}`, changesInMs ?? untilMs)] as const;
    });
    return new Map(mutes);
  }

  /** Takes those off the list that nobody else takes, or was told of. */
  async function takeWhatIsLeft(tx: TransactionSql, objections: Map<number, { one: Candidate }>, nowMs: number) {
    const others = atOnce.slice(1);
    const left = [...objections.values()]
      .filter(({ one }) => others.every(({ routing }) => objectionNow(routing, one, nowMs) !== undefined))
      .map(({ one }) => one.id);
    const told = await findToldAgoS(tx, left, names.slice(1));
    for (const id of left) if (!told.has(id)) objections.delete(id);
  }

  async function escalate(tx: TransactionSql, incidents: readonly Candidate[], mine: RoutedOutlet, afterS: number) {
    const mutes = new Map<number, Mute>();
    for (const incident of incidents) {
      const why = isUnacknowledged(incident) ? objectionTo(mine.routing, incident) : "nothing critical that waits";
      if (why !== undefined) mutes.set(incident.id, muteOf(`not for ${mine.name}: ${why}`, null));
    }
    const left = incidents.filter(({ id }) => !mutes.has(id)).map(({ id }) => id);
    const toldAgoS = await findToldAgoS(tx, left, names);
    const criticalAgoS = await findCriticalAgoS(tx, left);
    for (const id of left) {
      const forS = Math.min(toldAgoS.get(id) ?? afterS - TOLD_SOON_S, criticalAgoS.get(id) ?? afterS);
      if (forS >= afterS && toldAgoS.has(id)) continue;
      const why = `${mine.name} is told unless somebody acknowledges it within ${durationWords(afterS * 1_000)}`;
      mutes.set(id, muteOf(why, (afterS - forS) * 1_000));
    }
    return mutes;
  }

  return {
    name: "routing",
    async mutes(tx, incidents, outlet) {
      const mine = outlets.find(({ name }) => name === outlet);
      if (mine === undefined) return new Map();
      const { escalatesAfterMs: afterMs } = mine;
      return afterMs === null ? route(tx, incidents, mine) : escalate(tx, incidents, mine, afterMs / 1_000);
    },
  };
}

function muteOf(why: string, againInMs: number | null): Mute {
  return { why, isRouted: true, ...(againInMs === null ? {} : { againInS: againInMs / 1_000 }) };
}

const isUnacknowledged = ({ severity, status }: Candidate) =>
  severity === "critical" && (status === "new" || status === "analyzed");

async function findNowMs(tx: TransactionSql): Promise<number> {
  const [row] = await tx<{ ms: number }[]>`select extract(epoch from now())::float8 * 1000 as ms`;
  return row?.ms ?? 0;
}

/** Seconds since it was decided that one of these outlets tells people, whether or not the message came through yet. */
async function findToldAgoS(tx: TransactionSql, ids: readonly number[], outlets: readonly string[]) {
  if (ids.length === 0 || outlets.length === 0) return new Map<number, number>();
  const rows = await tx<{ id: number; agoS: number }[]>`
    select incident_id as id, extract(epoch from now() - min(decided_at))::float8 as "agoS" from announcements
    where incident_id = any(${ids as number[]}::int[]) and kind = 'incident' and subject = ''
      and outlet = any(${outlets as string[]}::text[]) and (state not in ('undecided', 'withheld') or storm_id is not null)
    group by incident_id`;
  return new Map(rows.map(({ id, agoS }) => [id, agoS]));
}

/** Seconds since the first critical alert of each; nothing for one whose alerts are gone. */
async function findCriticalAgoS(tx: TransactionSql, ids: readonly number[]): Promise<Map<number, number>> {
  if (ids.length === 0) return new Map();
  const rows = await tx<{ id: number; agoS: number }[]>`
    select incident_id as id, extract(epoch from now() - min(received_at))::float8 as "agoS" from alerts
    where incident_id = any(${ids as number[]}::int[]) and severity = 'critical' and state = 'firing' group by incident_id`;
  return new Map(rows.map(({ id, agoS }) => [id, agoS]));
}
