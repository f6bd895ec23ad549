/**
 * What people say of explanations: "that was it", or that it was not. A word is kept with the problem's fingerprint, and shown on
 * the next incident of it; the model is told of it, and explanations are measured by it.
 */
import type { Sql, TransactionSql } from "postgres";
import type { IncidentWriter } from "../incidents/model.ts";
import type { Feedback, FeedbackOutcome, FeedbackService, GivenFeedback } from "./model.ts";
import type { FeedbackStore, KeptWord, ShownExplanation } from "./store.ts";

interface FeedbackDeps {
  sql: Sql;
  store: FeedbackStore;
  writer: Pick<IncidentWriter, "hold" | "touch" | "note">;
  /** What follows, in that transaction: messages about these incidents show it. */
  given: (tx: TransactionSql, incidentIds: readonly number[]) => Promise<void>;
}

/** Makes the service. */
export function createFeedback({ sql, store, writer, given: follow }: FeedbackDeps): FeedbackService {
  /** Under the incident's lock: of two words at once the second replaces the first, and says so. */
  async function give(tx: TransactionSql, given: GivenFeedback): Promise<FeedbackOutcome> {
    const { incidentId } = given;
    const ids = await store.shownIn(tx, incidentId);
    if (ids.length > 0) await writer.hold(tx, ids);
    const shown = await store.shown(tx, incidentId);
    if (shown === undefined) return { ok: false, reason: "not_found" };
    const mistake = mistakeIn(given, shown);
    if (mistake) return { ok: false, reason: "invalid", ...mistake };
    const word = wordOf(given, shown);
    const { feedback: before } = await store.about(incidentId, tx);
    if (before && isSame(before, word, given)) return { ok: true, feedback: before };
    await store.put(tx, given, word, shown);
    await writer.touch(tx, ids);
    await follow(tx, ids);
    await writer.note(tx, [lineOf(given, word, before)]);
    const { feedback } = await store.about(incidentId, tx);
    return feedback ? { ok: true, feedback } : { ok: false, reason: "not_found" };
  }

  return {
    give: async (given) => (await sql.begin((tx) => give(tx, given))) as FeedbackOutcome,
    about: (incidentId) => store.about(incidentId),
  };
}

type Mistake = Pick<Extract<FeedbackOutcome, { reason: "invalid" }>, "field" | "message">;

function mistakeIn({ verdict, cause, category }: GivenFeedback, shown: ShownExplanation): Mistake | undefined {
  if (verdict === "wrong" && shown.cause === null)
    return { field: "verdict", message: "nothing explains this incident yet that could be wrong" };
  if (cause !== undefined) return undefined;
  if (verdict === "right" && !isExplained(shown))
    return { field: "cause", message: "nothing explains this incident: say what it was" };
  if (verdict === "right" && category !== undefined && category !== shown.category)
    return { field: "category", message: "the explanation that is right names another: say what it was" };
  return undefined;
}

const isExplained = ({ category, cause }: ShownExplanation) =>
  cause !== null && category !== null && category !== "unknown";

/** What is known now: the explanation where it was right, else the person's own words. */
function wordOf({ verdict, cause, category, fix }: GivenFeedback, shown: ShownExplanation): KeptWord {
  const right = verdict === "right" ? shown : { category: null, cause: null, fix: null };
  return {
    verdict,
    category: category ?? right.category,
    cause: cause ?? right.cause,
    fix: fix ?? right.fix,
  };
}

function isSame(before: Feedback, word: KeptWord, { actor }: GivenFeedback): boolean {
  const { verdict, category, cause, fix } = word;
  return (
    before.actor === actor &&
    before.verdict === verdict &&
    before.category === category &&
    before.cause === cause &&
    before.fix === fix
  );
}

function lineOf(given: GivenFeedback, { verdict, category, cause, fix }: KeptWord, before: Feedback | null) {
  const { incidentId, actor, actorName: name, outlet } = given;
  const replaces = before && { verdict: before.verdict, name: before.actor_name };
  return { kind: "feedback", actor, incidentId, data: { verdict, category, cause, fix, name, outlet, replaces } };
}
