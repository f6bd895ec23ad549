import type { IgnoreVariant } from "../../../protocol/actions.ts";
import { useApp } from "../../app-context.ts";
import type { Incident } from "../../data/model.ts";
import { Sheet } from "../../parts/sheet.tsx";
import { OffReason } from "../../parts/states.tsx";

const IGNORING: readonly { variant: IgnoreVariant; words: string; what: string }[] = [
  { variant: "1h", words: "Ignore for an hour", what: "then people are told again, if it goes on" },
  { variant: "until_worse", words: "Ignore until it gets worse", what: "more often, or more severe than now" },
  { variant: "until_resolved", words: "Ignore until it is resolved", what: "the next time is told" },
  { variant: "for_good", words: "Ignore for good", what: "also when it comes anew; ended under Silences" },
];

interface MoreSheetOptions {
  incident: Incident;
  host: string | null;
  canIgnore: boolean;
  canResolve: boolean;
  onIgnore: (variant: IgnoreVariant) => void;
  onResolve: () => void;
  onExplain: () => void;
  onInvestigate: () => void;
  onClose: () => void;
}

/** What one decides less often. */
export function MoreSheet(options: MoreSheetOptions) {
  const { incident, host, canIgnore, canResolve, onIgnore, onResolve, onExplain, onInvestigate, onClose } = options;
  const isLive = useApp().store.isLive.value;
  const silence = new URLSearchParams({
    source: incident.source,
    type: incident.type,
    ...(host ? { agent: host } : {}),
  });
  return (
    <Sheet title="More" onClose={onClose}>
      <OffReason />
      <ul class="choices">
        {canIgnore &&
          IGNORING.map(({ variant, words, what }) => (
            <li key={variant}>
              <button type="button" class="choice" disabled={!isLive} onClick={() => onIgnore(variant)}>
                <b>{words}</b>
                <span>{what}</span>
              </button>
            </li>
          ))}
        {canResolve && (
          <li>
            <button type="button" class="choice" disabled={!isLive} onClick={onResolve}>
              <b>Resolve</b>
              <span>it is over; that is final, the next alert is a new incident</span>
            </button>
          </li>
        )}
        <li>
          <button type="button" class="choice" disabled={!isLive} onClick={onInvestigate}>
            <b>Investigate</b>
            <span>a model looks at the host itself, by what changes nothing there</span>
          </button>
        </li>
        <li>
          <button type="button" class="choice" disabled={!isLive} onClick={onExplain}>
            <b>Explain again</b>
            <span>by the rules, and by a model where one is set up</span>
          </button>
        </li>
        <li>
          <a class="choice" href={`/app/silences?new&${silence}`}>
            <b>Silence what is like it…</b>
            <span>by pattern, with a look at what fits</span>
          </a>
        </li>
      </ul>
    </Sheet>
  );
}
