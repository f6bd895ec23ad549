import type { Database } from "../db/client.ts";
import type { WriteProbe } from "../db/write-probe.ts";
import type { Readiness } from "../http/system.ts";

/** The database answers a readiness check within this, or counts as away. */
const READINESS_LIMIT_MS = 2_000;

/**
 * Ready while the database answers and can write (`whyNot` says why it cannot), its disk has room (`disk`, where it is this machine's),
 * no loop is stuck (`late` names them) and no stop has begun: what is accepted is promised to be kept.
 */
export function createReadiness(
  database: Pick<Database, "ping">,
  late: () => string[],
  whyNot: WriteProbe = async () => null,
  disk: () => string | null = () => null,
) {
  let isStopping = false;

  async function lookAtDatabase(isPatient: boolean): Promise<string> {
    if (!(await database.ping(READINESS_LIMIT_MS))) return "away";
    const why = await whyNot({ isPatient });
    return why === null ? "ok" : `cannot write: ${why}`;
  }

  return {
    stop: () => {
      isStopping = true;
    },
    /** Patient: what was found of the database's disk up to a minute ago is good enough. */
    async check({ isPatient = false } = {}): Promise<Readiness> {
      const stuck = late();
      const own = disk();
      const checks = {
        database: await lookAtDatabase(isPatient),
        ...(own === null ? {} : { disk: own }),
        loops: stuck.length === 0 ? "ok" : `stuck: ${stuck.join(", ")}`,
        server: isStopping ? "stopping" : "ok",
      };
      return { ready: Object.values(checks).every((one) => one === "ok"), checks };
    },
  };
}
