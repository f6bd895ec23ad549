import type { Decision, DecisionService, Press } from "../decisions/model.ts";
import type { IgnoreVariant } from "../protocol/actions.ts";
import { actorName } from "../protocol/actors.ts";
import { existing, HttpProblem, notFound } from "./problems.ts";

/** What somebody decides by a request. */
interface Wish extends Pick<Press, "incidentId" | "action" | "actor" | "outlet"> {
  variant?: IgnoreVariant | undefined;
}

/** Decides as a button does, with what the person is told at once. Throws the refusal. */
export async function press(decisions: DecisionService, wish: Wish): Promise<{ decision: Decision; text: string }> {
  const { action, actor } = wish;
  const variant = action === "ignore" ? (wish.variant ?? "until_resolved") : null;
  const outcome = await decisions.press({ ...wish, variant, actorName: actorName(actor) });
  if (!outcome.ok && outcome.reason === "not_found") throw notFound("incident");
  if (!outcome.ok) throw new HttpProblem(409, outcome.reason, outcome.text);
  return { decision: existing("incident", await decisions.get(outcome.decisionId)), text: outcome.text };
}
