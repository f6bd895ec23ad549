import { createJobs, JOB_KEY } from "../cron/service.ts";
import { createJobStore } from "../cron/store.ts";
import { createHolderStore } from "../fleet/holder-store.ts";
import { keyedFingerprint } from "../incidents/keyed.ts";
import { createNamedStore } from "../incidents/named-store.ts";
import type { IngestService } from "../ingest/model.ts";
import { createAlertIntake } from "../integrations/intake.ts";
import { createIntegrations } from "../integrations/service.ts";
import { createIntegrationStore } from "../integrations/store.ts";
import type { ServerParts } from "./agents.ts";

/** Part of the whole stop; see server.ts. */
const JOBS_STOP_MS = 3_000;

const jobFingerprint = (id: string) => keyedFingerprint(id, JOB_KEY);

/** What alerts beside agents: who it is, how its alerts come in, and the jobs of which something is expected. */
export function createIntegrationSide(deps: ServerParts & { ingest: IngestService; isAlone: () => boolean }) {
  const { database, writer, cleanups } = deps;
  const { sql } = database;
  const { add: addHolder, hosts } = createHolderStore(sql);
  const { named } = createNamedStore(sql);
  const alertIntake = createAlertIntake({ ...deps, hosts, named, fingerprintOf: keyedFingerprint });
  const {
    service: jobs,
    add: addJob,
    start,
    stop,
  } = createJobs({
    ...deps,
    store: createJobStore(sql, writer),
    intake: alertIntake,
    isOpen: async (id) => (await named([jobFingerprint(id)])).get(jobFingerprint(id))?.openAt != null,
  });
  cleanups.add("cron jobs", stop, JOBS_STOP_MS);
  return {
    integrations: createIntegrations(createIntegrationStore({ sql, audit: writer, addHolder, addJob })),
    alertIntake,
    jobs,
    start,
  };
}
