import { createJobs } from "../cron/service.ts";
import { createJobStore } from "../cron/store.ts";
import { createHolderStore } from "../fleet/holder-store.ts";
import { createNamedStore } from "../incidents/named-store.ts";
import { keyedFingerprint } from "../incidents/recorder.ts";
import type { IngestService } from "../ingest/model.ts";
import { createAlertIntake } from "../integrations/intake.ts";
import { createIntegrations } from "../integrations/service.ts";
import { createIntegrationStore } from "../integrations/store.ts";
import type { ServerParts } from "./agents.ts";

/** Part of the whole stop; see server.ts. */
const JOBS_STOP_MS = 3_000;

/** What alerts beside agents: who it is, how its alerts come in, and the jobs of which something is expected. */
export function createIntegrationSide(deps: ServerParts & { ingest: IngestService; isAlone: () => boolean }) {
  const { database, writer, cleanups } = deps;
  const { sql } = database;
  const { add: addHolder, hosts } = createHolderStore(sql);
  const { openNamed } = createNamedStore(sql);
  const alertIntake = createAlertIntake({ ...deps, hosts, openNamed, fingerprintOf: keyedFingerprint });
  const {
    service: jobs,
    add: addJob,
    start,
    stop,
  } = createJobs({
    ...deps,
    store: createJobStore(sql, writer),
    intake: alertIntake,
  });
  cleanups.add("cron jobs", stop, JOBS_STOP_MS);
  return {
    integrations: createIntegrations(createIntegrationStore({ sql, audit: writer, addHolder, addJob })),
    alertIntake,
    jobs,
    start,
  };
}
