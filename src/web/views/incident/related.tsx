import { useEffect } from "preact/hooks";
import { useApp } from "../../app-context.ts";
import type { Incident, ShortIncident } from "../../data/model.ts";
import { personOf } from "../../lib/event-words.ts";
import { counted } from "../../lib/text.ts";
import { IncidentRow } from "../../parts/incident-row.tsx";
import { FailedState } from "../../parts/states.tsx";
import { useRemote } from "../../parts/use-remote.ts";
import { Age } from "../../parts/words.tsx";

const SHOWN_MAX = 50;

/** What broke because of it. */
export function Consequences({ id }: { id: number }) {
  const { store } = useApp();
  const found = useRemote<ShortIncident[]>(`/v1/incidents?view=short&parent_id=${id}&limit=${SHOWN_MAX}`);
  useEffect(
    () =>
      store.listen((news) => {
        if (news.kind === "incident" && news.data.parent_id === id) found.reload();
      }),
    [id],
  );
  const { value, problem } = found.state.value;
  if (problem !== null && value === null)
    return <FailedState problem={problem} what="what follows from it" onRetry={found.reload} />;
  const rows = value?.filter(({ parent_id }) => parent_id === id) ?? [];
  if (rows.length === 0) return null;
  return (
    <section class="section" aria-labelledby="consequences-title">
      <h2 id="consequences-title">{counted(rows.length, "consequence")}</h2>
      <ul class="plain-list">
        {rows.map((incident) => (
          <li key={incident.id}>
            <IncidentRow incident={incident} />
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The same problem before, and what helped. */
export function History({ incident, before }: { incident: Incident; before: Incident | null }) {
  if (incident.previous_id === null) return null;
  return (
    <section class="section" aria-labelledby="history-title">
      <h2 id="history-title">The same before</h2>
      {before === null ? (
        <p>
          <a href={`/app/incidents/${incident.previous_id}`}>#{incident.previous_id}</a>
        </p>
      ) : (
        <BeforeWords before={before} />
      )}
    </section>
  );
}

function BeforeWords({ before }: { before: Incident }) {
  const decisions = before.decisions.filter(({ action }) => action !== "logs");
  return (
    <>
      <p>
        <a href={`/app/incidents/${before.id}`}>#{before.id}</a>, <Age at={before.created_at} /> ago
        {before.resolved_at !== null && before.reason !== null ? `; ended: ${before.reason}` : ""}
      </p>
      {decisions.length === 0 ? (
        <p class="muted">Nobody decided anything then.</p>
      ) : (
        <ul class="plain-list">
          {decisions.map(({ id, action, actor, actor_name, outcome, state }) => (
            <li key={id}>
              <b>{action}</b> by {personOf(actor, actor_name)}: {outcome ?? state.replaceAll("_", " ")}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
