import { isDoubted } from "../../../protocol/feedback.ts";
import { splitRawError } from "../../../protocol/raw-error.ts";
import type { Incident } from "../../data/model.ts";
import { commandsOf, firstSentence, partsOf, visibleText } from "../../lib/text.ts";
import { CopyButton } from "../../parts/copy.tsx";
import { sureWords } from "../../parts/words.tsx";
import { FeedbackButtons, FeedbackWords } from "./feedback.tsx";
import type { Story } from "./use-story.ts";

/** Longer sentences get smaller letters, so that what to do stays on the first screen. */
const LONG_CHARS = 110;

/** Why it broke, who says so and how sure, and the line that shows it. */
export function Cause({ story, incident }: { story: Story; incident: Incident }) {
  const { analysis } = incident;
  // Rules that know nothing say only that; the host's own words say more.
  const explained = analysis?.category === "unknown" ? null : incident.ai_analysis;
  const { message } = splitRawError({ rawError: incident.raw_error, messageChars: incident.message_chars });
  const { first, rest } = firstSentence(visibleText(explained ?? message.split("\n")[0] ?? ""));
  const isWrong = isDoubted(analysis?.category ?? null, incident.feedback, incident.earlier_feedback);
  const decisive = analysis?.decisive ?? null;
  return (
    <div class="cause">
      <h1
        class={`cause-text${first.length > LONG_CHARS ? " is-long" : ""}${isWrong ? " is-doubted" : ""}`}
        tabIndex={-1}
      >
        <Prose text={first} />
      </h1>
      <div class="cause-by">
        <span>
          {explained === null
            ? unexplainedWords(incident)
            : `${sureWords(analysis?.by, analysis?.confidence)}${isWrong ? "; said to be wrong" : ""}.`}
        </span>
        <FeedbackButtons story={story} incident={incident} />
      </div>
      <FeedbackWords incident={incident} />
      {decisive !== null && (
        <p class="decisive">
          <code>{visibleText(decisive)}</code>
        </p>
      )}
      {rest !== "" && (
        <details class="cause-rest">
          <summary>More about the cause</summary>
          <p>
            <Prose text={rest} />
          </p>
        </details>
      )}
    </div>
  );
}

function unexplainedWords({ ai_analysis, status }: Incident): string {
  if (ai_analysis !== null) return "What the host said; its log does not say why.";
  return status === "new" ? "What the host said; it is being explained." : "What the host said; nobody explained it.";
}

/** What to do, and its command to copy. */
export function Fix({ incident }: { incident: Incident }) {
  const { ai_solution: fix, analysis } = incident;
  if (fix === null || fix.trim() === "") return null;
  const command = analysis?.model?.fix_command ?? null;
  const commands = command === null ? commandsOf(fix) : [command];
  return (
    <section class="fix" aria-label="What to do">
      <div class="fix-head">
        <h2>What to do</h2>
        <CopyButton text={commands.length > 0 ? commands.join("\n") : fix} label="Copy" />
      </div>
      <p class="fix-text">
        <Prose text={visibleText(fix)} />
      </p>
    </section>
  );
}

/** Text with commands between backticks. */
export function Prose({ text }: { text: string }) {
  return <>{partsOf(text).map((part, at) => (part.isCode ? <code key={at}>{part.text}</code> : part.text))}</>;
}
