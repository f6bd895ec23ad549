import type { TransactionSql } from "postgres";
import type { CommandService, ExecFailure, ExecOutcome } from "../commands/model.ts";
import type { DecidedStatus, StatusSetting } from "../incidents/model.ts";
import { hashUuid } from "../lib/hash.ts";
import { requestOf } from "../protocol/actions.ts";
import type { SilenceService } from "../silences/model.ts";
import type { Settling } from "./settle.ts";
import type { Change, DecisionStore, Watched } from "./store.ts";
import { unitStateOf } from "./unit-state.ts";
import { checkedOf, ended, verdictOf } from "./verdict.ts";
import { doneInWords, notDone } from "./words.ts";

/** An agent that is away may be on its way back, after a restart of the server or of itself. */
const PATIENCE_S = 30;
const RETRY_S = 2;
/** What nobody could carry out by then is not done any more: by now it would surprise. */
const AGE_S_MAX = 300;
/** How long a check waits for the host's answer; the next waits no shorter. */
const STATUS_WAIT_S = 8;
/** Somebody else asks the host about the same unit just now: so long after the restart it is asked again. */
const BUSY_S_MAX = 90;

const STATUS_OF: Partial<Record<string, DecidedStatus>> = {
  ignore: "ignored",
  acknowledge: "acknowledged",
  resolve: "resolved",
};

export interface CarryDeps {
  store: DecisionStore;
  settling: Settling;
  commands: Pick<CommandService, "exec" | "get">;
  silences: Pick<SilenceService, "ignore">;
  changeStatus: (tx: TransactionSql, setting: StatusSetting) => Promise<boolean>;
}

/** The steps that jobs run. Each bears a second run: commands have ids that follow from the decision's. */
export function createCarrying({ store, settling, commands, silences, changeStatus }: CarryDeps) {
  async function carry(id: string, signal?: AbortSignal): Promise<void> {
    const decision = await store.find(id);
    if (decision === undefined || decision.ended || decision.state !== "requested") return;
    if (STATUS_OF[decision.action] !== undefined) return settling.change(id, setStatus);
    if (decision.ageS > AGE_S_MAX) {
      const late = ended(
        "failed",
        `${notDone(decision)}: it could not be carried out within ${AGE_S_MAX / 60} minutes`,
      );
      return settling.change(id, async () => late);
    }
    await send(decision, signal);
  }

  async function setStatus(tx: TransactionSql, decision: Watched): Promise<Change> {
    const { id, incidentId, action, actor, actorName, variant, agentId } = decision;
    const status = STATUS_OF[action] ?? "acknowledged";
    await store.lockAgent(tx, agentId);
    if (action === "ignore") await silences.ignore(tx, incidentId, variant ?? "until_resolved", actor);
    const reason = `resolved by ${actorName}`;
    const isDone = await changeStatus(tx, { incidentId, status, actor, reason, data: { decision_id: id } });
    return isDone || action === "ignore"
      ? ended("done", doneInWords(decision))
      : ended("failed", "it was resolved already");
  }

  async function send(decision: Watched, signal: AbortSignal | undefined): Promise<void> {
    const { id, agentId, action, actor, incidentId, checks } = decision;
    const request = requestOf(action, decision);
    if (request === undefined) return end(id, `${notDone(decision)}: there is no command for this`);
    const commandId = hashUuid(`decision ${id} ${checks}`);
    await store.aim(id, commandId);
    const outcome = await commands.exec({ id: commandId, ...request, agentId, actor, incidentId, waitS: 0 }, signal);
    if (outcome.ok) await store.markSent(id);
    else if (outcome.reason === "agent_offline") await wait(decision, commandId);
    else return end(id, `${notDone(decision)}: ${whyNot(outcome)}`);
    await settling.settle(id);
  }

  /** Whatever may still go out is waited for; only what never will is asked for anew. */
  async function wait({ id }: Watched, commandId: string): Promise<void> {
    const command = await commands.get(commandId);
    if (command && (command.status === "pending" || command.sent_at !== null)) return store.markSent(id);
    await settling.change(id, async (_, decision) => {
      if (decision.state !== "requested") return undefined;
      if (decision.ageS > PATIENCE_S) return ended("failed", `${notDone(decision)}: the agent is not connected`);
      const outcome = `the agent is not connected; waiting for it for ${PATIENCE_S} s`;
      return { state: "requested", outcome, ends: false, checks: decision.checks + (command ? 1 : 0), dueS: RETRY_S };
    });
  }

  const end = (id: string, outcome: string) => settling.change(id, async () => ended("failed", outcome));

  /** Asks the host, or, when it was asked for this check and had its time, goes on without its answer. */
  async function verify(id: string, signal?: AbortSignal): Promise<void> {
    const decision = await store.find(id);
    if (decision === undefined || decision.ended || decision.state !== "verifying") return;
    const isToAsk = decision.type === "systemd" && !verdictOf(decision);
    if (isToAsk && !(await commands.get(statusIdOf(decision)))) {
      const asked = await ask(decision, signal);
      if (asked.ok) return store.defer(id, decision.checks, STATUS_WAIT_S);
      const isBusy = asked.reason === "command_open" && (decision.elapsedS ?? 0) < BUSY_S_MAX;
      if (isBusy) return store.defer(id, decision.checks, RETRY_S);
    }
    await check(decision);
  }

  async function check(decision: Watched): Promise<void> {
    const answer = decision.type === "systemd" ? await commands.get(statusIdOf(decision)) : undefined;
    const unit = answer && unitStateOf(answer);
    await settling.settle(decision.id, { number: decision.checks, unit, judge: checkedOf });
  }

  async function ask(decision: Watched, signal: AbortSignal | undefined): Promise<ExecOutcome> {
    const { agentId, incidentId, source } = decision;
    const status = { id: statusIdOf(decision), command: "service_status", params: { service: source } };
    return commands.exec({ ...status, agentId, incidentId, actor: "system", waitS: 0 }, signal);
  }

  /** Takes the host's answers to checks that are there by now. */
  async function takeAnswers(decisions: readonly Watched[]): Promise<void> {
    const asked = decisions.filter(({ state, type }) => state === "verifying" && type === "systemd");
    if (asked.length === 0) return;
    const answered = new Set(await store.findAnswered(asked.map(statusIdOf)));
    for (const decision of asked) if (answered.has(statusIdOf(decision))) await check(decision);
  }

  return {
    carry,
    verify,
    takeAnswers,
    /** A job failed to the end: the person is told, and may press again. */
    gaveUp: (id: string) =>
      settling.change(id, async (_, decision) =>
        decision.state === "verifying"
          ? ended("no_word", "it could not be found out whether the restart helped")
          : decision.state === "requested"
            ? ended("failed", `${notDone(decision)}: the server failed at it; its log says why`)
            : undefined,
      ),
  };
}

const statusIdOf = ({ id, checks }: Watched) => hashUuid(`decision ${id} status ${checks}`);

function whyNot({ reason, message }: ExecFailure): string {
  return reason === "invalid_params" ? "its name is none that a host takes" : message;
}
