import type { Sql, TransactionSql } from "postgres";
import type { AnnouncementService } from "../announcements/model.ts";
import type { CommandService, ExecFailure } from "../commands/model.ts";
import { lockAgents } from "../db/lock-keys.ts";
import type { DecidedStatus, IncidentWriter, StatusSetting } from "../incidents/model.ts";
import { hashUuid } from "../lib/hash.ts";
import { type DecisionAction, requestOf } from "../protocol/actions.ts";
import { LOG_LINES } from "../protocol/commands.ts";
import { keepEnds } from "../protocol/text.ts";
import type { SilenceService } from "../silences/model.ts";
import {
  doneInWords,
  ended,
  isAnswered,
  notDone,
  outcomeByAlerts,
  outcomeByAnswer,
  outcomeByCheck,
  unitStateOf,
} from "./outcomes.ts";
import type { DecisionStore, Outcome, Watched } from "./store.ts";

/** An agent that is away may be on its way back, after a restart of the server or of itself. */
const PATIENCE_S = 30;
const RETRY_S = 2;
/** What nobody could carry out by then is not done any more: by now it would surprise. */
const AGE_S_MAX = 300;
/** How long a check waits for the host's answer; the next waits no shorter. */
const STATUS_WAIT_S = 8;
/** Somebody else asks the host about the same unit just now: so long after the restart it is asked again. */
const BUSY_S_MAX = 90;
/** A reply's file has 64 KiB at most, with what redaction may add. */
const LOG_BYTES_MAX = 60 * 1024;

const STATUS_OF: Partial<Record<string, DecidedStatus>> = {
  ignore: "ignored",
  acknowledge: "acknowledged",
  resolve: "resolved",
};

export interface StepDeps {
  sql: Sql;
  store: DecisionStore;
  writer: Pick<IncidentWriter, "hold" | "touch" | "note">;
  commands: Pick<CommandService, "exec" | "get">;
  silences: Pick<SilenceService, "ignore">;
  announcements: Pick<AnnouncementService, "reply">;
  /** An incident's status, in the transaction; false when it is resolved already. */
  changeStatus: (tx: TransactionSql, setting: StatusSetting) => Promise<boolean>;
}

/** What an outcome follows from; undefined while nothing does. */
type Finding = (decision: Watched, tx: TransactionSql) => Promise<Outcome | undefined> | Outcome | undefined;

/**
 * The steps of a decision. Each bears a second run, also on another node at the same time: commands have ids that follow from the
 * decision's, and outcomes are written under the lock of its row.
 */
export function createSteps({ sql, store, writer, commands, silences, announcements, changeStatus }: StepDeps) {
  /** Takes a decision as far as it can come now; `isDue` says that it is its time, beside what may have happened to it. */
  async function step(id: string, isDue: boolean, signal: AbortSignal): Promise<void> {
    const decision = await store.find(id);
    if (decision === undefined) return;
    if (isAnswered(decision) || outcomeByAlerts(decision)) await settle(id);
    else if (decision.state === "verifying") await verify(decision, isDue, signal);
    else if (decision.state === "requested" && isDue) await carryOut(decision, signal);
  }

  /** Writes what came of it, in one transaction with everything that follows; false when nothing did. */
  async function settle(id: string, finding: Finding = () => undefined): Promise<boolean> {
    return (await sql.begin(async (tx) => {
      const decision = await store.lock(tx, id);
      if (decision === undefined) return false;
      if (isAnswered(decision)) return answer(tx, decision);
      if (decision.ended) return false;
      const outcome = outcomeByAlerts(decision) ?? (await finding(decision, tx));
      if (outcome) await write(tx, decision, outcome);
      return outcome !== undefined;
    })) as boolean;
  }

  async function answer(tx: TransactionSql, decision: Watched): Promise<true> {
    const outcome = outcomeByAnswer(decision);
    await write(tx, decision, outcome);
    if (decision.action === "logs" && outcome.state === "done") await showLogs(tx, decision);
    return true;
  }

  /** What people see of it is a line of the timeline too; the incident counts as changed, for its message. */
  async function write(tx: TransactionSql, decision: Watched, outcome: Outcome): Promise<void> {
    const { id, incidentId, agentId, commandId, action, actor } = decision;
    const { state, words } = outcome;
    const over = state === "verified" ? await overWith(tx, decision) : undefined;
    if (over !== undefined) await writer.hold(tx, [incidentId, over]);
    await store.write(tx, decision, outcome);
    if (state === decision.state && words === decision.outcome) return;
    await writer.touch(tx, [incidentId]);
    if (over !== undefined) {
      const why = { reason: words ?? "restarted", data: { decision_id: id, reason: words, decided_by: actor } };
      await changeStatus(tx, { incidentId: over, status: "resolved", actor: "system", ...why });
    }
    const data = { decision_id: id, action, state, outcome: words };
    await writer.note(tx, [{ kind: "outcome", actor: "system", agentId, incidentId, commandId, data }]);
  }

  /** The incident that is over with the problem: also where its alerts went to one that followed the decision's. */
  async function overWith(tx: TransactionSql, { id, agentId }: Watched): Promise<number | undefined> {
    await lockAgents(tx, [agentId]);
    return store.cleared(tx, id);
  }

  async function showLogs(tx: TransactionSql, { id, incidentId, source, host, actorName, command }: Watched) {
    const text = `The last ${LOG_LINES} lines of ${source} on ${host}, for ${actorName}`;
    const content = keepEnds(command?.output ?? "", LOG_BYTES_MAX);
    const file = { name: `${source.replace(/[^A-Za-z0-9_.@-]/g, "_").slice(0, 80)}.log`, content };
    await announcements.reply(tx, incidentId, `logs ${id}`, { text, file: content === "" ? null : file });
  }

  async function carryOut(decision: Watched, signal: AbortSignal): Promise<void> {
    if (STATUS_OF[decision.action] !== undefined) return changed(decision.id, setStatus);
    if (decision.ageS > AGE_S_MAX) {
      return end(decision, `it could not be carried out within ${AGE_S_MAX / 60} minutes`);
    }
    await send(decision, signal);
  }

  const setStatus: Finding = async (decision, tx) => {
    const { id, incidentId, action, actor, actorName, variant, agentId } = decision;
    const status = STATUS_OF[action] ?? "acknowledged";
    await lockAgents(tx, [agentId]);
    if (action === "ignore") await silences.ignore(tx, incidentId, variant ?? "until_resolved", actor);
    const reason = `resolved by ${actorName}`;
    const isDone = await changeStatus(tx, { incidentId, status, actor, reason, data: { decision_id: id } });
    return isDone || action === "ignore"
      ? ended("done", doneInWords(decision))
      : ended("failed", "it was resolved already");
  };

  async function send(decision: Watched, signal: AbortSignal): Promise<void> {
    const { id, agentId, action, actor, incidentId } = decision;
    const request = requestOf(action, decision);
    if (request === undefined) return end(decision, "there is no command for this");
    const commandId = decision.commandId ?? (await aim(decision));
    const outcome = await commands.exec({ id: commandId, ...request, agentId, actor, incidentId, waitS: 0 }, signal);
    if (outcome.ok) await store.markSent(id);
    else if (outcome.reason === "agent_offline") await wait(decision, commandId);
    else return end(decision, whyNot(outcome));
    await settle(id);
  }

  /** Known before there is a command: a result cannot come before it is known whose it is. */
  async function aim({ id, sends }: Watched): Promise<string> {
    const commandId = commandIdOf(id, sends + 1);
    await store.aim(id, commandId, sends + 1);
    return commandId;
  }

  /** Whatever may still go out is waited for; only what never will is asked for anew. */
  async function wait({ id }: Watched, commandId: string): Promise<void> {
    const command = await commands.get(commandId);
    if (command && (command.status === "pending" || command.sent_at !== null)) return store.markSent(id);
    const isAnew = command !== undefined;
    await changed(id, (decision) => {
      if (decision.state !== "requested") return undefined;
      if (decision.ageS > PATIENCE_S) return ended("failed", `${notDone(decision)}: the agent is not connected`);
      const words = `the agent is not connected; waiting for it for ${PATIENCE_S} s`;
      return { state: "requested", words, ends: false, isAnew, dueS: RETRY_S };
    });
  }

  const changed = async (id: string, finding: Finding) => void (await settle(id, finding));

  const end = (decision: Watched, why: string) =>
    changed(decision.id, () => ended("failed", `${notDone(decision)}: ${why}`));

  /** Asks the host, or takes its answer, or, when it was asked for this check and had its time, goes on without one. */
  async function verify(decision: Watched, isDue: boolean, signal: AbortSignal): Promise<void> {
    const asked = decision.type === "systemd" ? await commands.get(statusIdOf(decision)) : undefined;
    const isOver = asked !== undefined && asked.status !== "pending" && asked.status !== "sent";
    if (!isDue && !isOver) return;
    if (decision.type === "systemd" && asked === undefined && (await isAsking(decision, signal))) return;
    const unit = asked && unitStateOf(asked);
    await changed(decision.id, (now) =>
      now.state === "verifying" && now.checks === decision.checks ? outcomeByCheck(now, unit) : undefined,
    );
  }

  /** Asks the host about its unit; true when it is to be waited for. */
  async function isAsking(decision: Watched, signal: AbortSignal): Promise<boolean> {
    const { id, agentId, incidentId, source, checks } = decision;
    const status = { id: statusIdOf(decision), command: "service_status", params: { service: source } };
    const asked = await commands.exec({ ...status, agentId, incidentId, actor: "system", waitS: 0 }, signal);
    const isBusy = !asked.ok && asked.reason === "command_open" && (decision.elapsedS ?? 0) < BUSY_S_MAX;
    if (asked.ok || isBusy) await store.defer(id, checks, asked.ok ? STATUS_WAIT_S : RETRY_S);
    return asked.ok || isBusy;
  }

  return {
    step,

    /** Those to which something has happened, so that they need not wait until they are due. */
    async findNews(open: readonly Watched[]): Promise<string[]> {
      const quiet = open.filter(({ failures }) => failures === 0);
      const asked = quiet.filter(({ state, type }) => state === "verifying" && type === "systemd");
      const answered = new Set(asked.length === 0 ? [] : await store.findAnswered(asked.map(statusIdOf)));
      const hasNews = (one: Watched) =>
        isAnswered(one) || outcomeByAlerts(one) !== undefined || (asked.includes(one) && answered.has(statusIdOf(one)));
      return quiet.filter(hasNews).map(({ id }) => id);
    },

    /** It failed to the end: the person is told, and may press again. False when there is nothing to give up. */
    giveUp: (id: string) =>
      settle(id, (decision) => {
        if (decision.state === "verifying")
          return ended("no_word", "it could not be found out whether the restart helped");
        if (decision.state !== "requested") return undefined;
        return ended("failed", `${notDone(decision)}: the server failed at it; its log says why`);
      }),
  };
}

const commandIdOf = (id: string, sends: number) => hashUuid(`decision ${id} ${sends}`);

/** The command that a new decision is to become; null where it needs no host. */
export function firstCommandOf(id: string, action: DecisionAction): string | null {
  return STATUS_OF[action] === undefined ? commandIdOf(id, 1) : null;
}

const statusIdOf = ({ id, checks }: Watched) => hashUuid(`decision ${id} status ${checks}`);

function whyNot({ reason, message }: ExecFailure): string {
  return reason === "invalid_params" ? "its name is none that a host takes" : message;
}
