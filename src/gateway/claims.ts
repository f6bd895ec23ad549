import type { PresenceService } from "../fleet/model.ts";
import { backoffMs } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Connection } from "./agent-connection.ts";

const RETRY = { minMs: 100, maxMs: 5_000 };

/** Tells the fleet which connection holds an agent: as long as it takes, and never the end before the beginning. */
export function createClaims(deps: { presence: PresenceService; clock: Clock; log: Log }) {
  const { presence, clock, log } = deps;

  async function insist(connection: Connection, agentId: string): Promise<void> {
    for (let attempt = 0; !connection.isClosed; attempt++) {
      try {
        return await presence.claim(agentId, connection.id);
      } catch (error) {
        const fields = { error: errorMessage(error), agent: agentId };
        if (attempt === 0) log.warn(fields, "a connection could not be recorded, trying again");
        await clock.sleep(backoffMs(attempt, RETRY));
      }
    }
  }

  return {
    claim(connection: Connection, agentId: string): void {
      connection.claiming = insist(connection, agentId);
    },
    /** A claim that is still under way must be committed before: it would else stay for ever. */
    release(connection: Connection, agentId: string, isGoodbye: boolean): void {
      connection.claiming
        .then(() => presence.release(agentId, connection.id, isGoodbye))
        .catch((error) => log.error({ error, agent: agentId }, "a connection could not be released"));
    },
  };
}
