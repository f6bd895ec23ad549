import type { IncidentList } from "../data/incident-list.ts";
import type { ShortIncident } from "../data/model.ts";
import { counted } from "../lib/text.ts";
import { Icon } from "./icons.tsx";
import { IncidentRow } from "./incident-row.tsx";
import { FailedState, LoadingState } from "./states.tsx";
import { WindowList } from "./window-list.tsx";

/** A row's height, in rem. Where it is narrow the cause takes two lines. */
const ROW_REM = { roomy: 4.75, narrow: 6.375 } as const;

interface IncidentWindowOptions {
  list: IncidentList;
  label: string;
  query?: string;
  currentId?: number | undefined;
  /** The list has the width of a desktop for itself. */
  isRoomy?: boolean;
  /** What stands before a row, such as a box to tick. */
  before?: (incident: ShortIncident) => preact.ComponentChildren;
}

/** A list of incidents as it is on the screen: the rows in sight, and a word where new ones wait above. */
export function IncidentWindow({ list, label, query = "", currentId, isRoomy = false, before }: IncidentWindowOptions) {
  const rows = list.rows.value;
  const loading = list.loading.value;
  const isEmpty = rows.length === 0;
  if (loading.kind === "failed" && isEmpty)
    return <FailedState problem={loading.problem} what="the incidents" onRetry={() => void list.load()} />;
  if (loading.kind === "loading" && isEmpty) return <LoadingState what="incidents" />;
  return (
    <>
      <NewPill list={list} />
      <WindowList
        rows={rows}
        label={label}
        rowRem={isRoomy ? ROW_REM.roomy : ROW_REM.narrow}
        keyOf={({ id }) => id}
        onEnd={() => void list.loadMore()}
        render={(incident) => (
          <div class={`row-line${before ? " has-box" : ""}${isRoomy ? " is-roomy" : ""}`}>
            {before?.(incident)}
            <IncidentRow incident={incident} query={query} isCurrent={incident.id === currentId} />
          </div>
        )}
      />
      {loading.kind === "failed" && (
        <FailedState problem={loading.problem} what="more incidents" onRetry={() => void list.loadMore()} />
      )}
    </>
  );
}

/** Whoever has scrolled is told of what is new, and not moved. */
function NewPill({ list }: { list: IncidentList }) {
  const waiting = list.waiting.value;
  const show = () => {
    list.settle();
    document.querySelector(".pane-list")?.scrollTo({ top: 0 });
    scrollTo({ top: 0 });
  };
  return (
    <div class="new-pill" role="status">
      {waiting > 0 && (
        <button type="button" class="button is-primary" onClick={show}>
          <Icon name="up" size={18} />
          {counted(waiting, "new", "new")}
        </button>
      )}
    </div>
  );
}
