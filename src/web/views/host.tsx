import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useApp } from "../app-context.ts";
import type { Agent, ShortIncident } from "../data/model.ts";
import { nameText, sizeWords } from "../lib/text.ts";
import { durationWords } from "../lib/time.ts";
import { FigureBars } from "../parts/figures.tsx";
import { HostCharts } from "../parts/host-charts.tsx";
import { HostChecks } from "../parts/host-checks.tsx";
import { HostCommands } from "../parts/host-commands.tsx";
import { HostTokens } from "../parts/host-tokens.tsx";
import { Icon } from "../parts/icons.tsx";
import { IncidentRow } from "../parts/incident-row.tsx";
import { FailedState, LoadingState, MissingState } from "../parts/states.tsx";
import { useKeys } from "../parts/use-keys.ts";
import { useRemote } from "../parts/use-remote.ts";
import { Age, Clock } from "../parts/words.tsx";
import { HostState, ReportWord } from "./hosts.tsx";

/** One host: whether it reports, what it sees, its figures, what went wrong there, and what may be asked of it. */
export function HostView({ id }: { id: string }) {
  const { store, router } = useApp();
  const remote = useRemote<Agent>(`/v1/agents/${encodeURIComponent(id)}`);
  const isRemoved = useSignal(false);
  useKeys({ u: () => router.go("/app/hosts") });
  useEffect(
    () =>
      store.listen((news) => {
        if (news.kind === "agent" && news.data.id === id) remote.change(() => news.data);
        // Its figures: a heartbeat alone is no change.
        if (news.kind === "alive") remote.reload();
      }),
    [remote],
  );
  const { value: agent, problem } = remote.state.value;
  if (isRemoved.value || problem?.status === 404 || problem?.status === 422)
    return (
      <MissingState what="There is no such host">
        <p>It was removed, or never was. Its incidents stay under Incidents.</p>
      </MissingState>
    );
  if (agent === null && problem !== null)
    return <FailedState problem={problem} what="the host" heading="Host" onRetry={remote.reload} />;
  if (agent === null) return <LoadingState what="the host" heading="Host" />;
  return (
    <article class="host">
      <div class="view-head">
        <a class="button is-quiet is-square back" href="/app/hosts" aria-label="Back to all hosts">
          <Icon name="back" />
        </a>
        <h1 class="view-title" tabIndex={-1}>
          {nameText(agent.hostname ?? "Unnamed host")}
        </h1>
      </div>
      <p class="host-line">
        <HostState status={agent.status} />
        <ReportWord status={agent.status} />, last heard <Age at={agent.last_seen_at} />
        {agent.last_seen_at === null ? "" : " ago"}
      </p>
      {agent.shared_with.length > 0 && (
        <p class="warning-line">Other hosts use the same token: {agent.shared_with.join(", ")}. Rotate it.</p>
      )}
      {agent.outdated && (
        <p class="warning-line">
          Its agent is older than the server. On the host: <code>sudo opspilot agent update</code>
        </p>
      )}
      <div class="host-columns">
        <div>
          <HostIncidents agentId={agent.id} />
          <HostCharts agentId={agent.id} />
          <HostCommands agent={agent} />
        </div>
        <div>
          <Facts agent={agent} />
          <HostChecks agent={agent} />
          <Collectors agent={agent} />
          <HostTokens
            agent={agent}
            onRemoved={() => {
              isRemoved.value = true;
            }}
          />
        </div>
      </div>
    </article>
  );
}

function HostIncidents({ agentId }: { agentId: string }) {
  const { store } = useApp();
  const remote = useRemote<ShortIncident[]>(
    `/v1/incidents?view=short&status=open&order=urgent&limit=20&agent_id=${agentId}`,
  );
  useEffect(
    () =>
      store.listen((news) => {
        if (news.kind === "incident" && news.data.agent_id === agentId) remote.reload();
      }),
    [remote],
  );
  const { value, problem } = remote.state.value;
  return (
    <section class="section" aria-labelledby="host-incidents-title">
      <h2 id="host-incidents-title">Open incidents</h2>
      {problem !== null && value === null && (
        <FailedState problem={problem} what="its incidents" onRetry={remote.reload} />
      )}
      {value?.length === 0 && <p class="muted">{store.isPast.value ? "There were none." : "None."}</p>}
      <ul class="plain-list">
        {value?.map((incident) => (
          <li key={incident.id}>
            <IncidentRow incident={incident} />
          </li>
        ))}
      </ul>
      <p>
        <a href={`/app/incidents?agent_id=${agentId}&status=new,analyzed,acknowledged,ignored,resolved&order=newest`}>
          All its incidents
        </a>
      </p>
    </section>
  );
}

function Facts({ agent }: { agent: Agent }) {
  const { meta, connected_at, created_at, id } = agent;
  const facts: [string, string | undefined][] = [
    ["Agent", meta?.version],
    ["System", meta?.os],
    ["Kernel", meta?.kernel],
    ["Architecture", meta?.arch],
    ["Up for", meta?.uptime_s === undefined ? undefined : durationWords(meta.uptime_s)],
    ["Memory", meta?.metrics?.mem_total_bytes === undefined ? undefined : sizeWords(meta.metrics.mem_total_bytes)],
  ];
  return (
    <section class="section" aria-labelledby="facts-title">
      <h2 id="facts-title">Facts</h2>
      <FigureBars figures={meta?.metrics} />
      <dl class="facts">
        {facts.map(([name, value]) =>
          value === undefined ? null : (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
        )}
        {connected_at !== null && (
          <div>
            <dt>Connected</dt>
            <dd>
              <Clock at={connected_at} />
            </dd>
          </div>
        )}
        <div>
          <dt>Known since</dt>
          <dd>
            <Clock at={created_at} />
          </dd>
        </div>
        <div>
          <dt>Id</dt>
          <dd class="code">{id}</dd>
        </div>
      </dl>
    </section>
  );
}

const SIGHT_WORDS = { sees: "sees", cannot: "cannot see", absent: "not on this host" } as const;
const PAST_WORDS = { ...SIGHT_WORDS, sees: "saw" } as const;

function Collectors({ agent }: { agent: Agent }) {
  const words = useApp().store.isPast.value ? PAST_WORDS : SIGHT_WORDS;
  if (agent.collectors.length === 0) return null;
  return (
    <section class="section" aria-labelledby="collectors-title">
      <h2 id="collectors-title">What its agent watches</h2>
      <ul class="plain-list">
        {agent.collectors.map(({ name, state, since, why, gave_up }) => (
          <li key={name} class={`collector is-${state}`}>
            <b>{name}</b> {words[state]}
            {state === "cannot" && (
              <>
                {" "}
                for <Age at={since} />
              </>
            )}
            {why !== null && <p class="muted">{why}</p>}
            {gave_up.map((what) => (
              <p class="warning-line" key={what}>
                leaves out {what}
              </p>
            ))}
          </li>
        ))}
      </ul>
    </section>
  );
}
