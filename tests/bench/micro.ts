/** `bun run bench:micro`: what the steps of an alert's way take, each alone: the codec, grouping, the heuristics, a batch's rows. */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bench, do_not_optimize, group, run } from "mitata";
import { Registry } from "prom-client";
import { createHeuristics } from "../../src/analysis/heuristics.ts";
import { openDatabase } from "../../src/db/client.ts";
import { startEmbedded } from "../../src/db/embedded/embedded.ts";
import { migrate } from "../../src/db/migrate.ts";
import { createAlertRecorder, fingerprintOf } from "../../src/incidents/recorder.ts";
import { createIngestMetrics } from "../../src/ingest/metrics.ts";
import type { AcceptedAlert } from "../../src/ingest/model.ts";
import { type BatchWriter, createBatchWriter, createDatabaseClock } from "../../src/ingest/writer.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { decodeEnvelope, decodePayload } from "../../src/protocol/decode.ts";
import { encodeFrame } from "../../src/protocol/encode.ts";
import type { FrameType } from "../../src/protocol/frames.ts";
import { quiet } from "../support/log.ts";
import { logsOf } from "./samples.ts";

/** Different texts in turn, so that no cache of strings makes it look faster than it is. */
const VARIANTS = 256;
const LOG_CHARS = 2_048;
/** As the largest of a busy server. */
const BATCH = 500;
const WINDOW_MS = 300_000;

const clock = createSystemClock();
const alertOf = (variant: number) => ({
  type: "systemd",
  source: `nginx-${variant}`,
  message: `nginx ${variant} crashed`,
  logs: logsOf(variant, LOG_CHARS),
  exit_code: 1,
});
const heartbeatOf = (variant: number) => ({
  hostname: `host-${variant}`,
  version: "1.0.0",
  os: "linux",
  uptime_s: 1000 + variant,
  metrics: { cpu_pct: 12.5, load1: 0.5, mem_used_bytes: 1e9, disks: [{ mount: "/", used_bytes: 1, total_bytes: 2 }] },
});

function framesOf(type: FrameType, compression: "none" | "gzip", payload?: (variant: number) => object): string[] {
  return Array.from({ length: VARIANTS }, (_, variant) =>
    encodeFrame({
      ...{
        ver: "1.1",
        ts: 1706140800 + variant,
        token: `token-of-agent-${variant}`,
        type,
        id: `run-${variant}`,
        compression,
      },
      ...(payload ? { payload: payload(variant) as Record<string, unknown> } : {}),
    }),
  );
}

/** One after the other, for ever. */
function inTurn<T>(items: readonly T[]): () => T {
  let at = 0;
  return () => items[at++ % items.length] as T;
}

function decoding(name: string, texts: readonly string[]): void {
  const next = inTurn(texts);
  bench(name, () => {
    const decoded = decodeEnvelope(next());
    if (!decoded.ok) throw new Error("a frame of the benchmark is refused");
    do_not_optimize(decodePayload(decoded.envelope));
  });
}

function codec(): void {
  decoding("heartbeat without data", framesOf("heartbeat", "none"));
  decoding("heartbeat with metrics", framesOf("heartbeat", "none", heartbeatOf));
  decoding("alert with 2 KB of logs, plain", framesOf("alert", "none", alertOf));
  decoding("alert with 2 KB of logs, gzip", framesOf("alert", "gzip", alertOf));
}

function thinking(): void {
  const whose = { origin: "agent", agentId: crypto.randomUUID() } as const;
  const next = inTurn(Array.from({ length: VARIANTS }, (_, variant) => alertOf(variant)));
  bench("an alert's fingerprint", () => do_not_optimize(fingerprintOf(whose, next())));
  const explain = createHeuristics();
  bench("explaining 2 KB of logs", () => {
    const { exit_code: exitCode, ...alert } = next();
    do_not_optimize(explain({ ...alert, exitCode }));
  });
}

/** A batch as the queue hands it over: `variants` is how many incidents it opens. */
function batchOf(agentId: string, variants: number): AcceptedAlert[] {
  const run = Bun.randomUUIDv7();
  return Array.from({ length: BATCH }, (_, n) => ({
    ...({ kind: "alert", origin: "agent", agentId, messageId: null, ageMs: 0, sizeBytes: LOG_CHARS } as const),
    ...{ uuid: Bun.randomUUIDv7(), acceptedAtMs: clock.monotonicMs() },
    alert: { ...alertOf(n % VARIANTS), source: `${run}-${n % variants}` },
  }));
}

function writing(writer: BatchWriter, agentId: string): void {
  const { signal } = new AbortController();
  bench(`${BATCH} alerts of as many incidents`, () => writer.write(batchOf(agentId, BATCH), signal));
  bench(`${BATCH} alerts of one incident`, () => writer.write(batchOf(agentId, 1), signal));
}

/** A writer on a PostgreSQL of its own, with fsync. */
async function openWriter(cleanups: AsyncDisposableStack): Promise<{ writer: BatchWriter; agentId: string }> {
  const dataDir = await mkdtemp(join(tmpdir(), "opspilot-micro-"));
  cleanups.defer(() => rm(dataDir, { recursive: true, force: true }));
  // Started as root, PostgreSQL runs as another user, who must get in.
  await chmod(dataDir, 0o755);
  const embedded = await startEmbedded({ dataDir, clock, log: quiet, role: "serve" });
  cleanups.defer(() => embedded.stop());
  const database = openDatabase({ target: embedded.target, log: quiet });
  cleanups.defer(() => database.close());
  await migrate(database, quiet);
  const agentId = crypto.randomUUID();
  await database.sql`insert into agents (id, token_hash) values (${agentId}, ${agentId.replaceAll("-", "")})`;
  const writer = createBatchWriter({
    connect: () => database.createClient({ connections: 1 }),
    alerts: createAlertRecorder({ incidentGroupWindowMs: WINDOW_MS, opened: async () => undefined }),
    results: { record: async (_, results) => results.map(() => ({ ok: true })) },
    clock,
    databaseClock: createDatabaseClock(),
    log: quiet,
    metrics: createIngestMetrics(new Registry(), () => 0),
    before: async () => undefined,
    onAway: () => undefined,
  });
  cleanups.defer(() => writer.close());
  return { writer, agentId };
}

await using cleanups = new AsyncDisposableStack();
const { writer, agentId } = await openWriter(cleanups);
group("decoding a frame", codec);
group("an alert", thinking);
group("writing a batch", () => writing(writer, agentId));
await run();
