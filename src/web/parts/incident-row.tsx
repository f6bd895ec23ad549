import type { ShortIncident } from "../data/model.ts";
import { nameText, visibleText } from "../lib/text.ts";
import { SeverityShape } from "./icons.tsx";
import { Age, decisionWords } from "./words.tsx";

interface IncidentRowOptions {
  incident: ShortIncident;
  /** Filters that stay in the URL. */
  query?: string;
  isCurrent?: boolean;
}

/** One incident in a list: where, since when, why, and what was done. */
export function IncidentRow({ incident, query = "", isCurrent = false }: IncidentRowOptions) {
  const { id, severity, host, source, cause, confidence, title, last_seen_at, status } = incident;
  // Rules that know nothing are not sure of anything: the host's own words say more.
  const why = confidence === 0 ? title : (cause ?? title);
  return (
    <a
      class={`row is-${severity ?? "none"} is-${status}`}
      href={`/app/incidents/${id}${query}`}
      data-incident={id}
      aria-current={isCurrent ? "true" : undefined}
    >
      <span class="row-mark">
        <SeverityShape severity={severity} />
      </span>
      <span class="row-where">
        <b>{nameText(host)}</b>
        <span class="row-source">{nameText(source)}</span>
      </span>
      <span class="row-age">
        <Age at={last_seen_at} />
      </span>
      <span class="row-cause">{visibleText(why)}</span>
      <span class="row-more">{moreOf(incident).join(" · ")}</span>
    </a>
  );
}

function moreOf(incident: ShortIncident): string[] {
  const { severity, status, occurrences, children, silenced, doubted, decision, parent_id } = incident;
  const decided = decisionWords(incident);
  const by = decision !== null && isStatusDecision(decision.action) ? ` by ${decision.actor_name}` : "";
  return [
    severity ?? "no severity",
    ...(occurrences > 1 ? [`×${occurrences.toLocaleString("en")}`] : []),
    ...(status === "new" ? ["being explained"] : status === "analyzed" ? [] : [`${status}${by}`]),
    ...(doubted ? ["the cause was said to be wrong"] : []),
    ...(decided === undefined ? [] : [decided]),
    ...(children > 0 ? [`${children} more from it`] : []),
    ...(parent_id === null ? [] : [`follows from #${parent_id}`]),
    ...(silenced ? ["silenced"] : []),
  ];
}

const isStatusDecision = (action: string) => action === "acknowledge" || action === "ignore" || action === "resolve";
