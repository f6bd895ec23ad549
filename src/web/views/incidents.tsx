import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useApp } from "../app-context.ts";
import type { IncidentList } from "../data/incident-list.ts";
import type { ShortIncident } from "../data/model.ts";
import { BulkBar, useSelection } from "../parts/bulk.tsx";
import { Filters } from "../parts/filters.tsx";
import { IncidentWindow } from "../parts/incident-window.tsx";
import { EmptyState } from "../parts/states.tsx";
import { filterOf, useIncidents } from "../parts/use-incidents.ts";
import { useKeys } from "../parts/use-keys.ts";
import { IncidentView } from "./incident/incident.tsx";

/** The list, and the incident that is chosen: beside it where there is room, in its place on a phone. */
export function IncidentsView({ id }: { id: number | null }) {
  const { router, isWide } = useApp();
  const text = router.place.value.query.toString().replaceAll("%2C", ",");
  const query = text === "" ? "" : `?${text}`;
  // The same parts in both, so that a turned phone keeps what it has.
  return (
    <div class={isWide.value ? "panes" : "pane-alone"}>
      {(isWide.value || id === null) && (
        <div key="list" class="pane-list">
          <ListPane query={query} currentId={id} />
        </div>
      )}
      {(isWide.value || id !== null) && (
        <div key="detail" class="pane-detail">
          {id === null ? <Hint /> : <IncidentView key={id} id={id} query={query} />}
        </div>
      )}
    </div>
  );
}

function Hint() {
  return (
    <div class="choose">
      <EmptyState title="Choose an incident">
        <p class="muted">
          <kbd>j</kbd> and <kbd>k</kbd> go through the list, <kbd>Enter</kbd> opens, <kbd>?</kbd> shows all keys.
        </p>
      </EmptyState>
    </div>
  );
}

function ListPane({ query, currentId }: { query: string; currentId: number | null }) {
  const { router, store } = useApp();
  const filter = filterOf(router.place.value.query);
  const list = useIncidents(filter);
  const selection = useSelection(list);
  const isFiltered = query !== "";
  useListKeys(list, query, (incident, isRange) => selection.toggle(incident.id, isRange));
  const rows = list.rows.value;
  const isEmpty = list.loading.value.kind === "ready" && rows.length === 0;
  return (
    <section class="list-pane" aria-label="Incidents">
      {currentId === null ? (
        <h1 class="view-title" tabIndex={-1}>
          Incidents
        </h1>
      ) : (
        <h2 class="view-title">Incidents</h2>
      )}
      <Filters filter={filter} />
      <BulkBar list={list} selection={selection} />
      {isEmpty ? (
        <EmptyState title={emptyWords(isFiltered, store.isPast.value)}>
          {isFiltered && (
            <p>
              <a class="button" href="/app/incidents">
                Clear the filters
              </a>
            </p>
          )}
          {!isFiltered && (
            <p>
              What was is among those that are <a href="/app/incidents?status=resolved&order=newest">resolved</a>.
            </p>
          )}
        </EmptyState>
      ) : (
        <IncidentWindow
          list={list}
          label="Incidents"
          query={query}
          currentId={currentId ?? undefined}
          before={({ id, host, source }) => (
            <label class="row-box">
              <input
                type="checkbox"
                checked={selection.ids.value.has(id)}
                aria-label={`Select #${id}, ${host}, ${source}`}
                onClick={(event) => selection.toggle(id, event.shiftKey)}
              />
            </label>
          )}
        />
      )}
    </section>
  );
}

function emptyWords(isFiltered: boolean, isPast: boolean): string {
  if (isFiltered) return isPast ? "Nothing fitted these filters" : "Nothing fits these filters";
  return isPast ? "Nothing was open" : "Nothing is open";
}

/** j and k go through the list and bring the row into sight; x selects, Shift+X a range. */
function useListKeys(
  list: IncidentList,
  query: string,
  select: (incident: ShortIncident, isRange: boolean) => void,
): void {
  const { router } = useApp();
  const at = useSignal<number | null>(null);
  const waiting = useRef(0);
  useEffect(() => () => cancelAnimationFrame(waiting.current), []);

  const current = () => {
    const focused = document.activeElement?.closest<HTMLElement>("[data-incident]")?.dataset.incident;
    const id = focused === undefined ? at.value : Number(focused);
    return list.rows.peek().findIndex((row) => row.id === id);
  };

  function go(step: number): void {
    const rows = list.rows.peek();
    const next = Math.min(rows.length - 1, Math.max(0, current() + step));
    const row = rows[next];
    if (row === undefined) return;
    at.value = row.id;
    focusRow(row.id, next, rows.length, 3);
  }

  /** The row may have to be scrolled into the window before there is anything to focus. */
  function focusRow(id: number, index: number, count: number, tries: number): void {
    const link = document.querySelector<HTMLElement>(`[data-incident="${id}"]`);
    if (link !== null) {
      link.focus();
      link.scrollIntoView({ block: "nearest" });
      return;
    }
    const box = document.querySelector(".window");
    if (box === null || tries === 0) return;
    const rowPx = box.getBoundingClientRect().height / Math.max(1, count);
    const scroller = document.querySelector(".panes > .pane-list") ?? document.scrollingElement;
    const top = box.getBoundingClientRect().top + index * rowPx;
    scroller?.scrollBy({ top: top - innerHeight / 2 });
    waiting.current = requestAnimationFrame(() => focusRow(id, index, count, tries - 1));
  }

  const selectCurrent = (isRange: boolean) => {
    const row = list.rows.peek()[current()];
    if (row) select(row, isRange);
  };

  useKeys({
    j: () => go(1),
    k: () => go(-1),
    x: () => selectCurrent(false),
    X: () => selectCurrent(true),
    Enter: (event) => {
      const row = list.rows.peek()[current()];
      if (row === undefined || (event.target as Element | null)?.closest("a, button, summary")) return;
      router.go(`/app/incidents/${row.id}${query}`);
    },
    "/": (event) => {
      event.preventDefault();
      document.querySelector<HTMLInputElement>("#incident-search")?.focus();
    },
  });
}
