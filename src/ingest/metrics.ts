import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** The figures of ingest; the queue's bytes are read when somebody asks. */
export function createIngestMetrics(registry: Registry, queuedBytes: () => number) {
  const registers = [registry];
  new Gauge({
    name: "opspilot_ingest_queue_bytes",
    help: "Bytes of accepted frames that wait to be written",
    registers,
    collect() {
      this.set(queuedBytes());
    },
  });
  const quarantined = new Counter({
    name: "opspilot_frames_quarantined_total",
    help: "Frames that a fault of the server itself kept from being stored, and that are kept in the table quarantine",
    labelNames: ["kind"],
    registers,
  });
  // Who looks for an increase does not see one from nothing to 1.
  for (const kind of ["alert", "result"]) quarantined.inc({ kind }, 0);
  return {
    /** From the socket to durable, seconds. */
    latency: new Histogram({
      name: "opspilot_ingest_latency_seconds",
      help: "Time from the decoded frame to its durable row",
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60],
      registers,
    }),
    batchFrames: new Histogram({
      name: "opspilot_ingest_batch_frames",
      help: "Frames written by one transaction",
      buckets: [1, 5, 20, 50, 100, 200, 500],
      registers,
    }),
    databaseErrors: new Counter({
      name: "opspilot_database_errors_total",
      help: "Batches that the database did not take, by SQLSTATE",
      labelNames: ["code"],
      registers,
    }),
    lost: new Counter({
      name: "opspilot_alerts_lost_total",
      help: "Accepted frames that a stop past its deadline could not write",
      registers,
    }),
    quarantined,
  };
}

export type IngestMetrics = ReturnType<typeof createIngestMetrics>;
