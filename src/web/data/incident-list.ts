/**
 * A list of incidents that the stream keeps up to date.
 *
 * A reader who has scrolled reads in peace (`hold`): rows change where they stand, none comes or goes, and what is new is counted. At
 * the top, or when the reader asks (`settle`), the list is in order again.
 */
import { batch, type ReadonlySignal, signal } from "@preact/signals";
import { type Api, ApiProblem } from "./api.ts";
import { compareIncidents, cursorAfter, filterQuery, type IncidentFilter, matcherOf } from "./incident-order.ts";
import type { News, ShortIncident } from "./model.ts";

/** One answer: a few screens, and below 30 KB on the wire. */
const PAGE_ROWS = 60;
/** More than anybody reads: the tail is dropped, and loaded again by whoever scrolls there. */
const ROWS_MAX = 2_000;
/** New ones that wait for a reader; of more it is known only that there are more. */
const FRESH_MAX = 500;

/** How far a list is. */
export type Loading = { kind: "loading" } | { kind: "ready" } | { kind: "failed"; problem: ApiProblem };

/** The list as a view shows it. */
export interface IncidentList {
  readonly rows: ReadonlySignal<readonly ShortIncident[]>;
  /** New ones that are not shown yet. */
  readonly waiting: ReadonlySignal<number>;
  readonly loading: ReadonlySignal<Loading>;
  readonly hasMore: ReadonlySignal<boolean>;
  load(): Promise<void>;
  loadMore(): Promise<void>;
  hold(isHeld: boolean): void;
  settle(): void;
  apply(news: News): void;
  close(): void;
}

interface IncidentListDeps {
  api: Api;
  filter: IncidentFilter;
  /** Calls back with the next frame: of a thousand events at once the first is drawn at once, and all others then. */
  soon: (draw: () => void) => void;
}

/** Makes a list; nothing is loaded yet. */
export function createIncidentList({ api, filter, soon }: IncidentListDeps): IncidentList {
  const rows = signal<readonly ShortIncident[]>([]);
  const waiting = signal(0);
  const loading = signal<Loading>({ kind: "loading" });
  const hasMore = signal(false);
  const known = new Map<number, ShortIncident>();
  const fresh = new Set<number>();
  /** Since the last question to the server. */
  const arrived = new Map<number, ShortIncident>();
  const fits = matcherOf(filter);
  const compare = compareIncidents(filter.order);
  const closing = new AbortController();
  let next: string | undefined;
  let isHeld = false;
  /** Something was drawn since the last frame. */
  let isResting = false;
  let isDue = false;
  let underWay: Promise<void> | undefined;
  /** The first page is wanted once what is under way has come to an end. */
  let isDueAnew = false;

  function draw(): void {
    if (closing.signal.aborted) return;
    batch(() => (isHeld ? drawInPlace() : drawAnew()));
  }

  /** Not with the next frame, which would show it one frame later. */
  function drawSoon(): void {
    isDue = true;
    if (isResting) return;
    isDue = false;
    isResting = true;
    draw();
    soon(rested);
  }

  function rested(): void {
    isResting = false;
    if (isDue) drawSoon();
  }

  function drawAnew(): void {
    fresh.clear();
    const sorted = [...known.values()].filter((one) => fits(one) && !isFolded(one)).sort(compare);
    if (sorted.length > ROWS_MAX) trim(sorted);
    for (const one of known.values()) if (!fits(one)) known.delete(one.id);
    rows.value = sorted;
    waiting.value = 0;
  }

  function trim(sorted: ShortIncident[]): void {
    for (const one of sorted.splice(ROWS_MAX)) known.delete(one.id);
    const last = sorted.at(-1);
    if (last === undefined) return;
    next = firstPage({ cursor: cursorAfter(filter.order, last) });
    hasMore.value = true;
  }

  /** Beneath what is there, since above somebody reads. */
  function append(page: readonly ShortIncident[]): void {
    const shown = new Set(rows.value.map(({ id }) => id));
    rows.value = [...rows.value, ...page.filter((one) => !shown.has(one.id) && !fresh.has(one.id) && !isFolded(one))];
    drawInPlace();
  }

  function drawInPlace(): void {
    rows.value = rows.value.map((row) => known.get(row.id) ?? row);
    waiting.value = [...fresh].filter((id) => known.has(id)).length;
  }

  /** A consequence stands beneath its cause, where that is in the list. */
  function isFolded({ parent_id }: ShortIncident): boolean {
    return parent_id !== null && filter.q === "" && known.has(parent_id) && known.get(parent_id)?.status !== "resolved";
  }

  function take(incident: ShortIncident): void {
    const before = known.get(incident.id);
    if (before && before.revision > incident.revision) return;
    if (before || fits(incident)) known.set(incident.id, incident);
  }

  function firstPage(more: Record<string, string> = {}): string {
    const query = filterQuery(filter);
    for (const [name, value] of Object.entries({ view: "short", limit: String(PAGE_ROWS), ...more }))
      query.set(name, value);
    return `/v1/incidents?${query}`;
  }

  /** A page on which nothing is to be seen is no answer: the server looks through a part at a time, and what fits may come later. */
  async function loadPages(path: string, isFirst: boolean): Promise<void> {
    try {
      let isSeen = await loadPage(path, isFirst);
      while (!isSeen && !isDueAnew && next !== undefined && rows.value.length < ROWS_MAX)
        isSeen = await loadPage(next, false);
    } catch (error) {
      if (closing.signal.aborted) return;
      if (!(error instanceof ApiProblem)) throw error;
      loading.value = { kind: "failed", problem: error };
    }
  }

  /** Says whether one of the page is to be seen. */
  async function loadPage(path: string, isFirst: boolean): Promise<boolean> {
    arrived.clear();
    const page = await api.list<ShortIncident>(path, closing.signal);
    if (isFirst) known.clear();
    // What the stream brought meanwhile may be newer than the answer.
    for (const row of [...page.rows, ...(isFirst ? arrived.values() : [])]) take(row);
    next = page.next;
    batch(() => {
      hasMore.value = next !== undefined;
      if (isHeld && !isFirst) append(page.rows);
      else drawAnew();
      loading.value = { kind: rows.value.length > 0 || next === undefined ? "ready" : "loading" };
    });
    const seen = new Set(rows.value.map(({ id }) => id));
    return page.rows.some(({ id }) => seen.has(id));
  }

  function once(path: string | undefined, isFirst: boolean): Promise<void> {
    if (path === undefined) return Promise.resolve();
    // What is under way may look through page after page of what is no longer wanted.
    if (isFirst && underWay) isDueAnew = true;
    underWay ??= loadPages(path, isFirst).finally(() => {
      underWay = undefined;
      const isWanted = isDueAnew;
      isDueAnew = false;
      if (isWanted && !closing.signal.aborted) return once(firstPage(), true);
    });
    return underWay;
  }

  return {
    rows,
    waiting,
    loading,
    hasMore,
    load: () => once(firstPage(), true),
    loadMore: () => once(next, false),
    hold(held) {
      isHeld = held;
      if (!held) drawSoon();
    },
    settle() {
      isHeld = false;
      if (fresh.size >= FRESH_MAX) void once(firstPage(), true);
      else draw();
    },
    apply({ kind, data }) {
      // What could not be loaded while the server was away.
      if (kind === "back" && loading.value.kind === "failed") void once(next ?? firstPage(), next === undefined);
      if (kind === "reset") void once(firstPage(), true);
      if (kind !== "incident") return;
      const isNew = !known.has(data.id) && fits(data);
      if (isNew && isHeld) {
        if (fresh.size >= FRESH_MAX) return;
        fresh.add(data.id);
      }
      if (underWay) arrived.set(data.id, data);
      take(data);
      drawSoon();
    },
    close: () => closing.abort(),
  };
}
