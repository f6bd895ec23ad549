/**
 * The composition root: database → what follows an incident → agents → app → listen, and the reverse on the way down.
 *
 * On the way down nothing that was accepted is lost: readiness goes first and all loops hear of it, then streams of changes and sockets
 * (what they sent is still taken), then the queue is written, then the rest, and the database last. Each step has its part of one deadline, below the
 * unit's TimeoutStopSec of 60 s: sockets 6 s, ingest 20, presence 3, outlets, decisions and silences 6, jobs 3, the database 15, and
 * a second each for what only has to hear of it. What takes longer is left behind, and the log names it.
 */
import { Registry } from "prom-client";
import { proxyOf } from "./config/proxy.ts";
import type { Config } from "./config.ts";
import { migrate } from "./db/migrate.ts";
import { createNotifications } from "./db/notifications.ts";
import { acquireDatabase } from "./db/open.ts";
import { createWriteProbe } from "./db/write-probe.ts";
import { createSetup } from "./doctor/setup.ts";
import type { FigureService } from "./figures/model.ts";
import { WEBSOCKET_OPTIONS } from "./gateway/socket.ts";
import { createApp } from "./http/app.ts";
import { createOffer } from "./http/downloads/offered.ts";
import { listen } from "./http/listen.ts";
import { findPage } from "./http/page/pack.ts";
import {
  createQuietStore,
  createRetentionStore,
  startAutoResolve,
  startHeld,
  startRetention,
} from "./incidents/ageing-store.ts";
import { createIncidentWriter } from "./incidents/write-store.ts";
import type { IngestService } from "./ingest/model.ts";
import { QUEUES } from "./jobs/jobs.ts";
import { type Cleanups, createCleanups } from "./lib/cleanups.ts";
import type { Clock } from "./lib/clock.ts";
import type { Log } from "./lib/log.ts";
import { createLoops } from "./lib/loops.ts";
import { readRoom } from "./lib/room.ts";
import type { Platform } from "./protocol/platforms.ts";
import { createAccessSide } from "./server/access.ts";
import { createFleetSide, createIntake } from "./server/agents.ts";
import { type Certificate, startCertificate } from "./server/certificate.ts";
import { startHeartbeat } from "./server/heartbeat.ts";
import { createIntegrationSide } from "./server/integrations.ts";
import { createLiveSide } from "./server/live.ts";
import { createOutlets } from "./server/outlets.ts";
import { createPeopleSide } from "./server/people.ts";
import { collectProcessMetrics } from "./server/process-metrics.ts";
import { createReadiness } from "./server/readiness.ts";
import { createStateMetrics } from "./server/state-metrics.ts";
import { createTracing } from "./server/tracing.ts";

const DATABASE_STOP_MS = 15_000;
const HEARING_STOP_MS = 1_000;
const TRACES_STOP_MS = 3_000;
/** One incident may have millions of alerts, which are deleted with it. */
const RETENTION_STATEMENT_MS = 300_000;
/** Who asks whether the server is ready does not wait long. */
const READINESS_STATEMENT_MS = 5_000;

export interface ServerOptions {
  config: Config;
  log: Log;
  clock: Clock;
  version: string;
  /** What the executable was built for; undefined in a source checkout. */
  platform?: Platform | undefined;
}

/** A server that serves. */
export interface RunningServer {
  readonly url: string;
  readonly describe: { readonly database: string };
  /** Never rejects; safe to call twice. */
  stop(): Promise<void>;
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

async function setUp(options: ServerOptions, cleanups: Cleanups): Promise<RunningServer> {
  const { config, log, clock } = options;
  const registry = new Registry();
  collectProcessMetrics(registry);
  const loops = createLoops(clock, log);
  const writer = createIncidentWriter();

  // What is wrong with them is said before anything is started.
  const outlets = createOutlets(config, options);

  const acquired = await acquireDatabase({ config, clock, log, role: "serve" });
  cleanups.add("database", acquired.stop, DATABASE_STOP_MS);
  const { database } = acquired;
  await migrate(database, log);
  const notifications = createNotifications({ database, clock, log });
  cleanups.add("notifications", notifications.close, HEARING_STOP_MS);

  const tracing = await createTracing({ ...options, sql: database.sql });
  if (tracing) cleanups.add("traces", tracing.stop, TRACES_STOP_MS);
  const shared = { ...options, tracing, registry, loops, writer, database, notifications, cleanups };
  const access = createAccessSide(shared);
  const agents = createFleetSide(shared);
  const isBusy = () => intake.ingest.queuedBytes() > 0;
  const { isAlone } = agents.fleet.presence;
  const figures: Pick<FigureService, "ofAgent"> = { ofAgent: (...asked) => intake.figures.ofAgent(...asked) };
  const people = createPeopleSide({ ...shared, outlets, commands: agents.commands, figures, isBusy, isAlone });
  const { opened, decisions } = people;
  const intake = createIntake({ ...shared, ...agents, ...access, opened, commandChanged: decisions.wake });
  const writing = database.createClient({ statementLimitMs: READINESS_STATEMENT_MS });
  const probe = createWriteProbe(writing, clock, log);
  const readiness = createReadiness(database, loops.late, probe, () => intake.diskState?.() ?? null);
  const setup = createSetup({ config, database, where: acquired.description, readiness: readiness.check, log });
  let certificate: Certificate | undefined;
  createStateMetrics({
    ...shared,
    certificateEndMs: () => certificate?.endMs() ?? null,
    embedded: acquired.embedded,
    queues: QUEUES,
    jobsLoad: people.jobsLoad,
    listening: notifications.state,
    readiness: () => readiness.check({ isPatient: true }),
    figures: intake.figures.state,
    isHeld: intake.ingest.isHeld,
    readRoom: config.database === null ? () => readRoom(config.dataDir) : null,
  });
  const live = createLiveSide({ ...shared, ...agents, ...people });
  const integrations = createIntegrationSide({ ...shared, ...intake, isAlone });
  const app = createApp({
    ...options,
    ...people,
    ...access,
    ...integrations,
    events: live.streams,
    agents: agents.fleet.agents,
    enrolments: agents.fleet.enrolments,
    commands: agents.commands,
    figures: intake.figures,
    gatewayRoutes: intake.routes,
    websocket: WEBSOCKET_OPTIONS,
    registry,
    readiness: () => readiness.check(),
    findPage,
    findExecutable: createOffer({ own: options.platform, folder: config.downloadsDir }),
    setup,
  });

  await people.start();
  await intake.start();
  integrations.start();
  access.start();
  startAgeing([...people.deletions, ...intake.deletions, ...access.deletions]);
  notifications.start();
  const listening = listen(app, config);
  cleanups.add("listener", listening.stop, HEARING_STOP_MS);
  if (config.tls !== null) {
    certificate = startCertificate({ tls: config.tls, listening, loops, clock, log });
    cleanups.add("certificate", certificate.stop, HEARING_STOP_MS);
  }
  intake.startSockets();
  // An agent that comes back while the sockets are closed would be taken, only to be closed, too.
  cleanups.add("new connections", async () => listening.refuse());
  live.start();
  startWatching();
  cleanups.add("event streams", live.stop, HEARING_STOP_MS);
  cleanups.add("readiness", async () => {
    readiness.stop();
    loops.halt();
    people.stopFollowers().catch((error) => log.error({ error }, "outlets could not be let go of"));
  });
  function startWatching(): void {
    const { heartbeatUrl } = config.routes;
    if (heartbeatUrl === null) return;
    const heartbeat = startHeartbeat({
      ...shared,
      ...database,
      url: heartbeatUrl,
      proxyOf: (url) => proxyOf(config.proxies, url),
      readiness: readiness.check,
      ingestTrouble: () => ingestTrouble(intake.ingest, config.ingestBufferBytes),
      outletTrouble: people.outletTrouble,
    });
    cleanups.add("heartbeat", heartbeat.stop, HEARING_STOP_MS);
  }

  return { url: listening.url, describe: { database: acquired.description }, stop: cleanups.run };

  function startAgeing(deletions: readonly ((retentionMs: number) => Promise<number>)[]): void {
    const patient = createRetentionStore(database.createClient({ statementLimitMs: RETENTION_STATEMENT_MS }));
    const all = [patient.deleteAlerts, patient.deleteIncidents, patient.deleteEvents, ...deletions];
    const retention = startRetention(shared, all, config.retentionMs);
    const quiet = createQuietStore(database.sql, writer);
    const held = startHeld(loops, quiet, config.incidentGroupWindowMs);
    const autoResolve = startAutoResolve(loops, quiet, config.autoResolveMs);
    cleanups.add("retention", retention.stop, HEARING_STOP_MS);
    cleanups.add("quiet incidents", autoResolve.stop, HEARING_STOP_MS);
    cleanups.add("held recoveries", held.stop, HEARING_STOP_MS);
  }
}

/** Why alerts are not taken as they come; null while they are. */
function ingestTrouble({ isHeld, queuedBytes }: IngestService, bufferBytes: number): string | null {
  if (isHeld()) return "ingest: it is held, the disk is full";
  return queuedBytes() > bufferBytes / 2 ? "ingest: alerts wait for the database" : null;
}
