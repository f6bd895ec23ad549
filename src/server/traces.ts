/**
 * Traces for OpenTelemetry, by its own SDK, which is loaded only where an endpoint is set. A trace is named by its alert's UUID, so
 * that what another node, or this one after a restart, does about its incident joins it: the first step is the trace's root, by a
 * span whose id follows from the trace's, too, and all others are its children.
 */
import { trace as api, ROOT_CONTEXT, SpanKind, TraceFlags } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  type IdGenerator,
  RandomIdGenerator,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { Config } from "../config.ts";
import { type Clock, endsWithin } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Trace, TraceStep } from "../lib/trace.ts";

/** In a storm that much is enough to see what takes how long; the rest is not traced. */
const STEPS_PER_S_MAX = 200;
const QUEUE = { maxQueueSize: 2_048, maxExportBatchSize: 512, scheduledDelayMillis: 2_000 };
const EXPORT_LIMIT_MS = 10_000;
const SPAN_ID_CHARS = 16;

interface TracesDeps {
  settings: NonNullable<Config["traces"]>;
  version: string;
  clock: Clock;
  log: Log;
}

/** Begins to tell of steps; `stop` sends what waits, and is bounded. */
export function createTraces({ settings, version, clock, log }: TracesDeps): {
  trace: Trace;
  stop(limitMs: number): Promise<void>;
} {
  const { endpoint, headers, ratio } = settings;
  const ids = createIds();
  const mayTrace = createLimit(clock);
  const exporter = new OTLPTraceExporter({
    url: `${endpoint}/v1/traces`,
    headers: { ...headers },
    timeoutMillis: EXPORT_LIMIT_MS,
  });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": "opspilot", "service.version": version }),
    // By the trace's id alone: of a trace all steps are told, or none, whoever tells them.
    sampler: new TraceIdRatioBasedSampler(ratio),
    idGenerator: ids,
    spanProcessors: [new BatchSpanProcessor({ exporter: telling(exporter, log), ...QUEUE })],
  });
  const tracer = provider.getTracer("opspilot", version);

  function tell({ name, alertUuid, startMs, attributes }: TraceStep): void {
    const traceId = alertUuid.replaceAll("-", "").toLowerCase();
    const rootId = traceId.slice(-SPAN_ID_CHARS);
    const startTime = clock.now() - (clock.monotonicMs() - startMs);
    const options = { startTime, attributes, kind: SpanKind.INTERNAL };
    if (name === "alert stored") {
      ids.root = { traceId, spanId: rootId };
      tracer.startSpan(name, options, ROOT_CONTEXT).end();
      ids.root = null;
      return;
    }
    const parent = { traceId, spanId: rootId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
    tracer.startSpan(name, options, api.setSpanContext(ROOT_CONTEXT, parent)).end();
  }

  return {
    trace(step) {
      if (mayTrace()) tell(step);
    },
    async stop(limitMs) {
      await endsWithin(clock, limitMs, provider.shutdown());
    },
  };
}

/** Random ids, but for the root of a trace: nothing else runs between its being set and its being used. */
function createIds(): IdGenerator & { root: { traceId: string; spanId: string } | null } {
  const random = new RandomIdGenerator();
  return {
    root: null,
    generateTraceId() {
      return this.root?.traceId ?? random.generateTraceId();
    },
    generateSpanId() {
      return this.root?.spanId ?? random.generateSpanId();
    },
  };
}

function createLimit(clock: Pick<Clock, "monotonicMs">): () => boolean {
  let second = 0;
  let steps = 0;
  return () => {
    const now = Math.floor(clock.monotonicMs() / 1_000);
    if (now !== second) [second, steps] = [now, 0];
    return ++steps <= STEPS_PER_S_MAX;
  };
}

/** Says when nobody takes the traces, and when somebody does again: the SDK is silent about it, and drops them. */
function telling(exporter: SpanExporter, log: Log): SpanExporter {
  let isFailing = false;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const hasFailed = result.code !== 0;
        if (hasFailed && !isFailing)
          log.warn({ error: errorMessage(result.error) }, "traces cannot be sent, and are dropped");
        if (!hasFailed && isFailing) log.info("traces are sent again");
        isFailing = hasFailed;
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
}
