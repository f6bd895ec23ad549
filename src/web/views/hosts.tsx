import { useSignal } from "@preact/signals";
import { useApp } from "../app-context.ts";
import type { Agent } from "../data/model.ts";
import { counted, nameText } from "../lib/text.ts";
import { AddHost } from "../parts/add-host.tsx";
import { FigureBars } from "../parts/figures.tsx";
import { Search } from "../parts/filters.tsx";
import { Icon } from "../parts/icons.tsx";
import { Sheet } from "../parts/sheet.tsx";
import { EmptyState, FailedState, LoadingState } from "../parts/states.tsx";
import { useAgents } from "../parts/use-agents.ts";
import { useKeys } from "../parts/use-keys.ts";
import { WindowList } from "../parts/window-list.tsx";
import { Age } from "../parts/words.tsx";

const ROW_REM = { wide: 3.75, narrow: 6 } as const;

/** All hosts: those that are silent first. */
export function HostsView() {
  const { router, isWide } = useApp();
  const isAdding = useSignal(false);
  const { query } = router.place.value;
  const text = query.get("q") ?? "";
  const status = query.get("status") ?? "";
  const list = useAgents(status === "online" || status === "offline" ? status : "");
  const all = [...list.agents.value.values()];
  const shown = all.filter((agent) => fits(agent, text, status)).sort(compare);
  const problem = list.problem.value;
  useKeys({
    "/": (event) => {
      event.preventDefault();
      document.querySelector<HTMLInputElement>("#host-search")?.focus();
    },
  });
  return (
    <section class="hosts">
      <div class="view-head">
        <h1 class="view-title" tabIndex={-1}>
          Hosts
        </h1>
        <button
          type="button"
          class="button is-primary"
          onClick={() => {
            isAdding.value = true;
          }}
        >
          <Icon name="add" />
          Add a host
        </button>
      </div>
      <search aria-label="Filter hosts">
        <form class="filters" onSubmit={(event) => event.preventDefault()}>
          <div class="filter-line">
            <Search id="host-search" text={text} onText={(q) => router.setQuery({ q })} />
            <label class="select">
              <span class="off-screen">Status</span>
              <select value={status} onChange={(event) => router.setQuery({ status: event.currentTarget.value })}>
                <option value="">All</option>
                <option value="offline">Silent</option>
                <option value="online">Reporting</option>
                <option value="blind">Cannot see something</option>
                <option value="outdated">Older than the server</option>
              </select>
            </label>
          </div>
        </form>
      </search>
      {problem !== null && <FailedState problem={problem} what="the hosts" onRetry={() => void list.load()} />}
      {shown.length === 0 && !list.isWhole.value && problem === null && <LoadingState what="hosts" />}
      {list.isWhole.value && all.length === 0 && status === "" && (
        <EmptyState title="No host reports yet">
          <AddHost isFirst />
        </EmptyState>
      )}
      {shown.length === 0 && list.isWhole.value && (all.length > 0 || status !== "") && (
        <EmptyState title="No host fits these filters">
          <p>
            <a class="button" href="/app/hosts">
              Clear the filters
            </a>
          </p>
        </EmptyState>
      )}
      {shown.length > 0 && (
        <>
          <p class="muted" role="status">
            {counted(shown.length, "host")}
          </p>
          <WindowList
            rows={shown}
            label="Hosts, silent ones first"
            rowRem={isWide.value ? ROW_REM.wide : ROW_REM.narrow}
            keyOf={({ id }) => id}
            onShown={(agents) => list.see(agents.map(({ id }) => id))}
            render={(agent) => <HostRow agent={agent} />}
          />
        </>
      )}
      {isAdding.value && (
        <Sheet
          title="Add a host"
          onClose={() => {
            isAdding.value = false;
          }}
        >
          <AddHost />
        </Sheet>
      )}
    </section>
  );
}

function HostRow({ agent }: { agent: Agent }) {
  const { id, hostname, status, last_seen_at, meta, outdated } = agent;
  const blind = blindOf(agent);
  return (
    <a class={`host-row is-${status}`} href={`/app/hosts/${id}`}>
      <span class="host-name">
        <HostState status={status} />
        <b>{nameText(hostname ?? "unnamed")}</b>
      </span>
      <span class="host-facts">
        {status === "offline" ? (
          <>
            silent, last heard <Age at={last_seen_at} />
            {last_seen_at === null ? "" : " ago"}
          </>
        ) : (
          [meta?.version, meta?.os].filter(Boolean).join(" · ") || <ReportWord status={status} />
        )}
        {outdated && <span class="warning-line"> · older than the server</span>}
        {blind.length > 0 && <span class="warning-line"> · cannot see: {blind.join(", ")}</span>}
      </span>
      <span class="host-figures">
        <FigureBars figures={meta?.metrics} />
      </span>
    </a>
  );
}

/** Whether a host reports, as shape and word; not green while what one sees is old. */
export function HostState({ status }: Pick<Agent, "status">) {
  const { store } = useApp();
  const mood = status === "offline" ? "offline" : store.isKnown.value ? "online" : "unknown";
  return (
    <span class={`host-state is-${mood}`}>
      <span class="dot" aria-hidden="true" />
      <span class="off-screen">
        <ReportWord status={status} />
      </span>
    </span>
  );
}

/** Whether it reports, in a word; in the past where that is all that is known. */
export function ReportWord({ status }: Pick<Agent, "status">) {
  const { isPast } = useApp().store;
  return <>{status === "offline" ? "silent" : isPast.value ? "was reporting" : "reporting"}</>;
}

/** Collectors that cannot see, though they should. */
export function blindOf({ collectors }: Pick<Agent, "collectors">): string[] {
  return collectors.filter(({ state }) => state === "cannot").map(({ name }) => name);
}

function fits(agent: Agent, text: string, status: string): boolean {
  if (!hasStatus(agent, status)) return false;
  const words =
    `${agent.hostname ?? ""} ${agent.id} ${agent.meta?.os ?? ""} ${agent.meta?.version ?? ""}`.toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => words.includes(word));
}

function hasStatus(agent: Agent, status: string): boolean {
  if (status === "blind") return blindOf(agent).length > 0;
  if (status === "outdated") return agent.outdated;
  return status === "" || agent.status === status;
}

function compare(a: Agent, b: Agent): number {
  const rank = (agent: Agent) => (agent.status === "offline" ? 0 : blindOf(agent).length > 0 ? 1 : 2);
  return rank(a) - rank(b) || (a.hostname ?? a.id).localeCompare(b.hostname ?? b.id, "en", { numeric: true });
}
