import { useComputed } from "@preact/signals";
import { useRef } from "preact/hooks";
import { useApp } from "../app-context.ts";
import type { Series } from "../data/model.ts";
import { FiguresChart } from "./figures-chart.tsx";
import { FailedState } from "./states.tsx";
import { useRemote } from "./use-remote.ts";

const HOUR_S = 3_600;
/** What goes on is drawn anew for each point that is drawn of it: of three hours each minute. */
const POINTS = 180;
const SPANS = [
  { word: "3 h", hours: 3 },
  { word: "24 h", hours: 24 },
  { word: "30 d", hours: 720 },
] as const;

/** A host's figures over time; `?at=` in the URL marks a moment and shows what is around it. */
export function HostCharts({ agentId }: { agentId: string }) {
  const { router, store } = useApp();
  const { query } = router.place.value;
  const hours = SPANS.find(({ word }) => word === query.get("span"))?.hours ?? SPANS[0].hours;
  const atMs = Date.parse(query.get("at") ?? "");
  const atS = Number.isNaN(atMs) ? null : Math.floor(atMs / 1000);
  const stepS = (hours * HOUR_S) / POINTS;
  const nowS = useComputed(() => Math.floor(store.now.value / 1000 / stepS) * stepS).value;
  const to = atS === null ? nowS : Math.min(nowS, atS + (hours * HOUR_S) / 2);
  const from = to - hours * HOUR_S;
  const path = `/v1/agents/${agentId}/metrics?from=${from}&to=${to}`;
  const { state, reload } = useRemote<Series>(path);
  const { problem } = state.value;
  const value = useLast(`${agentId} ${hours} ${atS}`, state.value.value);
  const names =
    value === null ? [] : Object.keys(value.series).filter((name) => value.series[name]?.some((one) => one !== null));
  return (
    <section class="section" aria-labelledby="charts-title">
      <div class="section-head">
        <h2 id="charts-title">Figures</h2>
        <fieldset class="chips" aria-label="Span">
          {SPANS.map(({ word, hours: one }) => (
            <button
              key={word}
              type="button"
              class="chip"
              aria-pressed={one === hours}
              onClick={() => router.setQuery({ span: one === SPANS[0].hours ? "" : word })}
            >
              {word}
            </button>
          ))}
        </fieldset>
      </div>
      {problem !== null && value === null && <FailedState problem={problem} what="the figures" onRetry={reload} />}
      {value !== null && names.length === 0 && <p class="muted">No figures were heard in this time.</p>}
      {value !== null && (
        <div class="charts">
          {names.map((name) => (
            <FiguresChart key={name} name={name} series={value} atS={atS} />
          ))}
        </div>
      )}
    </section>
  );
}

/** What was there last stays while what follows it is loaded; of another subject nothing stays. */
function useLast<T>(subject: string, value: T | null): T | null {
  const last = useRef<{ subject: string; value: T | null }>({ subject, value });
  if (value !== null || last.current.subject !== subject) last.current = { subject, value };
  return last.current.value;
}
