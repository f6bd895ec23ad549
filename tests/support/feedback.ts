import type { DecidedHost } from "./decisions.ts";
import type { TestServer } from "./server.ts";
import { until } from "./until.ts";

/** Which the heuristics explain as a port that is taken. */
export const PORT_LOGS = "nginx[12]: bind() to 0.0.0.0:80 failed (98: Address already in use)";
/** Of which they know nothing. */
export const SILENT_LOGS = "nothing that anybody would know";

/** Says something of an incident's explanation, as curl would. */
export function say(server: TestServer, incident: number, body: Record<string, unknown>) {
  return server.api(`/v1/incidents/${incident}/feedback`, { method: "POST", body });
}

/** The whole story of an incident, once it is explained. */
export function explained(server: TestServer, incident: number) {
  return until(
    async () => {
      const { body } = await server.api(`/v1/incidents/${incident}`);
      return body.analysis !== null && body;
    },
    { ms: 10_000, what: `incident ${incident} is explained` },
  );
}

/** Opens an explained incident of this source; the one before it, if any, is resolved. Gives its number. */
export async function failing(
  server: TestServer,
  host: DecidedHost,
  source: string,
  logs = PORT_LOGS,
): Promise<number> {
  const { body: open } = await server.api(`/v1/agents/${host.id}/incidents?status=open`);
  const before = open.find((one: { source: string }) => one.source === source);
  // By a person: what a host reports as over, and fails again, is the same incident.
  if (before) await server.api(`/v1/incidents/${before.id}`, { method: "PATCH", body: { status: "resolved" } });
  const incident = await host.incident(server, { source, message: `${source} failed`, logs });
  await explained(server, incident);
  return incident;
}
