/**
 * The composition root: database → services → gateway → app → listen, and the reverse on the way down.
 *
 * On the way down nothing that was accepted is lost: readiness goes first, then sockets (what they sent is still taken),
 * then the queue is written, then presence, and the database last.
 */
import { collectDefaultMetrics, Registry } from "prom-client";
import { createResultRecorder } from "./commands/results.ts";
import { COMMANDS_CHANNEL, createCommandService } from "./commands/service.ts";
import { type CommandStore, createCommandStore } from "./commands/store.ts";
import type { Config } from "./config.ts";
import type { Database } from "./db/client.ts";
import { migrate } from "./db/migrate.ts";
import { createNotifications } from "./db/notifications.ts";
import { notifyAll } from "./db/notify-store.ts";
import { acquireDatabase } from "./db/open.ts";
import { createFleet } from "./fleet/fleet.ts";
import { createLostWatch } from "./fleet/lost.ts";
import { createLostStore } from "./fleet/lost-store.ts";
import { createConnections } from "./gateway/connections.ts";
import { createGateway } from "./gateway/gateway.ts";
import { createGatewayMetrics } from "./gateway/metrics.ts";
import { WEBSOCKET_OPTIONS } from "./gateway/socket.ts";
import { createApp } from "./http/app.ts";
import { listen } from "./http/listen.ts";
import { startAutoResolve } from "./incidents/quiet.ts";
import { createQuietStore } from "./incidents/quiet-store.ts";
import { createAlertRecorder } from "./incidents/recorder.ts";
import { startRetention } from "./incidents/retention.ts";
import { createRetentionStore } from "./incidents/retention-store.ts";
import { createIngestMetrics } from "./ingest/metrics.ts";
import { createIngestService } from "./ingest/service.ts";
import { createCleanups } from "./lib/cleanups.ts";
import { createClientAddress } from "./lib/client-address.ts";
import type { Clock } from "./lib/clock.ts";
import type { Log } from "./lib/log.ts";
import { createLoops } from "./lib/loops.ts";
import { createIncidentWork } from "./server/incident-work.ts";
import { createReadiness } from "./server/readiness.ts";

/** Together they stay below the unit's TimeoutStopSec of 60 s. */
const SOCKETS_STOP_MS = 10_000;
const INGEST_STOP_MS = 30_000;
/** One incident may have millions of alerts, which are deleted with it. */
const RETENTION_STATEMENT_MS = 300_000;

export interface ServerOptions {
  config: Config;
  log: Log;
  clock: Clock;
  version: string;
}

/** A server that serves. */
export interface RunningServer {
  readonly url: string;
  readonly describe: { readonly database: string };
  /** Never rejects; safe to call twice. */
  stop(): Promise<void>;
  /** Resolves with the reason when the server cannot go on by itself. */
  readonly died: Promise<Error>;
}

/** Starts everything. Throws a StartupError when it cannot; what had been started by then is stopped again. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const cleanups = createCleanups(options.log);
  try {
    return await setUp(options, cleanups);
  } catch (error) {
    await cleanups.run();
    throw error;
  }
}

async function setUp(options: ServerOptions, cleanups: ReturnType<typeof createCleanups>): Promise<RunningServer> {
  const { config, log, clock, version } = options;
  const died = Promise.withResolvers<Error>();
  const loops = createLoops(clock, log);
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: "opspilot_" });

  const acquired = await acquireDatabase({ config, clock, log, role: "serve" });
  cleanups.add("database", acquired.stop);
  const { database } = acquired;
  await migrate(database, log);
  const notifications = createNotifications({ database, clock, log });
  cleanups.add("notifications", notifications.close);

  const connections = createConnections();
  const fleet = createFleet({ database, notifications, connections, config, clock, log, version });
  cleanups.add("presence", fleet.stop);

  const commandStore = createCommandStore(database.sql, database.orm);
  const commands = createCommandService({
    store: commandStore,
    delivery: connections,
    whereabouts: fleet.whereabouts,
    heldAgents: () => connections.agentIds(),
    notify: (payload) => notifications.notify(database.sql, COMMANDS_CHANNEL, payload),
    clock,
    log,
  });
  cleanups.add("commands", commands.stop);

  const work = createIncidentWork({
    config,
    database,
    notifications,
    commands,
    isBusy: () => ingest.queuedBytes() > 0,
    registry,
    cleanups,
    clock,
    log,
  });

  const ingest = createIngestService({
    connect: () => database.createClient({ connections: 1 }),
    alerts: createAlertRecorder({ ...config, opened: work.opened }),
    results: createResultRecorder({
      store: commandStore,
      notify: (tx, id) => notifyAll(tx, COMMANDS_CHANNEL, JSON.stringify({ changed: id })),
    }),
    flow: connections,
    clock,
    log,
    metrics: createIngestMetrics(registry, () => ingest.queuedBytes()),
    bufferBytes: config.ingestBufferBytes,
  });
  cleanups.add("ingest", async () => void (await ingest.stop(INGEST_STOP_MS)));

  const lostStore = createLostStore(database.sql);
  const lostWatch = createLostWatch({ store: lostStore, ingest, nodeId: fleet.nodeId, ...config, clock, log });
  cleanups.add("silent agents", lostWatch.stop);
  const autoResolve = startAutoResolve({ store: createQuietStore(database.sql), ...config, clock, log });
  cleanups.add("quiet incidents", autoResolve.stop);
  const retention = startRetention({
    deletions: [...deletions(database, commandStore), ...work.deletions, lostStore.deleteOutages],
    ...config,
    clock,
    log,
  });
  cleanups.add("retention", retention.stop);

  const gateway = createGateway({
    connections,
    tokens: fleet.tokens,
    presence: fleet.presence,
    ingest,
    addressOf: createClientAddress(config.trustedProxies),
    clock,
    log,
    metrics: createGatewayMetrics(registry, connections),
    heartbeatTimeoutMs: config.heartbeatTimeoutMs,
  });
  const readiness = createReadiness(database, loops.late);
  const app = createApp({
    config,
    log,
    clock,
    version,
    agents: fleet.agents,
    incidents: work.incidents,
    decisions: work.decisions,
    silences: work.silences,
    slackCallback: work.slackCallback,
    analysis: work.analysis,
    commands,
    gatewayRoutes: gateway.routes,
    websocket: WEBSOCKET_OPTIONS,
    registry,
    readiness: readiness.check,
  });

  await work.start();
  await fleet.start();
  notifications.listen(COMMANDS_CHANNEL, {
    onMessage: (notice) => {
      commands.onNotice(notice);
      work.decisions.wake();
    },
    onReady: () => undefined,
  });
  notifications.start();
  commands.start();
  lostWatch.start();
  const listening = listen(app, config);
  cleanups.add("listener", listening.stop);
  gateway.start();
  cleanups.add("agents' sockets", () => gateway.stop(SOCKETS_STOP_MS));
  cleanups.add("readiness", async () => readiness.stop());
  return { url: listening.url, describe: { database: acquired.description }, stop: cleanups.run, died: died.promise };
}

function deletions(database: Database, commands: CommandStore) {
  const store = createRetentionStore(database.createClient({ statementLimitMs: RETENTION_STATEMENT_MS }));
  return [store.deleteIncidents, store.deleteAlerts, store.deleteEvents, commands.deleteOld];
}
