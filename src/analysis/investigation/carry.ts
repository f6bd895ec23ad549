import type { CommandService, ExecOutcome } from "../../commands/model.ts";
import type { FigureService, Figures } from "../../figures/model.ts";
import type { Clock } from "../../lib/clock.ts";
import { assert } from "../../lib/errors.ts";
import { hashUuid } from "../../lib/hash.ts";
import { READ_ONLY_COMMANDS } from "../../protocol/commands.ts";
import { durationOf } from "../prompt.ts";
import type { CheckedCall } from "./guard.ts";
import type { Carried, Step } from "./loop.ts";
import type { EarlierIncident, InvestigationStore } from "./store.ts";
import { paramsOf } from "./tools.ts";

/** As events and commands name it. */
export const MODEL_ACTOR = "model";
/** For one answer of the host; agents give up what takes longer. */
const ANSWER_WAIT_S = 22;
/** Somebody else asks the host the same just now: that is waited for. */
const BUSY = { everyMs: 1_000, tries: 10 } as const;
const EARLIER_MAX = 10;
const SAID_CHARS_MAX = 300;
/** Of a chart by minutes; above it by five of them. */
const FINE_MINUTES_MAX = 60;

interface CarryDeps {
  commands: Pick<CommandService, "exec">;
  figures: Pick<FigureService, "ofAgent">;
  store: Pick<InvestigationStore, "earlier">;
  clock: Clock;
}

/** Whose host is asked, and for what. */
export interface CarrySubject {
  id: string;
  incidentId: number;
  agentId: string;
}

/**
 * The command of a step. A second try, after a crash, asks how the first one fares; where the model wants to know something else by
 * then, it is another command.
 */
export function commandIdOf(investigationId: string, { no, tool, given }: Pick<Step, "no" | "tool" | "given">): string {
  // A database gives the arguments back in an order of its own.
  const inOrder = Object.entries(given).sort(([one], [other]) => (one < other ? -1 : 1));
  return hashUuid(`investigation ${investigationId} step ${no} ${tool} ${JSON.stringify(inOrder)}`);
}

/** Carries out what the guard has let pass: on the incident's own host and no other, and what changes nothing. */
export function createCarrying({ commands, figures, store, clock }: CarryDeps, subject: CarrySubject) {
  const { id, incidentId, agentId } = subject;

  async function askHost({ tool, given }: CheckedCall, no: number, signal: AbortSignal): Promise<Carried> {
    const { command } = tool;
    assert(command !== null && READ_ONLY_COMMANDS.includes(command), "a model's calls change nothing");
    const request = {
      id: commandIdOf(id, { no, tool: tool.name, given }),
      agentId,
      incidentId,
      command,
      params: paramsOf(tool, given),
    };
    for (let tries = 0; ; tries++) {
      const outcome = await commands.exec({ ...request, actor: MODEL_ACTOR, waitS: ANSWER_WAIT_S }, signal);
      const isBusy = !outcome.ok && outcome.reason === "command_open" && tries < BUSY.tries && !signal.aborted;
      if (!isBusy) return carriedOf(outcome);
      await clock.sleep(BUSY.everyMs, signal);
    }
  }

  async function measure(minutes: number): Promise<Carried> {
    const fromS = clock.now() / 1000 - minutes * 60;
    const outcome = await figures.ofAgent(agentId, { fromS, stepS: minutes > FINE_MINUTES_MAX ? 300 : 60 });
    return outcome.ok ? { ok: true, text: figuresText(outcome.figures) } : { ok: false, text: outcome.message };
  }

  async function remember(scope: "host" | "same_problem"): Promise<Carried> {
    const found = await store.earlier(incidentId, scope, EARLIER_MAX);
    return { ok: true, text: found.map(earlierLine).join("\n") || "none" };
  }

  return async (call: CheckedCall, no: number, signal: AbortSignal): Promise<Carried> => {
    if (call.tool.command !== null) return askHost(call, no, signal);
    if (call.tool.name === "metrics") return measure(Number(call.given.minutes));
    return remember(call.given.scope === "host" ? "host" : "same_problem");
  };
}

function carriedOf(outcome: ExecOutcome): Carried {
  if (!outcome.ok) return { ok: false, text: `not done: ${outcome.message}` };
  const { status, output, error } = outcome.command;
  if (status === "sent") return { ok: false, text: `the host did not answer within ${ANSWER_WAIT_S} s` };
  if (status === "done") return { ok: true, text: output ?? "" };
  return { ok: false, text: [`${status}: ${error ?? "no reason given"}`, output ?? ""].join("\n").trim() };
}

/** A line a step: its time, and the mean of each figure with the most in brackets. */
function figuresText({ series, from, step_s: stepS }: Figures): string {
  const names = Object.keys(series);
  if (names.length === 0) return "nothing was measured in this time";
  const steps = Math.max(...names.map((name) => series[name]?.length ?? 0));
  const lines = Array.from({ length: steps }, (_, at) => {
    const cells = names.map((name) => cellOf(series[name]?.[at]));
    const time = new Date((from + at * stepS) * 1000).toISOString().slice(11, 16);
    return cells.every((cell) => cell === "-") ? [] : [[time, ...cells].join(" ")];
  });
  return [`UTC ${names.join(" ")}: mean(most)`, ...lines.flat()].join("\n");
}

function cellOf(point: Figures["series"][string][number] | undefined): string {
  if (!point) return "-";
  const [, , mean, most] = point;
  return `${mean}(${most})`;
}

function earlierLine(one: EarlierIncident): string {
  const { id, ageS, status, category, type, source, firstLine, tried, reason, isSameHost, saidCause, saidFix } = one;
  const where = isSameHost ? "this host" : "another host";
  const helped = tried.length === 0 ? "" : `; ${tried.join(", ")}`;
  const said = saidCause === null ? "" : `; people said it was: ${brief(saidCause)}`;
  const fix = saidFix === null ? "" : `; people said what helped: ${brief(saidFix)}`;
  const end = status === "resolved" && reason ? `; ended: ${reason}` : "";
  return `#${id}, ${durationOf(ageS)} earlier, ${where}, ${status}, ${category ?? "not explained"}: ${type} ${source}: ${firstLine}${helped}${said}${fix}${end}`;
}

/** What people write may have many lines. */
function brief(text: string): string {
  return text.replaceAll(/\s+/g, " ").slice(0, SAID_CHARS_MAX).toWellFormed();
}
