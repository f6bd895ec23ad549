/** The keys of all advisory locks, in one place, so that no two mean different things by one number. */
import type { Sql, TransactionSql } from "postgres";

/** Who brings the tables up to date: "opsm". */
export const MIGRATION_LOCK = 0x6f70_736d;

/** Who serves a built-in database: "opspilot". */
export const SERVE_LOCK = "8030045062243839860";

/** Who resolves by quiet now: "opsq". */
export const QUIET_LOCK = 0x6f70_7371;

/** Who looks now for silences that are over: "opsw". */
export const SILENCES_LOCK = 0x6f70_7377;

/** The first half of the keys of who leads an outlet, "opsa"; the second is the hash of its name. */
export const LEADER_LOCK = 0x6f70_7361;

/** Who decides what is announced, one at a time over all nodes, so that a storm is counted once: "opsd". */
export const DECIDE_LOCK = 0x6f70_7364;

/** Who decides now which agents are lost: "opss". */
export const LOST_LOCK = 0x6f70_7373;

/** Who counts the day's calls to a model. */
export const BUDGET_LOCK = 7_316_202_402;

/** Keeps the alerts of these agents out until the end of the transaction. */
export async function lockAgents(tx: TransactionSql, agentIds: readonly string[]): Promise<void> {
  await tx`select ${agentLocks(tx, agentIds)}`;
}

/**
 * The same as a part of a longer statement: a number, once all locks are had. They are taken in one order, so that no two
 * transactions wait for each other; and are advisory, since row locks would write each agent's row and wait for its heartbeats.
 */
export function agentLocks(tx: Sql | TransactionSql, agentIds: readonly string[]) {
  return tx`(select count(pg_advisory_xact_lock(hashtextextended(agent, 0)))
    from (select distinct agent from unnest(${agentIds as string[]}::text[]) agent order by agent) agents)`;
}
