import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useApp } from "../app-context.ts";
import { ApiProblem, wordsOf } from "../data/api.ts";
import type { EventRow, News } from "../data/model.ts";
import { eventWords } from "../lib/event-words.ts";
import { Clock } from "./words.tsx";

const SHOWN = 20;

/** The newest of what happened over all hosts. */
export function EventFeed() {
  const { api, store } = useApp();
  const rows = useSignal<readonly EventRow[]>([]);
  const problem = useSignal<ApiProblem | null>(null);

  useEffect(() => {
    const closing = new AbortController();
    const add = (fresh: readonly EventRow[]) => {
      const all = new Map([...rows.peek(), ...fresh].map((row) => [row.id, row]));
      rows.value = [...all.values()].sort(compare).slice(0, SHOWN);
    };
    const load = async () => {
      try {
        add(await api.get<EventRow[]>(`/v1/timeline?limit=${SHOWN}`, closing.signal));
        problem.value = null;
      } catch (error) {
        if (closing.signal.aborted) return;
        if (!(error instanceof ApiProblem)) throw error;
        problem.value = error;
      }
    };
    void load();
    const silence = store.listen((news: News) => {
      if (news.kind === "timeline") add([news.data]);
      if (news.kind === "reset" || (news.kind === "back" && problem.value !== null)) void load();
    });
    return () => {
      silence();
      closing.abort();
    };
  }, []);

  if (problem.value !== null && rows.value.length === 0) return <p class="muted">{wordsOf(problem.value)}</p>;
  if (rows.value.length === 0) return <p class="muted">Nothing happened yet.</p>;
  return (
    <ol class="feed">
      {rows.value.map((row) => (
        <li key={row.id}>
          <span class="feed-at">
            <Clock at={row.at} />
          </span>
          <EventLine row={row} />
        </li>
      ))}
    </ol>
  );
}

/** Newest first; of one moment what followed from an incident stands above that it opened. */
function compare(a: EventRow, b: EventRow): number {
  return b.at.localeCompare(a.at) || b.id - a.id;
}

function EventLine({ row }: { row: EventRow }) {
  const words = eventWords(row);
  const host = row.host === null ? "" : ` · ${row.host}`;
  const href =
    row.incident_id !== null ? `/app/incidents/${row.incident_id}` : row.agent_id && `/app/hosts/${row.agent_id}`;
  const text = `${words}${host}`;
  return href ? <a href={href}>{text}</a> : <span>{text}</span>;
}
