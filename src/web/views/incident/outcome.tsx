import { useApp } from "../../app-context.ts";
import type { Command, Decision, Incident } from "../../data/model.ts";
import { personOf } from "../../lib/event-words.ts";
import { secondsWords } from "../../lib/time.ts";
import { Icon } from "../../parts/icons.tsx";

/** The server looks at a restarted unit for so long before it believes it. */
const CHECK_S = 60;

/** What is seen of a decision in the bar: a word, details, and how it stands. */
interface Shown {
  word: string;
  details: string;
  mood: "busy" | "good" | "bad" | "unknown";
}

/** The newest decision of a kind. */
export function lastDecision({ decisions }: Pick<Incident, "decisions">, action: string): Decision | undefined {
  return decisions
    .filter((one) => one.action === action)
    .toSorted((a, b) => a.requested_at.localeCompare(b.requested_at))
    .at(-1);
}

/** What came of a restart so far; said anew to screen readers whenever the word changes. */
export function Outcome({ decision, command }: { decision: Decision; command: Command | undefined }) {
  const { store } = useApp();
  const { word, details, mood } = shownOf(decision, command, store.now.value);
  return (
    <div class={`outcome is-${mood}`}>
      <span class="outcome-mark" aria-hidden="true">
        {mood === "busy" ? (
          <span class="spinner" />
        ) : (
          <Icon name={mood === "good" ? "check" : mood === "bad" ? "close" : "more"} />
        )}
      </span>
      <p>
        <b role="status">{word}</b>
        <span>
          {" "}
          {details}
          {` · by ${personOf(decision.actor, decision.actor_name)}`}
        </span>
      </p>
    </div>
  );
}

/** What came of a restart, without who did it: that stands at the end. */
export function saidOf({ outcome }: Pick<Decision, "outcome">): string {
  return (outcome ?? "").replace(/^restarted(?: by [^,;]+)?[,;] /, "");
}

/** The same after a word that says whether it failed. */
export function detailsOf(decision: Pick<Decision, "outcome">): string {
  return saidOf(decision).replace(/^failed again /, "");
}

function shownOf(decision: Decision, command: Command | undefined, nowMs: number): Shown {
  const ran = ranWords(command);
  const said = detailsOf(decision);
  switch (decision.state) {
    case "requested":
      return { word: "Sending the restart", details: said, mood: "busy" };
    case "sent":
      return { word: "Sent", details: "waiting for the host", mood: "busy" };
    case "verifying":
      return { word: "Checking", details: [ran, leftWords(decision, nowMs)].filter(Boolean).join(" · "), mood: "busy" };
    case "verified":
      return { word: "Holds", details: [said, ran].filter(Boolean).join(" · "), mood: "good" };
    case "failed_again":
      return { word: "Failed again", details: [said, ran].filter(Boolean).join(" · "), mood: "bad" };
    case "no_word":
      return { word: "No word", details: said, mood: "unknown" };
    case "no_answer":
      return { word: "No answer", details: said, mood: "unknown" };
    case "refused":
      return { word: "Refused", details: said, mood: "bad" };
    case "done":
      return { word: "Done", details: said, mood: "good" };
    default:
      return { word: "Not restarted", details: said, mood: "bad" };
  }
}

function ranWords(command: Command | undefined): string {
  if (command === undefined || command.finished_at === null) return "";
  const exit = command.exit_code === null ? command.status : `exit ${command.exit_code}`;
  return command.duration_ms === null ? exit : `${exit} in ${secondsWords(command.duration_ms)}`;
}

function leftWords({ carried_out_at: at }: Decision, nowMs: number): string {
  if (at === null) return "";
  const leftS = Math.ceil(CHECK_S - (nowMs - Date.parse(at)) / 1000);
  return leftS > 0 ? `${Math.min(CHECK_S, leftS)} s left` : "the last check";
}
