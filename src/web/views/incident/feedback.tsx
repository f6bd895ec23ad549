import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { isAbout, lessonOf, type Verdict } from "../../../protocol/feedback.ts";
import { useApp } from "../../app-context.ts";
import { ApiProblem, wordsOf } from "../../data/api.ts";
import type { Feedback, Incident } from "../../data/model.ts";
import { personOf } from "../../lib/event-words.ts";
import { visibleText } from "../../lib/text.ts";
import { OffReason } from "../../parts/states.tsx";
import { Clock } from "../../parts/words.tsx";
import type { FeedbackSheetOptions } from "./feedback-sheet.tsx";
import type { Story } from "./use-story.ts";

/** Says whether the explanation was right; where there is none, what it was. */
export function FeedbackButtons({ story, incident }: { story: Story; incident: Incident }) {
  const { api, store, notices } = useApp();
  const isBusy = useSignal(false);
  const asked = useSignal<{ verdict: Verdict; Sheet: ComponentType<FeedbackSheetOptions> } | null>(null);
  const { analysis, ai_analysis, feedback } = incident;
  const isExplained = ai_analysis !== null && analysis?.category !== "unknown";
  const isOff = isBusy.value || !store.isLive.value;

  async function right(): Promise<void> {
    isBusy.value = true;
    try {
      await api.send("POST", `/v1/incidents/${incident.id}/feedback`, { verdict: "right" });
      await story.load();
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      notices.warn(wordsOf(error));
    } finally {
      isBusy.value = false;
    }
  }

  async function ask(verdict: Verdict): Promise<void> {
    try {
      const { FeedbackSheet } = await import("./feedback-sheet.tsx");
      asked.value = { verdict, Sheet: FeedbackSheet };
    } catch {
      notices.warn("The form could not be loaded. Is the server there?");
    }
  }

  const button = (label: string, verdict: Verdict, press: () => Promise<void>) => (
    <button
      type="button"
      class="button is-quiet"
      aria-pressed={feedback?.verdict === verdict}
      disabled={isOff}
      onClick={() => void press()}
    >
      {label}
    </button>
  );
  const open = asked.value;
  return (
    <span class="feedback-buttons">
      {isExplained ? button("That was it", "right", right) : button("Say what it was", "right", () => ask("right"))}
      {isExplained && button("That was wrong", "wrong", () => ask("wrong"))}
      <OffReason />
      {open && (
        <open.Sheet
          incident={incident}
          verdict={open.verdict}
          onSaid={() => void story.load()}
          onClose={() => {
            asked.value = null;
          }}
        />
      )}
    </span>
  );
}

/** What people said of this explanation, and of earlier ones of the same problem. */
export function FeedbackWords({ incident }: { incident: Incident }) {
  const { feedback, earlier_feedback: earlier } = incident;
  const category = incident.analysis?.category ?? null;
  const { confirmed, saidWrong } = lessonOf(category, feedback, earlier);
  return (
    <>
      {feedback && (
        <Word
          what={ownWords(feedback, category)}
          word={feedback}
          incident={incident}
          isGood={feedback.verdict === "right"}
        />
      )}
      {saidWrong && (
        <Word what="This was said to be wrong" word={saidWrong} incident={incident} isGood={false} isBare />
      )}
      {confirmed && <Word what="Confirmed" word={confirmed} incident={incident} isGood />}
    </>
  );
}

function ownWords(word: Feedback, category: string | null): string {
  const words = word.verdict === "right" ? "That was it" : "That was wrong";
  return isAbout(category, word) || word.shown_category === null ? words : `${words}, of an earlier explanation`;
}

interface WordOptions {
  what: string;
  word: Feedback;
  incident: Incident;
  isGood: boolean;
  /** Without what it was: that stands elsewhere. */
  isBare?: boolean;
}

function Word({ what, word, incident, isGood, isBare = false }: WordOptions) {
  const { incident_id: id, cause, category, fix, outcome, given_at, actor, actor_name } = word;
  const was = cause ?? category?.replaceAll("_", " ") ?? null;
  // What stands above, or below, is not said again.
  const isNews = (text: string | null, shown: string | null) => text !== null && shown?.startsWith(text) !== true;
  const helped = [outcome, isNews(fix, incident.ai_solution) ? fix : null].filter((one) => one !== null).join("; ");
  return (
    <p class={isGood ? "said is-good" : "said is-bad"}>
      <b>{what}</b> <Clock at={given_at} /> by {personOf(actor, actor_name)}
      {id !== incident.id && (
        <>
          {" "}
          (<a href={`/app/incidents/${id}`}>#{id}</a>)
        </>
      )}
      {!isBare && isNews(was, incident.ai_analysis) && <span>It was: {visibleText(was ?? "")}</span>}
      {!isBare && helped !== "" && <span>What helped: {visibleText(helped)}</span>}
    </p>
  );
}
