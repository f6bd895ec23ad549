import { computed, type ReadonlySignal, signal, useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { useApp } from "../app-context.ts";
import { ApiProblem, wordsOf } from "../data/api.ts";
import type { IncidentList } from "../data/incident-list.ts";
import type { IncidentChanges, IncidentStatus } from "../data/model.ts";
import { counted } from "../lib/text.ts";
import { ForRole } from "./for-role.tsx";
import { OffReason } from "./states.tsx";

/** One question is about so many at most, and takes a fraction of a second. */
const AT_ONCE_MAX = 200;

/** Incidents that somebody ticked. It stays while rows come and go. */
export interface Selection {
  readonly ids: ReadonlySignal<ReadonlySet<number>>;
  /** With `isRange` all from the last one that was ticked. */
  toggle(id: number, isRange: boolean): void;
  all(): void;
  clear(): void;
}

/** The selection of a list. */
export function useSelection(list: IncidentList): Selection {
  return useMemo(() => {
    const ids = signal<ReadonlySet<number>>(new Set());
    let last: number | null = null;
    return {
      ids: computed(() => ids.value),
      toggle(id: number, isRange: boolean) {
        const rows = list.rows.peek().map((row) => row.id);
        const next = new Set(ids.value);
        const [from, to] = [rows.indexOf(last ?? -1), rows.indexOf(id)];
        if (isRange && from >= 0 && to >= 0)
          for (const one of rows.slice(Math.min(from, to), Math.max(from, to) + 1)) next.add(one);
        else if (!next.delete(id)) next.add(id);
        last = id;
        ids.value = next;
      },
      all() {
        ids.value = new Set(list.rows.peek().map(({ id }) => id));
      },
      clear() {
        ids.value = new Set();
      },
    };
  }, [list]);
}

/** Set at once, unlike a button's press: each answer says whether it is so. */
const BULK: readonly { status: IncidentStatus; word: string }[] = [
  { status: "acknowledged", word: "Acknowledge" },
  { status: "ignored", word: "Ignore" },
  { status: "resolved", word: "Resolve" },
];

interface Failure {
  id: number;
  words: string;
}

/** What is done with all that are ticked; each that failed is named. */
export function BulkBar({ list, selection }: { list: IncidentList; selection: Selection }) {
  const { api, notices, store } = useApp();
  const failures = useSignal<readonly Failure[]>([]);
  const progress = useSignal<string | null>(null);
  const ids = [...selection.ids.value];

  /** Those that did not change. */
  async function change(some: number[], status: IncidentStatus): Promise<Failure[]> {
    try {
      const { refused } = await api.send<IncidentChanges>("PATCH", "/v1/incidents", { ids: some, status });
      return refused.map(({ id, code, detail }) => ({ id, words: wordsOf(new ApiProblem(409, code, detail)) }));
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      return some.map((id) => ({ id, words: wordsOf(error) }));
    }
  }

  async function run({ status }: (typeof BULK)[number]): Promise<void> {
    if (progress.value !== null) return;
    const failed: Failure[] = [];
    for (let at = 0; at < ids.length; at += AT_ONCE_MAX) {
      progress.value = `${at} of ${ids.length}`;
      failed.push(...(await change(ids.slice(at, at + AT_ONCE_MAX), status)));
    }
    progress.value = null;
    failures.value = failed;
    selection.clear();
    notices.say(`${counted(ids.length - failed.length, "incident")} ${status}`);
  }

  if (ids.length === 0 && failures.value.length === 0) return null;
  return (
    <section class="bulk" aria-label="What is selected">
      {ids.length > 0 && (
        <div class="bulk-buttons">
          <b role="status">{progress.value ?? `${ids.length} selected`}</b>
          <ForRole needs="operator">
            {BULK.map((one) => (
              <button
                key={one.status}
                type="button"
                class="button"
                disabled={progress.value !== null || !store.isLive.value}
                onClick={() => void run(one)}
              >
                {one.word}
              </button>
            ))}
          </ForRole>
          {ids.length < list.rows.value.length && (
            <button type="button" class="button is-quiet" onClick={selection.all}>
              All {list.rows.value.length}
            </button>
          )}
          <button type="button" class="button is-quiet" onClick={selection.clear}>
            None
          </button>
        </div>
      )}
      {ids.length > 0 && <OffReason />}
      {failures.value.length > 0 && (
        <div class="bulk-failures" role="alert">
          <p>{counted(failures.value.length, "incident")} did not change:</p>
          <ul>
            {failures.value.map(({ id, words }) => (
              <li key={id}>
                <a href={`/app/incidents/${id}`}>#{id}</a>: {words}
              </li>
            ))}
          </ul>
          <button
            type="button"
            class="button"
            onClick={() => {
              failures.value = [];
            }}
          >
            Dismiss
          </button>
        </div>
      )}
    </section>
  );
}
