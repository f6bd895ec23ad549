/** What a message says of people's words on its explanation, and the menu by which they say them. */
import type { IncidentView } from "../announcements/model.ts";
import type { Feedback } from "../feedback/model.ts";
import { isAbout, lessonOf } from "../protocol/feedback.ts";
import { type Block, type Element, moment, plainText, section } from "./blocks.ts";
import type { Texts } from "./text.ts";

/** What is said by the menu; `cause`: what it was, where nothing explains it. */
const WORDS = ["right", "wrong", "cause"] as const;
export type FeedbackWord = (typeof WORDS)[number];

/** The menu's action id. */
export const FEEDBACK_MENU = "opspilot_feedback";

/** So much of a person's words is shown. */
const SHOWN = { cause: 500, fix: 400 };

/** The word that an option of the menu stands for; undefined for none of ours. */
export function feedbackWordOf(option: string | undefined): FeedbackWord | undefined {
  return WORDS.find((word) => word === option);
}

/** The menu beside the cause of an incident that something explains. */
export function feedbackMenu({ explanation }: IncidentView): Element {
  const option = (value: FeedbackWord, label: string) => ({ text: plainText(label), value });
  const options =
    explanation === null || explanation.category === "unknown"
      ? [option("cause", "Say what it was")]
      : [option("right", "That was it"), option("wrong", "That was wrong")];
  return { type: "overflow", action_id: FEEDBACK_MENU, options };
}

/** What people said of its explanation, and of earlier ones. `linkTo` names another incident. */
export function feedbackBlocks(incident: IncidentView, texts: Texts, linkTo: (id: number) => string): Block[] {
  const { feedback } = incident;
  const category = incident.explanation?.category ?? null;
  const { confirmed, saidWrong } = lessonOf(category, feedback, incident.earlierFeedback);
  const whenAndWho = (one: Feedback) => `${moment(one.given_at)} by ${texts.line(one.actor_name, 80)}`;
  const earlier = (what: string, one: Feedback) => `*${what}* ${whenAndWho(one)} (${linkTo(one.incident_id)})`;
  return [
    ...(feedback ? [section([own(feedback), ...known(feedback)].join("\n"))] : []),
    ...(saidWrong ? [section(earlier("This was said to be wrong", saidWrong))] : []),
    ...(confirmed ? [section([earlier("Confirmed", confirmed), ...known(confirmed)].join("\n"))] : []),
  ];

  function own(one: Feedback): string {
    const verdict = `*That was ${one.verdict === "right" ? "it" : "wrong"}:* ${whenAndWho(one)}`;
    return isAbout(category, one) || one.shown_category === null ? verdict : `${verdict}, of an earlier explanation`;
  }

  /** What the message does not say already. */
  function known({ cause, category, fix, outcome }: Feedback): string[] {
    const { explanation } = incident;
    const what = cause ?? category?.replaceAll("_", " ") ?? "";
    const helped = [outcome, fix === explanation?.fix ? null : fix].filter((one) => one !== null);
    return [
      ...(what === "" || what === explanation?.cause ? [] : [`It was: ${texts.line(what, SHOWN.cause)}`]),
      ...(helped.length === 0 ? [] : [`What helped: ${texts.line(helped.join("; "), SHOWN.fix)}`]),
    ];
  }
}
