import type { Database } from "../db/client.ts";
import type { Readiness } from "../http/system.ts";

/** The database answers a readiness check within this, or counts as away. */
const READINESS_LIMIT_MS = 2_000;

/** Ready while the database answers, no loop is stuck (`late` names them) and no stop has begun. */
export function createReadiness(database: Pick<Database, "ping">, late: () => string[]) {
  let isStopping = false;
  return {
    stop: () => {
      isStopping = true;
    },
    async check(): Promise<Readiness> {
      const isAnswering = await database.ping(READINESS_LIMIT_MS);
      const stuck = late();
      const checks = {
        database: isAnswering ? "ok" : "away",
        loops: stuck.length === 0 ? "ok" : `stuck: ${stuck.join(", ")}`,
        server: isStopping ? "stopping" : "ok",
      };
      return { ready: isAnswering && stuck.length === 0 && !isStopping, checks };
    },
  };
}
