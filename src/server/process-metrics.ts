import { collectDefaultMetrics, type Registry } from "prom-client";

const PREFIX = "opspilot_";
/** By default it is sampled a hundred times a second, which is most of what an idle process does: each time wakes the allocator, too. */
const EVENT_LOOP_SAMPLE_MS = 10_000;

/**
 * Made for Node: Bun says 0 or reserved memory for these, a total below what is used, no garbage collections at all, or a Node that is
 * not there; and of a loop that is sampled so rarely, the least and the mean of nothing.
 */
const UNTRUE = [
  "process_heap_bytes",
  "nodejs_active_resources",
  "nodejs_active_resources_total",
  "nodejs_active_handles",
  "nodejs_active_handles_total",
  "nodejs_active_requests",
  "nodejs_active_requests_total",
  "nodejs_heap_size_total_bytes",
  "nodejs_heap_space_size_total_bytes",
  "nodejs_heap_space_size_used_bytes",
  "nodejs_heap_space_size_available_bytes",
  "nodejs_gc_duration_seconds",
  "nodejs_eventloop_lag_min_seconds",
  "nodejs_eventloop_lag_max_seconds",
  "nodejs_eventloop_lag_mean_seconds",
  "nodejs_eventloop_lag_stddev_seconds",
  "nodejs_eventloop_lag_p50_seconds",
  "nodejs_eventloop_lag_p90_seconds",
  "nodejs_eventloop_lag_p99_seconds",
  "nodejs_version_info",
];

/** Figures of the process itself, as far as they are true. */
export function collectProcessMetrics(register: Registry): void {
  collectDefaultMetrics({ register, prefix: PREFIX, eventLoopMonitoringPrecision: EVENT_LOOP_SAMPLE_MS });
  for (const name of UNTRUE) register.removeSingleMetric(PREFIX + name);
}
