import type { IncidentView } from "../announcements/model.ts";
import { isDoubted } from "../protocol/feedback.ts";
import { type Block, section } from "./blocks.ts";
import { feedbackBlocks, feedbackMenu } from "./feedback.ts";
import type { Texts } from "./text.ts";

/** So much of each part is shown. */
const SHOWN = { cause: 900, evidence: 1_200, fix: 1_200, command: 600 };

/** What of a message about an incident says why, and what to do: the explanation, and people's words on it. */
export function explanationBlocks(
  incident: IncidentView,
  texts: Texts,
  { withMenu, linkTo }: { withMenu: boolean; linkTo: (id: number) => string },
): Block[] {
  const { id, explanation } = incident;
  const said = feedbackBlocks(incident, texts, linkTo);
  // A sample is no incident, and has no number.
  const menu = withMenu && id > 0 ? { block_id: `opspilot_cause_${id}`, accessory: feedbackMenu(incident) } : {};
  if (explanation === null) return [{ ...section("*Cause:* not known yet"), ...menu }, ...said];
  const { by, confidence, cause, fix, fixCommand, evidence } = explanation;
  const percent = Math.round(Math.min(1, Math.max(0, confidence)) * 100);
  const sure = percent === 0 ? "a guess" : `${percent} % sure`;
  const whose = by === "model" ? "a language model" : "heuristics";
  const doubt = isDoubted(explanation.category, incident.feedback, incident.earlierFeedback)
    ? "; said to be wrong"
    : "";
  const lines = evidence.filter((line) => line.trim() !== "");
  return [
    {
      ...section(`*Cause* (${sure}, by ${whose}${doubt})\n${texts.prose(cause, SHOWN.cause) || "not known"}`),
      ...menu,
    },
    ...said,
    ...(lines.length > 0 ? [section(`*Evidence*\n${texts.code(lines.join("\n"), SHOWN.evidence)}`)] : []),
    ...(fix.trim() === "" ? [] : [section(`*Suggested fix*\n${texts.prose(fix, SHOWN.fix)}`)]),
    ...(fixCommand === null || fixCommand.trim() === ""
      ? []
      : [section(`*A command the model suggests, not checked:*\n${texts.code(fixCommand, SHOWN.command)}`)]),
  ];
}
