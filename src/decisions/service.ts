/**
 * Decisions of people: pressed, carried out, and looked after until it is known whether they helped (the states stand in
 * model.ts).
 *
 * A press is a row and a job in one transaction. The job sends the command, whose id follows from the decision's, so that a
 * second run makes no second command. From then on rows alone lead on: each second every node looks, in one query, for
 * decisions whose command has its answer, whose problem came back or is reported as over, and for those that are due (a
 * check of the host, or a job that was lost); what is due is taken by one node, for a while, and becomes a job.
 */
import type { Sql, TransactionSql } from "postgres";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { type Running, repeat } from "../lib/repeat.ts";
import { requestOf } from "../protocol/actions.ts";
import { type CarryDeps, createCarrying } from "./carry.ts";
import type { DecisionReader, DecisionService, Press, PressOutcome } from "./model.ts";
import { createSettling, type SettleDeps } from "./settle.ts";
import type { DecisionStore, PressedIncident } from "./store.ts";
import { isAnswered, verdictOf } from "./verdict.ts";
import { promiseOf } from "./words.ts";

const LOOK_INTERVAL_MS = 1_000;
/** A job that was not run by then is sent again. */
const GUARD_SECONDS = 20;

export interface DecisionDeps {
  sql: Sql;
  store: DecisionStore;
  commands: CarryDeps["commands"];
  silences: CarryDeps["silences"];
  announcements: SettleDeps["announcements"];
  changeStatus: SettleDeps["changeStatus"];
  notify: SettleDeps["notify"];
  /** Jobs that start when the transaction commits. */
  send: (tx: TransactionSql, queue: "decisions.carry" | "decisions.verify", ids: readonly string[]) => Promise<void>;
  clock: Clock;
  log: Log;
}

/** Decisions, and what the composition root does with them. */
export interface Decisions extends DecisionService, DecisionReader {
  /** The job decisions.carry. Bears a second run. */
  carry(id: string, signal?: AbortSignal): Promise<void>;
  /** The job decisions.verify. Bears a second run. */
  verify(id: string, signal?: AbortSignal): Promise<void>;
  /** A job failed to the end. */
  gaveUp(id: string): Promise<void>;
  /** Looks after all decisions once. */
  look(): Promise<void>;
  /** A command changed, here or on another node: no need to wait for the next look. */
  wake(): void;
  deleteOld(retentionMs: number): Promise<number>;
  start(): void;
  stop(): Promise<void>;
}

/** Makes the decisions of this node. */
export function createDecisions(deps: DecisionDeps): Decisions {
  const { sql, store, clock, log } = deps;
  const settling = createSettling(deps);
  const carrying = createCarrying({ ...deps, settling });
  let running: Running | undefined;
  let looking: Promise<void> | undefined;
  let isAgain = false;

  async function press(press: Press): Promise<PressOutcome> {
    return (await sql.begin(async (tx) => {
      const incident = await store.incident(tx, press.incidentId);
      if (!incident) return refusal("not_found", "There is no such incident.");
      const refused = notPossible(press, incident) ?? (await alreadyDecided(tx, press, incident));
      if (refused) return refused;
      const id = crypto.randomUUID();
      if (!(await store.add(tx, id, press, GUARD_SECONDS)))
        return refusal("already_decided", "Somebody decided that already.");
      await deps.send(tx, "decisions.carry", [id]);
      await deps.notify(tx);
      return { ok: true, decisionId: id, text: promiseOf(press, incident) };
    })) as PressOutcome;
  }

  async function alreadyDecided(tx: TransactionSql, press: Press, { status }: PressedIncident) {
    const pending = await store.openLike(tx, press.incidentId, press.action);
    if (pending !== undefined) return refusal("already_decided", `${pending} decided that already; it is under way.`);
    const stands = press.action === "acknowledge" ? "acknowledged" : press.action === "ignore" ? "ignored" : undefined;
    const by = status === stands ? await store.lastLike(tx, press) : undefined;
    return by === undefined ? undefined : refusal("already_decided", `It is ${status} already, by ${by}.`);
  }

  async function look(): Promise<void> {
    const open = await store.findOpen();
    for (const decision of open) {
      if (!isAnswered(decision) && !verdictOf(decision)) continue;
      await settling.settle(decision.id).catch((error) => failed(error, decision.id));
    }
    await carrying.takeAnswers(open).catch((error) => failed(error));
    await sql.begin(async (tx) => {
      const due = await store.claimDue(tx);
      const idsOf = (isVerifying: boolean) =>
        due.filter(({ state }) => (state === "verifying") === isVerifying).map(({ id }) => id);
      await deps.send(tx, "decisions.carry", idsOf(false));
      await deps.send(tx, "decisions.verify", idsOf(true));
    });
  }

  const failed = (error: unknown, decision?: string) =>
    log.warn({ error: errorMessage(error), ...(decision ? { decision } : {}) }, "decisions could not be looked after");

  /** One look at a time; who comes meanwhile causes another. */
  function lookSoon(): Promise<void> {
    isAgain = looking !== undefined;
    looking ??= look()
      .catch((error: unknown) => failed(error))
      .finally(() => {
        looking = undefined;
        if (isAgain && running) void lookSoon();
      });
    return looking;
  }

  return {
    press,
    get: store.get,
    carry: carrying.carry,
    verify: carrying.verify,
    async gaveUp(id) {
      log.error({ decision: id }, "a decision was given up after its last try");
      await carrying.gaveUp(id);
    },
    look,
    wake: () => void (running && lookSoon()),
    deleteOld: store.deleteOld,
    start: () => {
      running ??= repeat(clock, LOOK_INTERVAL_MS, lookSoon, failed);
    },
    async stop() {
      const stopping = running;
      running = undefined;
      await stopping?.stop();
      await looking;
    },
  };
}

function notPossible({ action }: Press, incident: PressedIncident): PressOutcome | undefined {
  if (incident.status === "resolved") return refusal("resolved", "The incident is resolved already.");
  if (action !== "restart" && action !== "logs") return undefined;
  if (requestOf(action, incident) !== undefined) return undefined;
  return refusal(
    "not_possible",
    `There is nothing to ${action === "restart" ? "restart" : "read"} for incidents of this type.`,
  );
}

function refusal(reason: Extract<PressOutcome, { ok: false }>["reason"], text: string): PressOutcome {
  return { ok: false, reason, text };
}
