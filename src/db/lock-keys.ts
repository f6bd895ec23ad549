/** The keys of all advisory locks, in one place, so that no two mean different things by one number. */
import type { Sql, TransactionSql } from "postgres";

/** Locks of one number, each held by whoever does that work now. */
export const LockKey = {
  /** Brings the tables up to date: "opsm". */
  migration: 0x6f70_736d,
  /** Resolves quiet incidents: "opsq". */
  quiet: 0x6f70_7371,
  /** Declares agents lost: "opss". */
  lost: 0x6f70_7373,
  /** Tells of collectors that are blind: "opsc". */
  blind: 0x6f70_7363,
  /** Tells of tokens that several hosts use: "opst". */
  twins: 0x6f70_7374,
  /** Clears the queues of former versions: "opsr". */
  retiredQueues: 0x6f70_7372,
  /** Brings moments back that are yet to come: "opsb". */
  setBack: 0x6f70_7362,
  /** Ends silences, or, shared, relies on them: "opsw". */
  silences: 0x6f70_7377,
  /** Rolls figures up: "opsf". */
  figures: 0x6f70_7366,
  /** Counts the day's calls to a model. */
  budget: 7_316_202_402,
} as const;

/** Who serves a built-in database: "opspilot", which is more than a number of JavaScript's holds. */
export const SERVE_LOCK = "8030045062243839860";

/** The first half of the keys of who leads an outlet, "opsa"; the second is the hash of its name. */
export const LEAD_LOCK_KEY = 0x6f70_7361;

/**
 * Keeps the alerts of these agents out until the end of the transaction, and everybody else who resolves their incidents. Taken before
 * any row of `incidents` is locked, never after.
 */
export async function lockAgents(tx: TransactionSql, agentIds: readonly string[]): Promise<void> {
  if (agentIds.length > 0) await tx`select ${agentLocks(tx, agentIds)}`;
}

/**
 * The same as a part of a longer statement: a number, once all locks are had. They are taken in one order, so that no two
 * transactions wait for each other; and are advisory, since row locks would write each agent's row and wait for its heartbeats.
 */
export function agentLocks(tx: Sql | TransactionSql, agentIds: readonly string[]) {
  return tx`(select count(pg_advisory_xact_lock(hashtextextended(agent, 0)))
    from (select distinct agent from unnest(${agentIds as string[]}::text[]) agent order by agent) agents)`;
}
