import type { Sql, TransactionSql } from "postgres";
import type { AnnouncementService } from "../announcements/model.ts";
import type { StatusSetting } from "../incidents/model.ts";
import { LOG_LINES } from "../protocol/commands.ts";
import { keepEnds } from "../protocol/text.ts";
import type { Change, DecisionStore, Watched } from "./store.ts";
import { answerOf, isAnswered, type UnitState, verdictOf } from "./verdict.ts";

/** A reply's file has 64 KiB at most, with what redaction may add. */
const LOG_BYTES_MAX = 60 * 1024;

export interface SettleDeps {
  sql: Sql;
  store: DecisionStore;
  announcements: Pick<AnnouncementService, "reply">;
  /** An incident's status, in the transaction; false when it is resolved already. */
  changeStatus: (tx: TransactionSql, setting: StatusSetting) => Promise<boolean>;
  /** NOTIFY for whoever leads an outlet, at the commit of the transaction. */
  notify: (tx: TransactionSql) => Promise<void>;
}

/** What a check has found out, for the decision as it was then. */
export interface Check {
  number: number;
  unit: UnitState | undefined;
  judge: (decision: Watched, unit: UnitState | undefined) => Change;
}

/** Writes what became of a decision, in one transaction with everything that follows. Bears a second run. */
export function createSettling({ sql, store, announcements, changeStatus, notify }: SettleDeps) {
  async function write(tx: TransactionSql, decision: Watched, change: Change): Promise<void> {
    // First, since it takes the agent's lock: the incident's row is locked by all that comes after.
    if (change.state === "verified") await resolve(tx, decision, change);
    await store.write(tx, decision, change);
    await notify(tx);
  }

  /** The problem is over: also where its alerts went to an incident that followed this one. */
  async function resolve(tx: TransactionSql, { id, agentId, actor }: Watched, { outcome }: Change): Promise<void> {
    await store.lockAgent(tx, agentId);
    const incidentId = await store.cleared(tx, id);
    if (incidentId === undefined) return;
    const why = { reason: outcome ?? "restarted", data: { decision_id: id, reason: outcome, decided_by: actor } };
    await changeStatus(tx, { incidentId, status: "resolved", actor: "system", ...why });
  }

  async function showLogs(tx: TransactionSql, { id, incidentId, source, host, actorName, command }: Watched) {
    const text = `The last ${LOG_LINES} lines of ${source} on ${host}, for ${actorName}`;
    const content = keepEnds(command?.output ?? "", LOG_BYTES_MAX);
    const file = { name: `${source.replace(/[^A-Za-z0-9_.@-]/g, "_").slice(0, 80)}.log`, content };
    await announcements.reply(tx, incidentId, `logs ${id}`, { text, file: content === "" ? null : file });
  }

  async function change(tx: TransactionSql, decision: Watched, check: Check | undefined): Promise<boolean> {
    if (isAnswered(decision)) {
      const answer = answerOf(decision);
      await write(tx, decision, answer);
      if (decision.action === "logs" && answer.state === "done") await showLogs(tx, decision);
      return true;
    }
    if (decision.ended) return false;
    const isCheckOfNow = check !== undefined && check.number === decision.checks && decision.state === "verifying";
    const verdict = verdictOf(decision) ?? (isCheckOfNow ? check.judge(decision, check.unit) : undefined);
    if (verdict) await write(tx, decision, verdict);
    return verdict !== undefined;
  }

  return {
    /** By the command's answer, by alerts, or by a check; true when something came of it. */
    settle: async (id: string, check?: Check): Promise<boolean> =>
      (await sql.begin(async (tx) => {
        const decision = await store.lock(tx, id);
        return decision !== undefined && change(tx, decision, check);
      })) as boolean,

    /** By whoever knows; nothing happens when it has ended, or when `make` gives nothing. */
    async change(id: string, make: (tx: TransactionSql, decision: Watched) => Promise<Change | undefined>) {
      await sql.begin(async (tx) => {
        const decision = await store.lock(tx, id);
        if (decision === undefined || decision.ended) return;
        const made = await make(tx, decision);
        if (made) await write(tx, decision, made);
      });
    },
  };
}

export type Settling = ReturnType<typeof createSettling>;
