/**
 * Decisions of people: pressed, carried out, and looked after until it is known whether they helped (the states stand in
 * model.ts).
 *
 * A press is a row that is due at once, and taken by the node where somebody pressed: that one carries it out after the commit. Rows
 * alone lead on: whenever a command or an incident changes, and when the next row is due, every node looks. What is due, also since
 * the node that took it is gone, is taken by one node, for a while, and carried out or verified; so is that whose command has its
 * answer, and whose problem came back or is over. Many are under way at once, so that none waits for another's host. A try that
 * throws is repeated later; after the last one the person is told, and may press again.
 */
import type { TransactionSql } from "postgres";
import { Counter, type Registry } from "prom-client";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import { requestOf } from "../protocol/actions.ts";
import type { Press, PressOutcome } from "./model.ts";
import { promiseOf } from "./outcomes.ts";
import { createSteps, firstCommandOf, type StepDeps } from "./steps.ts";
import type { PressedIncident } from "./store.ts";

/** Notices may be missed; then decisions are looked at after this. */
const LOOK_EVERY_MS = 60_000;
/** Incidents may change a thousand times a second. */
const LOOK_REST_MS = 100;
/** Most of them wait for hosts, not for the database. */
const UNDER_WAY_MAX = 32;
/** After its first failure. */
const RETRIES_MAX = 3;
/** What is not done by then is done by another node, or by the next server. */
const STOP_LIMIT_MS = 5_000;

export interface DecisionDeps extends StepDeps {
  loops: Loops;
  registry?: Registry;
  clock: Clock;
  log: Log;
}

/** Makes the decisions of this node. */
export function createDecisions(deps: DecisionDeps) {
  const { sql, store, writer, loops, registry, clock, log } = deps;
  const steps = createSteps(deps);
  const stopping = new AbortController();
  const underWay = new Map<string, Promise<void>>();
  const givenUp = new Counter({
    name: "opspilot_decisions_given_up_total",
    help: "Decisions of people that could not be carried out or verified, since the server failed at it",
    registers: registry ? [registry] : [],
  });
  let loop: Loop | undefined;

  async function press(press: Press): Promise<PressOutcome> {
    const id = press.id ?? crypto.randomUUID();
    const isTaken = loop !== undefined && !stopping.signal.aborted && underWay.size < UNDER_WAY_MAX;
    const { outcome, isAdded } = (await sql.begin((tx) => add(tx, id, press, isTaken)).catch(refusalOf)) as Added;
    if (isAdded && isTaken) begin(id, true);
    else loop?.wake();
    return outcome;
  }

  /** First the row, then the incident, as everybody locks them: of two presses at once the second finds the first. */
  async function add(tx: TransactionSql, id: string, press: Press, isTaken: boolean): Promise<Added> {
    const { incidentId, action, variant, actor, actorName, outlet } = press;
    const isAdded = await store.add(tx, id, press, { commandId: firstCommandOf(id, action), isTaken });
    if (isAdded) await writer.touch(tx, [incidentId]);
    const incident = await store.incident(tx, incidentId);
    if (!incident) throw new Refused("not_found", "There is no such incident.");
    const promise = { outcome: { ok: true, decisionId: id, text: promiseOf(press, incident) }, isAdded } as const;
    if (!isAdded && (await store.exists(tx, id))) return promise;
    const refused = notPossible(press, incident) ?? (await alreadyDecided(tx, id, press, incident));
    if (refused) throw refused;
    if (!isAdded) throw new Refused("already_decided", "Somebody decided that already.");
    const data = { decision_id: id, action, variant, name: actorName, outlet };
    await writer.note(tx, [{ kind: "decided", actor, incidentId, data }]);
    return promise;
  }

  async function alreadyDecided(tx: TransactionSql, id: string, press: Press, { status }: PressedIncident) {
    const pending = await store.openLike(tx, id, press);
    if (pending) return new Refused("already_decided", `${pending} decided that already; it is under way.`);
    const stands = press.action === "acknowledge" ? "acknowledged" : press.action === "ignore" ? "ignored" : undefined;
    const by = status === stands ? await store.lastLike(tx, press) : undefined;
    return by === undefined ? undefined : new Refused("already_decided", `It is ${status} already, by ${by}.`);
  }

  /** Begins what is due and what has news, and resolves without waiting for it; the milliseconds until more is due. */
  async function turn(): Promise<number | undefined> {
    // Who ends one wakes the loop.
    if (underWay.size >= UNDER_WAY_MAX) return undefined;
    const { ids, isAnyOpen, nextMs } = await store.claimDue(UNDER_WAY_MAX - underWay.size);
    for (const id of ids) begin(id, true);
    if (!isAnyOpen) return undefined;
    const news = await steps.findNews(await store.findOpen());
    for (const id of news) if (underWay.size < UNDER_WAY_MAX) begin(id, false);
    return nextMs === null ? undefined : Math.max(0, nextMs);
  }

  function begin(id: string, isDue: boolean): void {
    if (underWay.has(id) || stopping.signal.aborted) return;
    const work = run(id, isDue).then((isMoreDue) => {
      underWay.delete(id);
      if (isMoreDue) loop?.wake();
    });
    underWay.set(id, work);
  }

  /** Whether there may be more to do for it, at once or at another time than its claim says. Never rejects. */
  async function run(id: string, isDue: boolean): Promise<boolean> {
    try {
      return await steps.step(id, isDue, stopping.signal).then(
        () => true,
        (error: unknown) => failed(id, error),
      );
    } catch (error) {
      // It is due again when its time is over, here or elsewhere.
      log.warn({ decision: id, error: errorMessage(error) }, "a decision's failure could not be written");
      return true;
    }
  }

  async function failed(id: string, error: unknown): Promise<boolean> {
    const failures = await store.fail(id);
    log.warn({ decision: id, failures, error: errorMessage(error) }, "a decision could not be looked after");
    if (failures === undefined) return false;
    if (failures > RETRIES_MAX && (await steps.giveUp(id))) {
      givenUp.inc();
      log.error({ decision: id }, "a decision was given up after its last try");
    }
    return true;
  }

  const allDone = () => Promise.all(underWay.values());

  return {
    press,
    get: store.get,
    /** Looks after all decisions once, and resolves when what that began has ended. */
    async look() {
      await turn();
      await allDone();
    },
    /** A command or an incident changed, here or on another node. */
    wake: () => loop?.wake(),
    deleteOld: store.deleteOld,
    start() {
      const failed = "decisions could not be looked after";
      loop ??= loops.start({ name: "decisions", turn, everyMs: LOOK_EVERY_MS, restMs: LOOK_REST_MS, failed });
    },
    async stop() {
      stopping.abort();
      await loop?.stop();
      const done = new AbortController();
      await Promise.race([allDone().finally(() => done.abort()), clock.sleep(STOP_LIMIT_MS, done.signal)]);
    },
  };
}

export type Decisions = ReturnType<typeof createDecisions>;

/** What became of a press, and whether there is a new decision. */
interface Added {
  outcome: PressOutcome;
  isAdded: boolean;
}

/** Rolls the transaction of a press back. */
class Refused extends Error {
  constructor(
    readonly reason: Extract<PressOutcome, { ok: false }>["reason"],
    readonly text: string,
  ) {
    super(text);
  }
}

function refusalOf(error: unknown): Added {
  if (error instanceof Refused)
    return { outcome: { ok: false, reason: error.reason, text: error.text }, isAdded: false };
  throw error;
}

function notPossible({ action }: Press, incident: PressedIncident): Refused | undefined {
  if (incident.status === "resolved") return new Refused("resolved", "The incident is resolved already.");
  if (action !== "restart" && action !== "logs") return undefined;
  if (requestOf(action, incident) !== undefined) return undefined;
  const what = action === "restart" ? "restart" : "read";
  return new Refused("not_possible", `There is nothing to ${what} for incidents of this type.`);
}
