import type { SilenceService } from "../../silences/model.ts";
import { type HostToolsDeps, hostTools } from "./host-tools.ts";
import { type IncidentToolsDeps, incidentTools } from "./incident-tools.ts";
import { silenceTools } from "./silence-tools.ts";
import type { Tool } from "./tool.ts";

/** What the tools need: the services behind the REST API, and nothing else. */
export interface ToolsDeps extends IncidentToolsDeps, HostToolsDeps {
  silences: SilenceService;
}

/** Every tool, for whoever may use it. */
export function createTools(deps: ToolsDeps): readonly Tool[] {
  return [...incidentTools(deps), ...hostTools(deps), ...silenceTools(deps.silences)];
}
