import { Elysia } from "elysia";
import { Registry } from "prom-client";
import { createNotifications } from "../../src/db/notifications.ts";
import { createFleet } from "../../src/fleet/fleet.ts";
import { createConnections } from "../../src/gateway/connections.ts";
import { createGateway } from "../../src/gateway/gateway.ts";
import { createGatewayMetrics } from "../../src/gateway/metrics.ts";
import { WEBSOCKET_OPTIONS } from "../../src/gateway/socket.ts";
import { createAlertRecorder } from "../../src/incidents/recorder.ts";
import { createIncidentWriter } from "../../src/incidents/write-store.ts";
import { createIngestMetrics } from "../../src/ingest/metrics.ts";
import type { AlertRecorder, ResultRecorder } from "../../src/ingest/model.ts";
import { createIngestService } from "../../src/ingest/service.ts";
import { createClientAddress } from "../../src/lib/addresses.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createFailureCounter, FAILURE_LIMITS } from "../../src/lib/failure-counter.ts";
import { createLoops } from "../../src/lib/loops.ts";
import { TestAgent } from "./agent.ts";
import { quiet } from "./log.ts";
import type { TestDatabase } from "./postgres.ts";

/** What a test puts between ingest and its recorders. */
export interface FleetServerOptions {
  wrapAlerts?: (recorder: AlertRecorder) => AlertRecorder;
  results?: ResultRecorder;
  opened?: Parameters<typeof createAlertRecorder>[0]["opened"];
}

/** Sockets, fleet and ingest over a real database: the server as far as an alert's row. */
export async function startFleetServer({ database }: TestDatabase, options: FleetServerOptions = {}) {
  const { wrapAlerts = (recorder) => recorder, opened = async () => undefined } = options;
  const clock = createSystemClock();
  const loops = createLoops(clock, quiet);
  const registry = new Registry();
  const connections = createConnections();
  const notifications = createNotifications({ database, clock, log: quiet });
  const fleet = createFleet({
    database,
    notifications,
    connections,
    config: { enrollment: "open" },
    writer: createIncidentWriter(),
    clock,
    loops,
    log: quiet,
    version: "0.0.0-test",
  });
  let clients = 0;
  const ingest = createIngestService({
    connect() {
      clients++;
      return database.createClient({ connections: 1 });
    },
    alerts: wrapAlerts(createAlertRecorder({ incidentGroupWindowMs: 300_000, opened })),
    results: options.results ?? { record: async (_, results) => results.map(() => ({ ok: true })) },
    before: fleet.presence.introduce,
    flow: connections,
    clock,
    log: quiet,
    metrics: createIngestMetrics(registry, () => 0),
    bufferBytes: 2 ** 24,
  });
  const gateway = createGateway({
    connections,
    tokens: fleet.tokens,
    presence: fleet.presence,
    figures: { heard: () => undefined },
    ingest,
    addressOf: createClientAddress([]),
    failures: createFailureCounter(clock, FAILURE_LIMITS),
    clock,
    loops,
    log: quiet,
    metrics: createGatewayMetrics(registry, connections),
    heartbeatTimeoutMs: 90_000,
  });
  await fleet.start();
  notifications.start();
  const app = new Elysia({ websocket: WEBSOCKET_OPTIONS }).use(gateway.routes);
  app.listen({ hostname: "127.0.0.1", port: 0, reusePort: false });
  gateway.start();
  return {
    fleet,
    ingest,
    metrics: () => registry.metrics(),
    /** How often ingest has made a connection. */
    clients: () => clients,
    connect: () => TestAgent.connect(`ws://127.0.0.1:${app.server?.port}/v1/stream`),
    async stop() {
      await gateway.stop(1_000);
      await app.stop(true);
      await ingest.stop(5_000);
      await fleet.stop();
      await notifications.close();
    },
  };
}

export type FleetServer = Awaited<ReturnType<typeof startFleetServer>>;
