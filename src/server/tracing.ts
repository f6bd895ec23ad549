import type { Sql } from "postgres";
import type { Config } from "../config.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { TraceStep } from "../lib/trace.ts";
import { findFirstAlerts } from "./trace-store.ts";

const STOP_LIMIT_MS = 2_000;

/** How the way of alerts is told to others. */
export interface Tracing {
  /** An alert is durable, which came at `startMs` by the monotonic clock. */
  stored(alert: { uuid: string; agentId: string; acceptedAtMs: number }): void;
  /** A step of incidents that began at `startMs` has come to its end. Never rejects; nobody needs to wait for it. */
  done(
    name: TraceStep["name"],
    incidentIds: readonly number[],
    startMs: number,
    attributes?: TraceStep["attributes"],
  ): Promise<void>;
  stop(): Promise<void>;
}

interface TracingDeps {
  config: Pick<Config, "traces">;
  sql: Sql;
  version: string;
  clock: Clock;
  log: Log;
}

/** Null where no endpoint is set: then nothing of OpenTelemetry is loaded. */
export async function createTracing(deps: TracingDeps): Promise<Tracing | null> {
  const { config, sql, log } = deps;
  if (config.traces === null) return null;
  const { createTraces } = await import("./traces.ts");
  const { trace, stop } = createTraces({ ...deps, settings: config.traces });
  return {
    stored({ uuid, agentId, acceptedAtMs }) {
      trace({
        name: "alert stored",
        alertUuid: uuid,
        startMs: acceptedAtMs,
        attributes: { "opspilot.agent": agentId },
      });
    },
    async done(name, incidentIds, startMs, attributes = {}) {
      try {
        for (const { alertUuid, incidentId, type } of await findFirstAlerts(sql, incidentIds)) {
          const about = { "opspilot.incident": incidentId, "opspilot.type": type, ...attributes };
          trace({ name, alertUuid, startMs, attributes: about });
        }
      } catch (error) {
        log.debug({ error: errorMessage(error), step: name }, "a step could not be traced");
      }
    },
    stop: () => stop(STOP_LIMIT_MS),
  };
}
