import type { Incident } from "../../data/model.ts";
import { eventWords } from "../../lib/event-words.ts";
import { visibleText } from "../../lib/text.ts";
import { Clock } from "../../parts/words.tsx";

/** Longer ones are folded at their old end. */
const SHOWN = 12;

/** What happened to it, newest first. */
export function Timeline({ incident }: { incident: Incident }) {
  const entries = incident.timeline.toReversed();
  const line = (entry: Incident["timeline"][number], at: number) => (
    <li key={`${entry.at} ${entry.kind} ${at}`}>
      <span class="feed-at">
        <Clock at={entry.at} />
      </span>
      <span>{visibleText(eventWords(entry))}</span>
    </li>
  );
  return (
    <section class="section" aria-labelledby="timeline-title">
      <h2 id="timeline-title">Timeline</h2>
      <ol class="feed">{entries.slice(0, SHOWN).map(line)}</ol>
      {entries.length > SHOWN && (
        <details class="rest">
          <summary>{entries.length - SHOWN} earlier</summary>
          <ol class="feed">{entries.slice(SHOWN).map(line)}</ol>
        </details>
      )}
    </section>
  );
}
