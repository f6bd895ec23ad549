import { useEffect } from "preact/hooks";
import { useApp } from "../../app-context.ts";
import type { Incident, Series } from "../../data/model.ts";
import { FiguresChart } from "../../parts/figures-chart.tsx";
import { FailedState } from "../../parts/states.tsx";
import { useRemote } from "../../parts/use-remote.ts";

/** New figures come each minute, and a sign of life each 15 s. */
const ALIVES = 4;
/** The half hour, and a minute for its last figures. */
const AFTER_MS = 31 * 60_000;

/** The host's figures from half an hour before to half an hour after; nothing where none were kept. */
export function Moment({ incident }: { incident: Incident }) {
  const { store } = useApp();
  const { state, reload } = useRemote<Series>(`/v1/incidents/${incident.id}/metrics`);
  useEffect(() => {
    let alives = 0;
    const endMs = Date.parse(incident.created_at) + AFTER_MS;
    return store.listen(({ kind }) => {
      if (kind === "alive" && ++alives % ALIVES === 0 && store.now.peek() < endMs) reload();
    });
  }, [reload, incident.created_at]);
  const { value, problem } = state.value;
  if (problem !== null && problem.status !== 404)
    return <FailedState problem={problem} what="the host's figures" onRetry={reload} />;
  if (value === null) return null;
  const names = Object.keys(value.series).filter((name) => value.series[name]?.some((point) => point !== null));
  return (
    <section class="section" aria-labelledby="moment-title">
      <h2 id="moment-title">The host around the moment</h2>
      {names.length === 0 ? (
        <p class="muted">No figures were heard of it then.</p>
      ) : (
        <div class="charts">
          {names.map((name) => (
            <FiguresChart key={name} name={name} series={value} atS={Date.parse(incident.created_at) / 1000} />
          ))}
        </div>
      )}
    </section>
  );
}
