import type { Database } from "../db/client.ts";
import type { Readiness } from "../http/system.ts";

/** The database answers a readiness check within this, or counts as away. */
const READINESS_LIMIT_MS = 2_000;

/**
 * Ready while the database answers and can write (`whyNot` says why it cannot), no loop is stuck (`late` names them) and no stop has
 * begun: what is accepted is promised to be kept.
 */
export function createReadiness(
  database: Pick<Database, "ping">,
  late: () => string[],
  whyNot: () => Promise<string | null> = async () => null,
) {
  let isStopping = false;

  async function lookAtDatabase(): Promise<string> {
    if (!(await database.ping(READINESS_LIMIT_MS))) return "away";
    const why = await whyNot();
    return why === null ? "ok" : `cannot write: ${why}`;
  }

  return {
    stop: () => {
      isStopping = true;
    },
    async check(): Promise<Readiness> {
      const stuck = late();
      const checks = {
        database: await lookAtDatabase(),
        loops: stuck.length === 0 ? "ok" : `stuck: ${stuck.join(", ")}`,
        server: isStopping ? "stopping" : "ok",
      };
      return { ready: Object.values(checks).every((one) => one === "ok"), checks };
    },
  };
}
