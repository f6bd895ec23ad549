import { hostname } from "node:os";
import type { TransactionSql } from "postgres";
import type { Registry } from "prom-client";
import type { CountGuesses } from "../access/guesses.ts";
import { createCommandService, createResultRecorder } from "../commands/service.ts";
import { COMMANDS_CHANNEL, createCommandStore } from "../commands/store.ts";
import type { Config } from "../config.ts";
import type { Database } from "../db/client.ts";
import type { Notifications } from "../db/notifications.ts";
import { createFigures } from "../figures/service.ts";
import { createBlindWatch } from "../fleet/blind.ts";
import { createDiskWatch } from "../fleet/disk.ts";
import { createFleet } from "../fleet/fleet.ts";
import { createLostWatch } from "../fleet/lost.ts";
import { createLostStore } from "../fleet/lost-store.ts";
import { createServerStore } from "../fleet/server-store.ts";
import { createTwinWatch } from "../fleet/twins.ts";
import { createConnections } from "../gateway/connections.ts";
import { createGateway } from "../gateway/gateway.ts";
import { createGatewayMetrics } from "../gateway/metrics.ts";
import type { IncidentWriter } from "../incidents/model.ts";
import { createAlertRecorder } from "../incidents/recorder.ts";
import { deleteQuarantined } from "../ingest/batch-store.ts";
import { createIngestMetrics } from "../ingest/metrics.ts";
import type { IngestService } from "../ingest/model.ts";
import { createIngestService } from "../ingest/service.ts";
import { createClientAddress } from "../lib/addresses.ts";
import type { Cleanups } from "../lib/cleanups.ts";
import type { Clock } from "../lib/clock.ts";
import { FAILURE_LIMITS } from "../lib/failure-counter.ts";
import type { Log } from "../lib/log.ts";
import type { Loops } from "../lib/loops.ts";
import { readRoom } from "../lib/room.ts";
import type { Tracing } from "./tracing.ts";

/** Parts of the whole stop; see server.ts. */
const SOCKETS_STOP_MS = 6_000;
const INGEST_STOP_MS = 20_000;
const PRESENCE_STOP_MS = 3_000;
const FIGURES_STOP_MS = 3_000;
const LOOPS_STOP_MS = 1_000;

/** What all sides of the server are made of. */
export interface ServerParts {
  config: Config;
  database: Database;
  notifications: Notifications;
  writer: IncidentWriter;
  registry: Registry;
  cleanups: Cleanups;
  loops: Loops;
  clock: Clock;
  log: Log;
  version: string;
  tracing: Tracing | null;
}

/** Who the agents are, where they are, and what is asked of them. */
export function createFleetSide(deps: ServerParts) {
  const connections = createConnections();
  const fleet = createFleet({ ...deps, connections });
  const commandStore = createCommandStore(deps.database.sql, deps.writer);
  const commands = createCommandService({ ...deps, ...fleet, store: commandStore, delivery: connections });
  return { connections, fleet, commandStore, commands };
}

function createOwnDiskWatch(deps: IntakeDeps, ingest: IngestService) {
  const store = createServerStore(deps.database.sql);
  return createDiskWatch({ ...deps, ingest, store, path: deps.config.dataDir, readRoom, hostname: hostname() });
}

export interface IntakeDeps extends ServerParts, ReturnType<typeof createFleetSide> {
  countGuesses: CountGuesses;
  /** What follows from incidents that opened, in the transaction that opened them. */
  opened: (tx: TransactionSql, ids: readonly number[]) => Promise<void>;
  /** A command changed, here or on another node. */
  commandChanged: () => void;
}

/** From the agents' sockets to rows, and what the server itself reports: lost agents, blind collectors, tokens that hosts share. */
export function createIntake(deps: IntakeDeps) {
  const { config, database, notifications, registry, cleanups, connections, fleet, commands } = deps;
  cleanups.add("presence", fleet.stop, PRESENCE_STOP_MS);
  const figures = createFigures({ ...deps, ...config, sql: database.sql });
  cleanups.add("figures", figures.stop, FIGURES_STOP_MS);

  const ingest = createIngestService({
    ...deps,
    connect: () => database.createClient({ connections: 1 }),
    alerts: createAlertRecorder({ ...config, opened: deps.opened }),
    results: createResultRecorder(deps.commandStore),
    flow: connections,
    before: fleet.presence.introduce,
    stored: deps.tracing?.stored,
    metrics: createIngestMetrics(registry, () => ingest.queuedBytes()),
    bufferBytes: config.ingestBufferBytes,
  });
  cleanups.add("ingest", async () => void (await ingest.stop(INGEST_STOP_MS)));

  const lostStore = createLostStore(database.sql);
  const lostWatch = createLostWatch({ ...deps, ...config, ...fleet, store: lostStore, ingest });
  const blindWatch = createBlindWatch({ ...deps, ...config, ...fleet, ingest });
  const twinWatch = createTwinWatch({ ...deps, ...config, ...fleet, ingest });
  const gateway = createGateway({
    ...deps,
    ...config,
    ...fleet,
    figures,
    ingest,
    addressOf: createClientAddress(config.trustedProxies),
    failures: deps.countGuesses("stream", FAILURE_LIMITS),
    metrics: createGatewayMetrics(registry, connections),
  });
  const disk = config.database === null ? createOwnDiskWatch(deps, ingest) : null;
  const watches = [lostWatch, blindWatch, twinWatch, ...(disk ? [disk] : [])];
  const stopLoops = async () => void (await Promise.all([...watches, commands].map((one) => one.stop())));
  cleanups.add("lost agents, blind collectors, shared tokens, the disk and commands", stopLoops, LOOPS_STOP_MS);

  return {
    ingest,
    figures,
    /** Of the built-in database's disk: "ok", or why nothing is stored. */
    diskState: disk?.state ?? null,
    routes: gateway.routes,
    deletions: [
      deps.commandStore.deleteOld,
      lostStore.deleteOutages,
      fleet.deleteOldEnrolments,
      figures.deleteOld,
      (retentionMs: number) => deleteQuarantined(database.sql, retentionMs),
    ],
    async start(): Promise<void> {
      await fleet.start();
      const onMessage = (notice: string) => {
        commands.onNotice(notice);
        deps.commandChanged();
      };
      notifications.listen(COMMANDS_CHANNEL, { onMessage, onReady: () => onMessage("") });
      commands.start();
      figures.start();
      for (const watch of watches) watch.start();
    },
    /** Once the server listens. */
    startSockets(): void {
      gateway.start();
      cleanups.add("agents' sockets", () => gateway.stop(SOCKETS_STOP_MS));
    },
  };
}
