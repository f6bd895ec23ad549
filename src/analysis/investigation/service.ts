/**
 * Investigations as work in the database: a row and a job in one transaction; queued → running → done | failed.
 *
 * Each call of the model, and each turn, is a row before it is made. A server that is killed leaves all that was found out: another
 * one takes the job, tells the model what the host has answered so far, and goes on with what is left of the calls. What fails, or is
 * begun too often, ends visibly: in its row, in the timeline, and in the incident, whose explanation stays.
 */
import type { Sql, TransactionSql } from "postgres";
import type { CommandService } from "../../commands/model.ts";
import type { FigureService } from "../../figures/model.ts";
import { sha256Hex } from "../../lib/hash.ts";
import { isTargetName } from "../../protocol/commands.ts";
import type { Answers } from "../answers.ts";
import type { Calls } from "../calls.ts";
import { fromModel, type InvestigationOutcome, type InvestigationRequest } from "../model.ts";
import type { ModelRequest } from "../model-reply.ts";
import type { ModelClient } from "../openrouter.ts";
import type { AnalysisDeps } from "../service.ts";
import type { Slots } from "../slots.ts";
import type { ExplainableIncident } from "../store.ts";
import { type CarrySubject, commandIdOf, createCarrying, MODEL_ACTOR } from "./carry.ts";
import { createGuard, type Guard, type Listed } from "./guard.ts";
import { type BegunStep, type Finding, investigate, type Step, type TurnReply } from "./loop.ts";
import { type ReportSubject, reportOf } from "./report.ts";
import type { BegunInvestigation, EndedInvestigation, InvestigationStore, NewInvestigation } from "./store.ts";

/** One that keeps killing its servers is given up. */
const ATTEMPTS_MAX = 3;
/** One that nobody asked for waits no longer. */
const BY_ITSELF_AGE_S_MAX = 900;
/** Incidents of the same host that a model is told of from the beginning on. */
const RECENT_INCIDENTS = 5;

export interface InvestigationDeps
  extends Pick<
    AnalysisDeps,
    "sql" | "writer" | "options" | "clock" | "log" | "metrics" | "sendAsk" | "sendInvestigate" | "keepReply"
  > {
  incidents: AnalysisDeps["store"];
  store: InvestigationStore;
  client: ModelClient;
  slots: Slots;
  calls: Calls;
  answers: Answers;
  commands: Pick<CommandService, "exec" | "get">;
  figures: Pick<FigureService, "ofAgent">;
}

/** Investigations of this node. */
export function createInvestigations(deps: InvestigationDeps) {
  const { sql, writer, store, incidents, client, answers, options, metrics, clock, log } = deps;
  const { model } = options;

  async function request(wanted: InvestigationRequest): Promise<InvestigationOutcome> {
    const { id = crypto.randomUUID(), incidentId, actor } = wanted;
    const [incident] = await incidents.find([incidentId], true);
    if (!incident) return { ok: false, reason: "not_found", message: "there is no such incident" };
    const refusal = refusalOf(options.investigate, client.isConfigured);
    if (refusal) return refusal;
    const isNew = (await sql.begin((tx) => queue(tx, [{ id, incidentId, actor }]))) as boolean;
    if (isNew || (await store.has(id))) return { ok: true, id };
    return { ok: false, reason: "investigation_open", message: "a model is looking into this incident already" };
  }

  /** False where one is under way for each. The number of statements does not depend on the number of incidents. */
  async function queue(tx: TransactionSql, wanted: readonly NewInvestigation[]): Promise<boolean> {
    const created = wanted.length === 0 ? [] : await store.create(tx, wanted, model);
    if (created.length === 0) return false;
    const notes = created.map(({ id, incidentId, actor }) => {
      return { kind: "investigation_requested", actor: actor ?? "system", incidentId, data: { investigation_id: id } };
    });
    await writer.note(tx, notes);
    const ids = created.map(({ id }) => id);
    await deps.sendInvestigate(tx, ids);
    return true;
  }

  /** Beneath the incident's messages, in one reply that is edited. */
  async function tell(query: Sql | TransactionSql, id: string, end?: ReportSubject["end"]): Promise<void> {
    const { incidentId, ...subject } = await store.report(query, id);
    const text = reportOf({ ...subject, ...(end === undefined ? {} : { end }) });
    await deps.keepReply(query, incidentId, `investigation ${id}`, { text, file: null });
  }

  async function run(id: string, signal: AbortSignal): Promise<void> {
    const begun = await store.begin(id);
    if (begun === undefined) return;
    const [incident] = await incidents.find([begun.incidentId], true);
    if (!incident) return fail(id, "incident_gone", "the incident is gone");
    if (begun.attempts > ATTEMPTS_MAX)
      return fail(id, "interrupted", `its server ended in the midst of it, ${ATTEMPTS_MAX} times`);
    if (begun.actor === null && (begun.isResolved || begun.ageS > BY_ITSELF_AGE_S_MAX)) return pass(begun);
    await tell(sql, id);
    const startedMs = clock.monotonicMs();
    const heuristic = await answers.ensureHeuristics(incident, begun.actor !== null);
    const finding = await look(begun, incident, heuristic, signal);
    await settle(begun, incident, { heuristic, finding, tookMs: clock.monotonicMs() - startedMs });
  }

  /** What nobody asked for is not looked into for hours after a storm: then the model is asked once. */
  async function pass({ id, incidentId, isResolved }: BegunInvestigation): Promise<void> {
    if (isResolved) return fail(id, "over", "the incident was over before a model could look");
    await deps.sendAsk(sql, [{ id: incidentId, actor: null }]);
    await fail(id, "late", "it waited for too long; the model is asked once instead");
  }

  async function look(
    begun: BegunInvestigation,
    incident: ExplainableIncident,
    heuristic: Awaited<ReturnType<Answers["ensureHeuristics"]>>,
    signal: AbortSignal,
  ): Promise<Finding> {
    const { id, incidentId } = begun;
    const { allow, listed } = await store.host(incident.agentId);
    const known = withOwn(listed, incident);
    const guard = createGuard({ listed: known, allow });
    const earlier = await store.steps(id);
    await learnAgain(guard, id, earlier);
    const surroundings = await incidents.surroundings(incident, RECENT_INCIDENTS);
    const subject: CarrySubject = { id, incidentId, agentId: incident.agentId };
    return investigate(
      {
        turn: (asked, added, limit) => turn(begun, asked, added, limit),
        takesTools: client.takesTools,
        guard,
        carry: createCarrying(deps, subject),
        begun: (step) => beginStep(subject, step),
        ended: (no, state, output) => endStep(subject, no, state, output),
        clock,
        timeoutMs: options.timeoutMs,
      },
      { context: { incident, heuristic, ...surroundings, named: [...known.units, ...known.containers] }, earlier },
      signal,
    );
  }

  /** What the host listed before a server was killed it has still listed. */
  async function learnAgain(guard: Guard, id: string, earlier: readonly Step[]): Promise<void> {
    for (const step of earlier) {
      const command = await deps.commands.get(commandIdOf(id, step));
      if (command?.status === "done") guard.learn(step.tool, command.output ?? "");
    }
  }

  /** One question to the model, in a slot, within the day's budget. */
  async function turn(
    { id, incidentId }: BegunInvestigation,
    asked: ModelRequest,
    added: string,
    signal: AbortSignal,
  ): Promise<TurnReply> {
    const questionHash = sha256Hex(`investigation ${id}`);
    const reply = await deps.slots.use(
      async (): Promise<TurnReply> => {
        const row = { incidentId, investigationId: id, questionHash, request: asked, added };
        const call = await deps.calls.make(row, signal);
        if (call === undefined) return { ok: false, reason: "budget", message: deps.calls.budgetWords };
        await call.settle(call.reply.ok ? "ok" : call.reply.reason);
        if (call.reply.ok) await store.addUsage(id, call.reply.usage);
        return call.reply;
      },
      (one) => !one.ok && one.reason === "timeout" && !signal.aborted,
      signal,
    );
    return reply ?? { ok: false, reason: "timeout", message: "its time was over before the model could be asked" };
  }

  /** What goes to the host leaves its own lines in the timeline; what the server knows by itself gets one here. */
  async function beginStep({ id, incidentId }: CarrySubject, step: BegunStep): Promise<void> {
    await store.beginStep(id, step, step.command === null ? null : commandIdOf(id, step));
    if (step.command !== null || step.isRefused) return;
    await writer.note(sql, [
      { kind: "looked", actor: MODEL_ACTOR, incidentId, data: { tool: step.tool, ...step.given } },
    ]);
  }

  async function endStep({ id, incidentId }: CarrySubject, no: number, state: string, output: string): Promise<void> {
    metrics.looks.inc({ state });
    await store.endStep(id, no, state, output);
    await tell(sql, id);
    if (state !== "refused") return;
    await writer.note(sql, [{ kind: "look_refused", actor: MODEL_ACTOR, incidentId, data: { why: output } }]);
  }

  async function settle(
    { id }: BegunInvestigation,
    incident: ExplainableIncident,
    {
      heuristic,
      finding,
      tookMs,
    }: Pick<Parameters<typeof fromModel>[1], "heuristic" | "tookMs"> & { finding: Finding },
  ): Promise<void> {
    const { protocol, calls, result } = finding;
    if (!result.ok) {
      await answers.unask(incident.id, result.reason, result.message);
      return fail(id, result.reason, result.message, protocol);
    }
    const { answer, notes } = result;
    const explanation = fromModel(answer, { heuristic, model, notes, tookMs, investigation: { id, calls } });
    const ended: EndedInvestigation = { state: "done", outcome: "answered", why: null, protocol };
    const data = { model, investigation_id: id, calls };
    // A server that was taken for dead may come back with an answer of its own.
    await answers.write(incident.id, explanation, data, async (tx) => {
      if ((await store.end(tx, id, ended)) === undefined) return false;
      await tell(tx, id, { cause: answer.cause });
      return true;
    });
    metrics.investigations.inc({ outcome: "answered" });
  }

  /** Ends it where people see why; once. */
  async function fail(id: string, outcome: string, why: string, protocol: string | null = null): Promise<void> {
    await sql.begin(async (tx) => {
      const ended = await store.end(tx, id, { state: "failed", outcome, why, protocol });
      if (ended === undefined) return;
      const { incidentId, calls } = ended;
      const data = { investigation_id: id, outcome, why, calls };
      await writer.note(tx, [{ kind: "investigation_failed", actor: MODEL_ACTOR, incidentId, data }]);
      await tell(tx, id, { why });
    });
    metrics.investigations.inc({ outcome });
    log.warn({ investigation: id, outcome, why }, "an investigation ended without an answer");
  }

  return {
    request,
    /** On its own, in the transaction that explains these incidents. */
    async begin(tx: TransactionSql, ids: readonly number[]): Promise<void> {
      const wanted = ids.map((incidentId) => ({ id: crypto.randomUUID(), incidentId, actor: null }));
      await queue(tx, wanted);
    },
    run,
    /** Its last try failed. */
    giveUp: (id: string) => fail(id, "given_up", "the server failed at it; its log says why"),
    has: store.has,
    view: store.view,
    deleteOld: store.deleteOld,
  };
}

export type Investigations = ReturnType<typeof createInvestigations>;

function refusalOf(mode: string, isConfigured: boolean): InvestigationOutcome | undefined {
  if (mode === "off")
    return { ok: false, reason: "investigation_off", message: "investigations are switched off (AI_INVESTIGATE=off)" };
  if (!isConfigured) return { ok: false, reason: "no_model", message: "no model is set up (OPENROUTER_KEY)" };
  return undefined;
}

/** The incident's own unit or container is named by the host's alert. */
function withOwn({ units, containers }: Listed, { type, source }: ExplainableIncident): Listed {
  const isNamed = (...types: string[]) => types.includes(type) && isTargetName(source);
  return {
    units: isNamed("systemd", "log") ? [...new Set([source, ...units])] : units,
    containers: isNamed("docker", "log") ? [...new Set([source, ...containers])] : containers,
  };
}
