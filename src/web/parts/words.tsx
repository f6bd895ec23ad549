import { useComputed } from "@preact/signals";
import { useApp } from "../app-context.ts";
import type { ShortIncident } from "../data/model.ts";
import { ageWords, clockWords, durationWords, fullWords } from "../lib/time.ts";
import { SeverityShape } from "./icons.tsx";

/** The severity as word, shape and colour. */
export function SeverityBadge({ severity }: { severity: string | null }) {
  return (
    <span class={`severity is-${severity ?? "none"}`}>
      <SeverityShape severity={severity} />
      <span>{severity === null ? "no severity" : severity}</span>
    </span>
  );
}

/** For how long something is past, in one unit; grows by itself. */
export function Age({ at, long = false }: { at: string | null; long?: boolean }) {
  const { store } = useApp();
  const words = useComputed(() => {
    if (at !== null && long) return durationWords((store.now.value - Date.parse(at)) / 1000);
    return ageWords(at, store.now.value);
  });
  return at === null ? (
    <span>never</span>
  ) : (
    <time dateTime={at} title={fullWords(at)}>
      {words}
    </time>
  );
}

/** An instant by the reader's clock. */
export function Clock({ at }: { at: string }) {
  const { store } = useApp();
  return (
    <time dateTime={at} title={fullWords(at)}>
      {clockWords(at, store.now.peek())}
    </time>
  );
}

const STATUS_WORDS = {
  new: "being explained",
  analyzed: "open",
  acknowledged: "acknowledged",
  ignored: "ignored",
  resolved: "resolved",
} as const;

/** How far people are with it. */
export function StatusWord({ status }: Pick<ShortIncident, "status">) {
  return <span class={`status is-${status}`}>{STATUS_WORDS[status]}</span>;
}

const DECISION_WORDS: Partial<Record<string, string>> = {
  requested: "restart asked for",
  sent: "restarting",
  verifying: "restarted, checking",
  verified: "restart holds",
  failed_again: "failed again after restart",
  no_word: "restarted, no word from the host",
  refused: "restart refused",
  failed: "restart failed",
  no_answer: "no answer from the host",
};

/** What the last restart came to, for lists; nothing for decisions that the status tells already. */
export function decisionWords({ decision }: Pick<ShortIncident, "decision">): string | undefined {
  return decision?.action === "restart" ? DECISION_WORDS[decision.state] : undefined;
}

/** A model's or the rules' certainty, in words and number. */
export function sureWords(by: string | null | undefined, confidence: number | null | undefined): string {
  const who = by === "model" ? "A model" : by === "heuristic" ? "Rules" : "Nobody yet";
  if (confidence === null || confidence === undefined || confidence === 0) return who;
  return `${who}, ${Math.round(confidence * 100)} % sure`;
}
