import type { Flags } from "../config/sources.ts";
import { loadConfig } from "../config.ts";
import { migrate } from "../db/migrate.ts";
import { notifyAll } from "../db/notify-store.ts";
import { createAgentService } from "../fleet/agents.ts";
import type { AgentService } from "../fleet/model.ts";
import { createNotices } from "../fleet/notices.ts";
import { createFleetStore } from "../fleet/store.ts";
import { createIncidentWriter } from "../incidents/write-store.ts";
import { withDatabase } from "./with-database.ts";

/**
 * Agents as the command line manages them: beside a running server, which hears of what changes, or alone. On a new
 * database the tables are made first, so that a token can be had before the first start.
 */
export function withAgents<T>(flags: Flags, use: (agents: AgentService) => Promise<T>): Promise<T> {
  return withDatabase(loadConfig(flags), async (database, log) => {
    await migrate(database, log);
    const notices = createNotices({
      nodeId: crypto.randomUUID(),
      notify: (channel, payload) => notifyAll(database.sql, channel, payload),
    });
    const store = createFleetStore(database.sql, createIncidentWriter());
    return use(createAgentService({ store, revoked: notices.revoked }));
  });
}
