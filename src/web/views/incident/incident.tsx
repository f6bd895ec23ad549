import type { ComponentChildren } from "preact";
import { SERVER_AGENT_ID } from "../../../protocol/server-agent.ts";
import { useApp } from "../../app-context.ts";
import type { History as HistoryOf, Incident } from "../../data/model.ts";
import { nameText } from "../../lib/text.ts";
import { lastedWords } from "../../lib/time.ts";
import { Icon } from "../../parts/icons.tsx";
import { FailedState, LoadingState, MissingState } from "../../parts/states.tsx";
import { useKeys } from "../../parts/use-keys.ts";
import { useRemote } from "../../parts/use-remote.ts";
import { Age, SeverityBadge, StatusWord } from "../../parts/words.tsx";
import { ActionBar } from "./action-bar.tsx";
import { Cause, Fix } from "./cause.tsx";
import { FetchedLog, Log } from "./log.tsx";
import { ModelCalls } from "./model-calls.tsx";
import { Moment } from "./moment.tsx";
import { Consequences, History } from "./related.tsx";
import { Timeline } from "./timeline.tsx";
import { type Story, useStory } from "./use-story.ts";

/** One incident: what broke, why, what to press, and whether it helped, without a scroll; beneath it all that is known. */
export function IncidentView({ id, query }: { id: number; query: string }) {
  const { router } = useApp();
  const story = useStory(id);
  const incident = story.incident.value;
  const problem = story.problem.value;
  useKeys({ u: () => router.go(`/app/incidents${query}`) });
  if (problem?.status === 404)
    return (
      <NoIncident query={query}>
        <MissingState what={`There is no incident #${id}`}>
          <p>It was deleted after the time that incidents are kept, or never was.</p>
        </MissingState>
      </NoIncident>
    );
  if (incident === null && problem !== null)
    return (
      <NoIncident query={query}>
        <FailedState
          problem={problem}
          what={`incident #${id}`}
          heading={`Incident #${id}`}
          onRetry={() => void story.load()}
        />
      </NoIncident>
    );
  if (incident === null)
    return (
      <NoIncident query={query}>
        <LoadingState what={`incident #${id}`} heading={`Incident #${id}`} />
      </NoIncident>
    );
  return <IncidentPage key={id} story={story} incident={incident} query={query} />;
}

/** What stands in its place: on a phone the way back, too, since the places are not shown here. */
function NoIncident({ query, children }: { query: string; children: ComponentChildren }) {
  return (
    <div class="incident">
      <div class="incident-head">
        <BackLink query={query} />
      </div>
      {children}
    </div>
  );
}

function BackLink({ query }: { query: string }) {
  return (
    <a class="button is-quiet is-square back" href={`/app/incidents${query}`} aria-label="Back to the list">
      <Icon name="back" />
    </a>
  );
}

interface IncidentPageOptions {
  story: Story;
  incident: Incident;
  query: string;
}

function IncidentPage({ story, incident, query }: IncidentPageOptions) {
  const history = useRemote<HistoryOf>(`/v1/incidents/${incident.id}/history`);
  const agent = story.agent.value;
  const isServer = incident.agent_id === SERVER_AGENT_ID;
  const isOfNoHost = incident.origin === "integration" && story.isHostGone.value;
  const host = nameText(agent?.hostname ?? (story.isHostGone.value ? "a removed host" : "unnamed host"));
  const { severity, source, status, occurrences, created_at, resolved_at, last_seen_at, parent_id, next_id } = incident;
  return (
    <article class="incident">
      <div class="incident-fold">
        <div class="incident-head">
          <BackLink query={query} />
          <SeverityBadge severity={severity} />
          <span class="incident-number">#{incident.id}</span>
          <StatusWord status={status} />
        </div>
        <div class="incident-line">
          <p class="incident-where">
            {isServer ? (
              <span>the server itself</span>
            ) : isOfNoHost ? (
              <span>no host with an agent</span>
            ) : (
              <a href={`/app/hosts/${incident.agent_id}?at=${encodeURIComponent(created_at)}`}>{host}</a>
            )}
            <span> · {nameText(source)}</span>
          </p>
          <p class="incident-when">
            {resolved_at === null ? (
              <span>
                for <Age at={created_at} long />
              </span>
            ) : (
              <span>
                ended <Age at={resolved_at} /> ago, after {lastedWords(created_at, resolved_at)}
              </span>
            )}
            {occurrences > 1 && resolved_at === null && (
              <span>
                ×{occurrences.toLocaleString("en")}, last <Age at={last_seen_at} /> ago
              </span>
            )}
            {parent_id !== null && <a href={`/app/incidents/${parent_id}`}>follows from #{parent_id}</a>}
            {next_id !== null && <a href={`/app/incidents/${next_id}`}>came anew as #{next_id}</a>}
          </p>
        </div>
        <Cause story={story} incident={incident} />
        <Fix incident={incident} />
      </div>
      <ActionBar story={story} incident={incident} history={history.state.value} />
      <div class="incident-more">
        <FetchedLog story={story} incident={incident} />
        <Consequences id={incident.id} />
        <Moment incident={incident} />
        <Log incident={incident} />
        <Timeline incident={incident} />
        <History history={history} />
        <ModelCalls id={incident.id} />
      </div>
    </article>
  );
}
