import { useComputed, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useApp } from "../app-context.ts";
import type { IncidentList } from "../data/incident-list.ts";
import { OPEN_FILTER } from "../data/incident-order.ts";
import type { Agent, Counts } from "../data/model.ts";
import { counted, nameText } from "../lib/text.ts";
import { durationWords } from "../lib/time.ts";
import { AddHost } from "../parts/add-host.tsx";
import { AlertsChart } from "../parts/alerts-chart.tsx";
import { EventFeed } from "../parts/event-feed.tsx";
import { IncidentWindow } from "../parts/incident-window.tsx";
import { EmptyState, FailedState, LoadingState } from "../parts/states.tsx";
import { useIncidents } from "../parts/use-incidents.ts";
import { useRemote } from "../parts/use-remote.ts";
import { Age } from "../parts/words.tsx";

/** What is going on: one sentence, then what is open, most urgent first. */
export function NowView() {
  const { store } = useApp();
  const counts = store.counts.value;
  const problem = store.countsProblem.value;
  const isFirstVisit = useSignal(false);
  // Asked for beside the counts, not after them.
  const list = useIncidents(OPEN_FILTER);
  if (counts === null && problem !== null)
    return (
      <FailedState problem={problem} what="what is going on" heading="Now" onRetry={() => void store.loadCounts()} />
    );
  if (counts === null) return <LoadingState what="what is going on" heading="Now" />;
  if (counts.hosts.total === 0 && counts.total === 0) isFirstVisit.value = true;
  // A host that was added here counts at once; its token must be read before it connects.
  if (isFirstVisit.value && counts.hosts.online === 0) return <NoHostsYet />;
  return <NowOverview counts={counts} list={list} />;
}

function NowOverview({ counts, list }: { counts: Counts; list: IncidentList }) {
  const { store, isWide } = useApp();
  const isListed = list.loading.value.kind !== "loading";
  return (
    <div class="now">
      <div class="now-main">
        <Sentence counts={counts} />
        {counts.total === 0 && list.rows.value.length === 0 ? (
          <EmptyState title={store.isPast.value ? "Nothing was open" : "Nothing is open"}>
            <p>
              What was is under <a href="/app/incidents?status=resolved&order=newest">Incidents, resolved</a>.
            </p>
          </EmptyState>
        ) : (
          <IncidentWindow list={list} label="Open incidents, most urgent first" isRoomy={isWide.value} />
        )}
      </div>
      <aside class="now-side" aria-label="Beside">
        <section>
          <h2>Alerts a minute</h2>
          <AlertsChart alerts={counts.alerts} nowMs={store.now.peek()} isPast={store.isPast.value} />
        </section>
        {/* What is urgent comes first, also over the wire. */}
        {isListed && <SilentHosts offline={counts.hosts.offline} />}
        {isListed && (
          <section>
            <h2>Newest</h2>
            <EventFeed />
          </section>
        )}
      </aside>
    </div>
  );
}

/** The answer in one line; without colour while it is not known to be true. */
function Sentence({ counts }: { counts: Counts }) {
  const { store } = useApp();
  const words = useComputed(() =>
    store.isPast.value ? pastSentenceOf(counts, store.oldS.value ?? 0) : sentenceOf(counts, store.now.value),
  );
  // Changes are told, but how many there are now could not be asked.
  const isTrue = store.isKnown.value && store.countsProblem.value === null;
  const { by_severity: open, unacknowledged_critical: urgent } = counts;
  const mood = !isTrue
    ? "unknown"
    : counts.total === 0
      ? "quiet"
      : urgent > 0
        ? "critical"
        : open.warning
          ? "warning"
          : "some";
  return (
    <h1 class={`sentence is-${mood}`} tabIndex={-1}>
      {words}
    </h1>
  );
}

function sentenceOf(
  { total, by_severity: open, hosts, hosts_affected: affected, quiet_since: since }: Counts,
  nowMs: number,
): string {
  if (total === 0) {
    const quiet = since === null ? "All quiet" : `All quiet for ${durationWords((nowMs - Date.parse(since)) / 1000)}`;
    return `${quiet}; ${counted(hosts.online, "host")} reporting${silentWords(hosts)}`;
  }
  return openWords({ by_severity: open, hosts, hosts_affected: affected });
}

/** Nobody knows how it is now. */
function pastSentenceOf(counts: Counts, oldS: number): string {
  const { total, hosts } = counts;
  const was =
    total === 0
      ? `nothing was open, ${counted(hosts.online, "host")} reported${silentWords(hosts)}`
      : openWords(counts);
  return `${durationWords(oldS)} ago: ${was}`;
}

const silentWords = ({ offline }: Counts["hosts"]) => (offline > 0 ? `, ${offline} silent` : "");

function openWords({
  by_severity: open,
  hosts,
  hosts_affected: affected,
}: Pick<Counts, "by_severity" | "hosts" | "hosts_affected">): string {
  const parts = [
    part(open.critical, "critical", "critical"),
    part(open.warning, "warning", "warnings"),
    part(open.info, "info", "info"),
    part(open.none, "without severity", "without severity"),
  ].filter((one) => one !== undefined);
  return `${parts.join(", ")} on ${affected.toLocaleString("en")} of ${counted(hosts.total, "host")}`;
}

function part(count: number | undefined, one: string, many: string): string | undefined {
  return count === undefined || count === 0 ? undefined : counted(count, one, many);
}

const SILENT_SHOWN = 8;

/** Hosts whose agent is not connected: nobody knows how they are. */
function SilentHosts({ offline }: { offline: number }) {
  const remote = useRemote<Agent[]>(offline === 0 ? null : `/v1/agents?status=offline&limit=${SILENT_SHOWN}`);
  // Another number is another list.
  useEffect(remote.reload, [offline]);
  const agents = remote.state.value.value?.filter(({ status }) => status === "offline") ?? [];
  if (offline === 0) return null;
  return (
    <section>
      <h2>
        Silent hosts <span class="count">{offline}</span>
      </h2>
      <ul class="plain-list">
        {agents.map(({ id, hostname, last_seen_at }) => (
          <li key={id}>
            <a class="line-link" href={`/app/hosts/${id}`}>
              <span>{nameText(hostname ?? id.slice(0, 8))}</span>
              <span class="muted">
                last heard <Age at={last_seen_at} /> ago
              </span>
            </a>
          </li>
        ))}
      </ul>
      {offline > SILENT_SHOWN && <a href="/app/hosts?status=offline">All {offline}</a>}
    </section>
  );
}

/** Empty for good: the way to the first host. The page turns over by itself once one connects. */
function NoHostsYet() {
  return (
    <div class="welcome">
      <h1 tabIndex={-1}>No host reports yet</h1>
      <p class="lead">
        Make a token, copy the executable there, paste one line. This page shows it as soon as it connects.
      </p>
      <AddHost isFirst />
    </div>
  );
}
