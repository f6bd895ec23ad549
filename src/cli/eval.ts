import { type EvalCase, type EvalOutcome, evalJson, evalTables, evaluate } from "../analysis/eval.ts";
import { createModelEval } from "../analysis/eval-model.ts";
import { createHeuristics } from "../analysis/heuristics.ts";
import { createModelClient, type ModelClient } from "../analysis/openrouter.ts";
import { proxyOf } from "../config/proxy.ts";
import type { Flags } from "../config/sources.ts";
import { type Config, loadConfig } from "../config.ts";
import { migrate } from "../db/migrate.ts";
import { createFeedbackStore, type FeedbackStore } from "../feedback/store.ts";
import { createFetch } from "../lib/bounded-fetch.ts";
import { createSystemClock } from "../lib/clock.ts";
import { ExitCode, StartupError } from "../lib/errors.ts";
import { createLog } from "../lib/log.ts";
import { withDatabase } from "./with-database.ts";

/** What a model is asked about costs money: the newest. */
const OWN_ASKED_MAX = 200;

/** How it is measured and told. */
export interface EvalFlags extends Flags {
  json?: true | undefined;
  model?: true | undefined;
}

/** Measures on the incidents of which somebody said here what they were, or were not. */
export async function evalOwn(flags: EvalFlags, signal?: AbortSignal): Promise<number> {
  const config = loadConfig(flags);
  return withDatabase(config, async (database, log) => {
    await migrate(database, log);
    const cases = ownCases(createFeedbackStore(database.sql));
    const asked = flags.model ? askedModel(config, signal) : null;
    const measured = await evalCases(cases, { json: flags.json, asked, askedMax: OWN_ASKED_MAX, signal });
    if (measured === 0 && !flags.json) process.stdout.write(NOTHING);
    return ExitCode.ok;
  });
}

const NOTHING = `Nobody has said of an incident yet what it was. "That was it" and "That was wrong" are beside the cause in Slack and on
the page; else POST /v1/incidents/{id}/feedback.
`;

async function* ownCases(store: FeedbackStore): AsyncGenerator<EvalCase> {
  for await (const { incidentId, ...one } of store.cases()) yield { id: `incident ${incidentId}`, ...one };
}

interface EvalOptions extends Pick<EvalFlags, "json"> {
  /** The model that is asked, too. */
  asked: AskedModel | null;
  askedMax: number;
  signal?: AbortSignal | undefined;
}

/** Measures on these cases, and prints what came of it; says how many they were. */
export async function evalCases(
  cases: Iterable<EvalCase> | AsyncIterable<EvalCase>,
  { json, asked, askedMax, signal }: EvalOptions,
): Promise<number> {
  const explain = createHeuristics();
  const { heuristics, model } = await evaluate(cases, { explain, ask: asked?.ask ?? null, askedMax, signal });
  if (json) print(`${JSON.stringify({ ...evalJson(heuristics), ...(asked ? { model: evalJson(model) } : {}) })}\n`);
  else if (heuristics.length > 0) printTables(heuristics, asked, model);
  return heuristics.length;
}

function printTables(
  heuristics: readonly EvalOutcome[],
  asked: AskedModel | null,
  model: readonly EvalOutcome[],
): void {
  print(`heuristics\n${evalTables(heuristics)}`);
  if (asked) print(`\n${asked.name}\n${evalTables(model)}${asked.account()}`);
}

const print = (text: string) => void process.stdout.write(text);

/** A model, and the account of what it was asked. */
interface AskedModel extends ReturnType<typeof createModelEval> {
  name: string;
}

function askedModel(config: Config, signal?: AbortSignal): AskedModel {
  return { ...createModelEval(evalClient(config), signal), name: config.ai.model };
}

/** The model that the settings name. Throws a StartupError where there is none. */
export function evalClient({ ai, publicUrl, proxies }: Config): ModelClient {
  const log = createLog({ level: "silent", readable: false });
  const fetch = createFetch((url) => proxyOf(proxies, url));
  const client = createModelClient({ ...ai, apiKey: ai.key, publicUrl, fetch, clock: createSystemClock(), log });
  if (!client.isConfigured) {
    const what = "no model is set up: OPENROUTER_KEY, or OPENROUTER_BASE_URL of a local one";
    throw new StartupError(what, ExitCode.config);
  }
  return client;
}
