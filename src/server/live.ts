import type { CommandStore } from "../commands/store.ts";
import { CHANGES_CHANNEL } from "../db/changes.ts";
import type { FleetStore } from "../fleet/store.ts";
import { agentsFor } from "../http/agents.ts";
import type { ChangeSources } from "../http/event-feed.ts";
import { createEventStreams } from "../http/event-streams.ts";
import type { createChangeStore } from "../incidents/change-store.ts";
import type { IncidentService } from "../incidents/model.ts";
import type { ServerParts } from "./agents.ts";

export interface LiveDeps extends ServerParts {
  incidents: Pick<IncidentService, "short">;
  changes: ReturnType<typeof createChangeStore>;
  fleet: Pick<FleetStore, "find" | "findChanged">;
  commandStore: Pick<CommandStore, "some">;
}

/** What is shown as it happens: changes of every node. */
export function createLiveSide(deps: LiveDeps) {
  const { incidents, changes, fleet, commandStore, config, notifications } = deps;
  const shownAgent = agentsFor(deps.version);
  const sources: ChangeSources = {
    now: changes.now,
    lines: changes.lines,
    openIncidents: changes.open,
    changedAgents: fleet.findChanged,
    incidents: incidents.short,
    agents: async (ids) => (await fleet.find(ids)).map(shownAgent),
    commands: commandStore.some,
  };
  const streams = createEventStreams({ ...deps, sources, access: config.access.mode });
  return {
    streams,
    start(): void {
      notifications.listen(CHANGES_CHANNEL, streams);
      streams.start();
    },
    stop: streams.stop,
  };
}
