/**
 * What follows from what: an incident of an agent that is lost, or of a host whose disk is full, is tied to the cause as it is
 * explained (`parent_id`), and mutes itself: people are told of the cause. What is still open five minutes after its cause was
 * resolved is told after all.
 */
import type { TransactionSql } from "postgres";
import { type Cause, type Effect, findCauseStates, findCauses, findEffects } from "./cause-store.ts";
import type { Candidate, IncidentWriter, Mute, Muter } from "./model.ts";

/** Before the last sign of life: what went wrong then may be why the agent was lost. */
const BEFORE_LOSS_MS = 60_000;
/** After its return: what it tells then happened in between, or comes from starting up. */
const AFTER_RETURN_MS = 120_000;
/** After its cause was resolved, an incident has this long to end too. */
const GRACE_S = 300;

const OF_A_FULL_DISK: readonly string[] = ["disk_full", "data_corruption", "crash", "lock_conflict"];

/**
 * Ties those of these incidents to their causes that have one, in the transaction that explains them. `held`, where it is given,
 * names the rows that are locked: others are no causes now.
 */
export async function attachToCauses(
  tx: TransactionSql,
  ids: readonly number[],
  writer: Pick<IncidentWriter, "attach">,
  held?: ReadonlySet<number>,
): Promise<void> {
  const effects = await findEffects(tx, ids);
  const found = await findCauses(tx, [...new Set(effects.map(({ agentId }) => agentId))]);
  const causes = found.filter(({ id }) => held?.has(id) !== false);
  const links = effects.flatMap((effect) => {
    const cause = causeOf(effect, causes);
    return cause ? [{ id: effect.id, causeId: cause.id, reason: reasonOf(cause, effect) }] : [];
  });
  await writer.attach(tx, links);
}

/** Mutes what follows from another incident. */
export const consequencesMuter: Muter = {
  name: "consequences",
  async mutes(tx, incidents) {
    const consequences = incidents.filter(({ parentId }) => parentId !== null);
    if (consequences.length === 0) return new Map();
    const states = await findCauseStates(
      tx,
      consequences.map(({ parentId }) => parentId ?? 0),
    );
    return new Map(
      consequences.flatMap((one) => {
        const mute = muteOf(one, states.get(one.parentId ?? 0));
        return mute ? [[one.id, mute] as const] : [];
      }),
    );
  },
};

/** `overS` is how long ago the cause was resolved, null while it is open; undefined for a cause that is gone. */
function muteOf({ status, reason, parentId }: Candidate, overS: number | null | undefined): Mute | undefined {
  const isUndecided = status === "new" || status === "analyzed";
  const isLeft = overS === undefined || (overS !== null && overS >= GRACE_S);
  if (isUndecided && isLeft) return undefined;
  const isSaid = reason?.startsWith("consequence of incident") === true;
  const why = isSaid && reason !== null ? reason : `consequence of incident #${parentId}`;
  return typeof overS === "number" && isUndecided ? { why, againInS: GRACE_S - overS } : { why };
}

/** The cause that an incident follows from; undefined for one of its own. */
export function causeOf(effect: Effect, causes: readonly Cause[]): Cause | undefined {
  if (isLoss(effect) || effect.parentId !== null) return undefined;
  return causes.find((one) => one.agentId === effect.agentId && isCauseOf(one, effect));
}

/** Whether the incident is that of a lost agent: only the server says so. */
function isLoss({ origin, type, source }: Effect): boolean {
  return origin === "server" && type === "host" && source === "agent";
}

function isCauseOf(cause: Cause, effect: Effect): boolean {
  if (cause.id === effect.id) return false;
  if (cause.kind === "lost") return isWithin(effect.occurredAt, cause);
  const { category } = effect;
  // Of two full disks the later one follows from the first.
  return category !== null && OF_A_FULL_DISK.includes(category) && (category !== "disk_full" || cause.id < effect.id);
}

function isWithin(at: Date, { since, until }: Cause): boolean {
  const startMs = since.getTime() - BEFORE_LOSS_MS;
  const endMs = until === null ? Number.POSITIVE_INFINITY : until.getTime() + AFTER_RETURN_MS;
  return at.getTime() >= startMs && at.getTime() <= endMs;
}

function reasonOf(cause: Cause, { category }: Effect): string {
  const head = `consequence of incident #${cause.id}`;
  if (cause.kind === "full") return `${head}: a disk of this host is full, and ${category} is what follows from that`;
  const since = inWords(cause.since);
  if (cause.until === null) return `${head}: the agent has been silent since ${since}`;
  return `${head}: the agent was silent from ${since} to ${inWords(cause.until)}`;
}

/** "18:00:00 UTC". */
function inWords(at: Date): string {
  return `${at.toISOString().slice(11, 19)} UTC`;
}
