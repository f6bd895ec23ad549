import { useEffect } from "preact/hooks";
import { useApp } from "../../app-context.ts";
import type { History as HistoryView, PastIncident, ShortIncident } from "../../data/model.ts";
import { personOf } from "../../lib/event-words.ts";
import { counted, nameText } from "../../lib/text.ts";
import { lastedWords } from "../../lib/time.ts";
import { Icon, type IconName } from "../../parts/icons.tsx";
import { IncidentRow } from "../../parts/incident-row.tsx";
import { FailedState } from "../../parts/states.tsx";
import { type Remote, useRemote } from "../../parts/use-remote.ts";
import { Age } from "../../parts/words.tsx";
import { detailsOf } from "./outcome.tsx";

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
  const rows = value ?? [];
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

/** When the same problem was there before, and what helped; on other hosts, too. */
export function History({ history }: { history: Remote<HistoryView> }) {
  const { value, problem } = history.state.value;
  if (value === null && problem !== null)
    return <FailedState problem={problem} what="what was before" onRetry={history.reload} />;
  if (value === null || value.here.length + value.elsewhere.length === 0) return null;
  return (
    <section class="section" aria-labelledby="history-title">
      <h2 id="history-title">The same before</h2>
      <PastList past={value.here} />
      {value.elsewhere.length > 0 && (
        <>
          <h3>On other hosts</h3>
          <PastList past={value.elsewhere} isElsewhere />
        </>
      )}
    </section>
  );
}

function PastList({ past, isElsewhere = false }: { past: readonly PastIncident[]; isElsewhere?: boolean }) {
  const tried = restartsOf(past);
  return (
    <>
      {tried !== undefined && <p>{tried}</p>}
      <ul class="past-list">
        {past.map((one) => (
          <li key={one.id}>
            <p>
              <a href={`/app/incidents/${one.id}`}>#{one.id}</a>
              {isElsewhere && ` on ${nameText(one.host)}`}, <Age at={one.created_at} /> ago
              {one.occurrences > 1 && `, ×${one.occurrences.toLocaleString("en")}`}
              {one.resolved_at !== null && `, over after ${lastedWords(one.created_at, one.resolved_at)}`}
            </p>
            <WhatWasDone past={one} />
          </li>
        ))}
      </ul>
    </>
  );
}

function WhatWasDone({ past: { decisions, reason } }: { past: PastIncident }) {
  if (decisions.length === 0)
    return <p class="muted">Nobody decided anything then{reason === null ? "." : `; ended: ${reason}.`}</p>;
  return (
    <ul>
      {decisions.map((decision) => (
        <li key={decision.requested_at}>
          <PastDecision decision={decision} />
        </li>
      ))}
    </ul>
  );
}

/** What was done and whether it held, by shape and word. */
function PastDecision({ decision }: { decision: PastIncident["decisions"][number] }) {
  const { action, state, outcome, actor, actor_name } = decision;
  const end = action === "restart" ? RESTART_ENDS[state] : undefined;
  const who = personOf(actor, actor_name);
  if (end === undefined) return <span>{outcome ?? `${action} by ${who}: ${state.replaceAll("_", " ")}`}</span>;
  return (
    <span class={`past-decision is-${end.mood}`}>
      <Icon name={end.icon} size={16} />
      <span>
        <b>{end.word}</b> · {detailsOf(decision)} · by {who}
      </span>
    </span>
  );
}

const RESTART_ENDS: Partial<Record<string, { word: string; mood: "good" | "bad"; icon: IconName }>> = {
  verified: { word: "Restart held", mood: "good", icon: "check" },
  failed_again: { word: "Restart failed again", mood: "bad", icon: "close" },
};

/** Of those that are shown. */
function restartsOf(past: readonly PastIncident[]): string | undefined {
  const restarts = past.flatMap(({ decisions }) => decisions).filter(({ action }) => action === "restart");
  const ended = restarts.filter(({ state }) => RESTART_ENDS[state] !== undefined);
  if (ended.length < 2) return undefined;
  const held = ended.filter(({ state }) => state === "verified").length;
  return `Of the last ${counted(ended.length, "restart")}, ${held === 0 ? "none" : held} held.`;
}
