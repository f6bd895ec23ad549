import type { JobService } from "../../src/cron/model.ts";
import type { AlertIntake, Integration, IntegrationService } from "../../src/integrations/model.ts";
import { AT, uuid } from "./fake-services.ts";

/** Integrations in memory. */
export function fakeIntegrations(): IntegrationService {
  const integrations: Integration[] = [];
  const byId = (id: string) => integrations.find((one) => one.id === id);
  return {
    find: async () => undefined,
    list: async ({ limit }) => ({ integrations: integrations.slice(0, limit) }),
    async create(wanted, actor) {
      const id = uuid(950 + integrations.length);
      const made = { ...wanted, id, created_at: AT, created_by: actor, last_used_at: null };
      integrations.push(made);
      return { ok: true, made, token: "opi_new" };
    },
    async rotate(id) {
      const integration = byId(id);
      return integration && { integration, token: "opi_other" };
    },
    async revoke(id) {
      const at = integrations.findIndex((one) => one.id === id);
      return at >= 0 && integrations.splice(at, 1).length === 1;
    },
  };
}

/** Jobs of which there are none. */
export const fakeJobs: JobService = { views: async () => new Map(), pause: async () => false, ping: async () => false };

/** An intake that takes all. */
export const fakeIntake: AlertIntake = { take: async (_, alerts) => alerts.map(() => ({ ok: true })) };
