import { createHolderStore } from "../fleet/holder-store.ts";
import { createNamedStore } from "../incidents/named-store.ts";
import { keyedFingerprint } from "../incidents/recorder.ts";
import type { IngestService } from "../ingest/model.ts";
import { createAlertIntake } from "../integrations/intake.ts";
import { createIntegrations } from "../integrations/service.ts";
import { createIntegrationStore } from "../integrations/store.ts";
import type { ServerParts } from "./agents.ts";

/** What alerts beside agents: who it is, and how its alerts come in. */
export function createIntegrationSide(deps: ServerParts & { ingest: IngestService }) {
  const { database, writer } = deps;
  const { sql } = database;
  const { add, hosts } = createHolderStore(sql);
  const { openNamed } = createNamedStore(sql);
  return {
    integrations: createIntegrations(createIntegrationStore({ sql, audit: writer, addHolder: add })),
    alertIntake: createAlertIntake({ ...deps, hosts, openNamed, fingerprintOf: keyedFingerprint }),
  };
}
