/**
 * How the server stands, as /metrics tells it: what waits where, who is there, how far upkeep is behind. Rates of what happens are
 * counted where it happens; these are looked up when somebody asks, once in a few seconds however many do.
 */
import { Counter, Gauge, type Registry } from "prom-client";
import type { Config } from "../config.ts";
import type { Database, PoolLoad } from "../db/client.ts";
import type { ListeningState } from "../db/notifications.ts";
import type { AcquiredDatabase } from "../db/open.ts";
import type { Readiness } from "../http/system.ts";
import { type Clock, withDeadline } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { remember } from "../lib/remember.ts";
import type { Room } from "../lib/room.ts";
import { readSharedState, type SharedState } from "./state-store.ts";

/** Prometheus asks each 15 s or less often; several may do so, and people with a browser. */
const HOLDS_MS = 5_000;
/** A scrape is given up after 10 s; what is known without the database is wanted all the more while it is away. */
const LIMIT_MS = 3_000;

/** Where the figures are had from. */
export interface StateSources {
  config: Pick<Config, "ai" | "retentionMs" | "ingestBufferBytes">;
  version: string;
  registry: Registry;
  clock: Pick<Clock, "monotonicMs">;
  log: Log;
  database: Pick<Database, "sql" | "layout" | "load">;
  embedded: AcquiredDatabase["embedded"];
  queues: readonly string[];
  jobsLoad: () => PoolLoad | null;
  listening: () => ListeningState;
  readiness: () => Promise<Readiness>;
  figures: () => { waiting: number; lost: number };
  isHeld: () => boolean;
  /** When the certificate in use ends, Unix milliseconds; null without one. */
  certificateEndMs: () => number | null;
  /** Of the disk of the built-in database; null where there is none. */
  readRoom: (() => Promise<Room>) | null;
}

/** What a figure's values are made of. */
interface State {
  readiness: Readiness;
  listening: ListeningState;
  pools: Readonly<Record<string, PoolLoad>>;
  room: Room | null;
  /** Null while the database does not answer. */
  shared: SharedState | null;
}

type Values = readonly (readonly [labels: Record<string, string>, value: number])[];

interface Figure {
  name: string;
  help: string;
  labels?: readonly string[];
  /** No values: the figure is left out, for it is not known or means nothing here. */
  values: (state: State, sources: StateSources) => Values;
}

/** Registers them all. */
export function createStateMetrics(sources: StateSources): void {
  const { registry, clock } = sources;
  const look = remember(clock, HOLDS_MS, () => lookAt(sources));
  for (const { name, help, labels = [], values } of FIGURES) {
    const metric = name.endsWith("_total") ? Counter : Gauge;
    new metric({
      name,
      help,
      labelNames: [...labels],
      registers: [registry],
      async collect() {
        const state = await look();
        this.reset();
        // What has no labels is 0 again after a reset, which nobody has said.
        const known = values(state, sources);
        if (known.length === 0 && labels.length === 0) this.remove();
        for (const [labelled, value] of known) this.inc(labelled, value);
      },
    });
  }
}

async function lookAt(sources: StateSources): Promise<State> {
  const readiness = await sources.readiness();
  const jobs = sources.jobsLoad();
  return {
    readiness,
    listening: sources.listening(),
    pools: { postgres: sources.database.load(), ...(jobs ? { pg: jobs } : {}) },
    room: await readRoomOf(sources),
    shared: readiness.checks.database === "away" ? null : await readShared(sources),
  };
}

async function readShared({ config, database, queues, log }: StateSources): Promise<SharedState | null> {
  const failed = (error: unknown) => log.debug({ error: errorMessage(error) }, "figures could not be read");
  const asked = { queues, modelCallsMax: config.ai.dailyLimit };
  try {
    return await withDeadline(readSharedState(database, asked), LIMIT_MS, "reading figures", failed);
  } catch (error) {
    failed(error);
    return null;
  }
}

async function readRoomOf({ readRoom, log }: StateSources): Promise<Room | null> {
  try {
    return (await readRoom?.()) ?? null;
  } catch (error) {
    log.debug({ error: errorMessage(error) }, "the disk could not be looked at");
    return null;
  }
}

const one = (value: number): Values => [[{}, value]];
/** Of what only the database knows. */
const shared =
  (values: (state: SharedState, sources: StateSources) => Values) =>
  (state: State, sources: StateSources): Values =>
    state.shared === null ? [] : values(state.shared, sources);

/** Two hosts may have one name. */
const PROBE_LABELS = ["agent", "host", "check"];
/** Of each check that has such a value. */
const probes = (of: (probe: SharedState["probes"][number]) => number | null) =>
  shared((state) =>
    state.probes.flatMap((probe) => {
      const { agent, host, check } = probe;
      const value = of(probe);
      return value === null ? [] : [[{ agent, host, check }, value] as const];
    }),
  );

const FIGURES: readonly Figure[] = [
  {
    name: "opspilot_info",
    help: "This server: 1, with its version",
    labels: ["version"],
    values: (_, { version }) => [[{ version }, 1]],
  },
  {
    name: "opspilot_ready",
    help: "Whether the server can do its work, as /readyz says it",
    values: ({ readiness }) => one(Number(readiness.ready)),
  },
  {
    name: "opspilot_check_ok",
    help: "What /readyz looks at: 1 where all is well",
    labels: ["check"],
    values: ({ readiness }) =>
      Object.entries(readiness.checks).map(([check, text]) => [{ check }, Number(text === "ok")]),
  },
  {
    name: "opspilot_database_connections",
    help: "This node's connections to the database, by driver and whether they are at work",
    labels: ["driver", "state"],
    values: ({ pools }) =>
      Object.entries(pools).flatMap(([driver, { open, busy }]) => [
        [{ driver, state: "busy" }, busy] as const,
        [{ driver, state: "idle" }, open - busy] as const,
      ]),
  },
  {
    name: "opspilot_database_statements_waiting",
    help: "Statements of this node that wait for a connection, by driver",
    labels: ["driver"],
    values: ({ pools }) => Object.entries(pools).map(([driver, { waiting }]) => [{ driver }, waiting]),
  },
  {
    name: "opspilot_database_size_bytes",
    help: "What the database takes on its disk",
    values: shared(({ databaseBytes }) => one(databaseBytes)),
  },
  {
    name: "opspilot_listening",
    help: "Whether this node hears what others notify (LISTEN); while it does not, it looks for it",
    values: ({ listening }) => one(Number(listening.isConnected)),
  },
  {
    name: "opspilot_listen_reconnects_total",
    help: "Times that the session that listens was made anew",
    values: ({ listening }) => one(listening.reconnects),
  },
  {
    name: "opspilot_listen_lag_seconds",
    help: "How long the last probe of the session that listens took",
    values: ({ listening }) => one(listening.lagMs / 1000),
  },
  {
    name: "opspilot_jobs",
    help: "Jobs by queue: waiting, active, failed to the end and not looked at yet; counted up to 10,000",
    labels: ["queue", "state"],
    values: shared(({ queues }) =>
      queues.flatMap(({ queue, waiting, active, failed }) =>
        Object.entries({ waiting, active, failed }).map(([state, n]) => [{ queue, state }, n] as const),
      ),
    ),
  },
  {
    name: "opspilot_jobs_late_seconds",
    help: "Since the first waiting job of a queue was due",
    labels: ["queue"],
    values: shared(({ queues }) => queues.map(({ queue, lateS }) => [{ queue }, lateS])),
  },
  {
    name: "opspilot_incidents_open",
    help: "Incidents that are not resolved, by status and severity; counted up to 10,000",
    labels: ["status", "severity"],
    values: shared(({ incidents }) => incidents.map(({ label, severity, n }) => [{ status: label, severity }, n])),
  },
  {
    name: "opspilot_agents",
    help: "Agents by whether they are online",
    labels: ["status"],
    values: shared(({ agents: { online, offline } }) =>
      Object.entries({ online, offline }).map(([status, n]) => [{ status }, n]),
    ),
  },
  {
    name: "opspilot_agents_lost",
    help: "Agents of which nothing is heard, and of which an incident tells so",
    values: shared(({ agents }) => one(agents.lost)),
  },
  {
    name: "opspilot_agents_sharing_token",
    help: "Agents whose token several hosts use by turns",
    values: shared(({ agents }) => one(agents.sharing)),
  },
  {
    name: "opspilot_collectors_blind",
    help: "Collectors of hosts that cannot see, and of which an incident tells so",
    values: shared(({ blind }) => one(blind)),
  },
  {
    name: "opspilot_probe_success",
    help: "What hosts check (OPSPILOT_CHECKS): 1 where all was well at the last try; of agents that are online",
    labels: PROBE_LABELS,
    values: probes(({ up }) => Number(up)),
  },
  {
    name: "opspilot_probe_duration_seconds",
    help: "How long that try took",
    labels: PROBE_LABELS,
    values: probes(({ tookMs }) => (tookMs === null ? null : tookMs / 1000)),
  },
  {
    name: "opspilot_probe_certificate_expiry_timestamp_seconds",
    help: "When the first certificate of the chain ends that was seen there",
    labels: PROBE_LABELS,
    values: probes(({ certificateEnds }) => certificateEnds),
  },
  {
    name: "opspilot_commands_open",
    help: "Commands that wait for their host, by state",
    labels: ["state"],
    values: shared(({ commands }) =>
      (["pending", "sent"] as const).map((state) => [{ state }, commands.find(({ label }) => label === state)?.n ?? 0]),
    ),
  },
  {
    name: "opspilot_decisions_open",
    help: "Decisions of people that are not carried out or verified yet",
    values: shared(({ decisions }) => one(decisions)),
  },
  {
    name: "opspilot_decisions_late_seconds",
    help: "Since the first decision was due to be looked at",
    values: shared(({ decisionsLateS }) => one(decisionsLateS)),
  },
  {
    name: "opspilot_sessions",
    help: "Browsers that are signed in; counted up to 10,000",
    values: shared(({ sessions }) => one(sessions)),
  },
  {
    name: "opspilot_silences",
    help: "Silences that hold",
    values: shared(({ silences }) => one(silences)),
  },
  {
    name: "opspilot_nodes",
    help: "Servers that share the database",
    values: shared(({ nodes }) => one(nodes)),
  },
  {
    name: "opspilot_quarantine_frames",
    help: "Frames that are kept in the table quarantine; counted up to 10,000",
    values: shared(({ quarantined }) => one(quarantined)),
  },
  {
    name: "opspilot_retention_lag_seconds",
    help: "By how much the oldest alert that is kept is older than RETENTION",
    values: shared(({ oldestAlertS }, { config }) => one(Math.max(0, oldestAlertS - config.retentionMs / 1000))),
  },
  {
    name: "opspilot_model_calls_left",
    help: "Questions to a model that AI_DAILY_LIMIT leaves for today (UTC)",
    values: shared(({ modelCallsToday }, { config }) => one(config.ai.dailyLimit - modelCallsToday)),
  },
  {
    name: "opspilot_figures_waiting",
    help: "Minutes of hosts' figures in memory that wait to be written",
    values: (_, { figures }) => one(figures().waiting),
  },
  {
    name: "opspilot_figures_lost_total",
    help: "Minutes of hosts' figures that could not be written for too long",
    values: (_, { figures }) => one(figures().lost),
  },
  {
    name: "opspilot_ingest_buffer_bytes",
    help: "What may wait to be written before agents are held back (INGEST_BUFFER)",
    values: (_, { config }) => one(config.ingestBufferBytes),
  },
  {
    name: "opspilot_ingest_held",
    help: "Whether nothing is stored until the disk has room again",
    values: (_, { isHeld }) => one(Number(isHeld())),
  },
  {
    name: "opspilot_disk_free_bytes",
    help: "Room on the disk of the built-in database",
    values: ({ room }) => (room ? one(room.freeBytes) : []),
  },
  {
    name: "opspilot_disk_size_bytes",
    help: "Size of the disk of the built-in database",
    values: ({ room }) => (room ? one(room.sizeBytes) : []),
  },
  {
    name: "opspilot_postgres_up",
    help: "Whether the built-in PostgreSQL runs",
    values: (_, { embedded }) => (embedded ? one(Number(embedded.postmasterPid() !== undefined)) : []),
  },
  {
    name: "opspilot_postgres_restarts_total",
    help: "Times that the built-in PostgreSQL ended by itself and was started again",
    values: (_, { embedded }) => (embedded ? one(embedded.restarts()) : []),
  },
  {
    name: "opspilot_certificate_expiry_timestamp_seconds",
    help: "When the certificate of TLS_CERT expires",
    values(_, { certificateEndMs }) {
      const endMs = certificateEndMs();
      return endMs === null ? [] : one(endMs / 1000);
    },
  },
];
