import { expect, test } from "bun:test";
import { Registry } from "prom-client";
import { collectProcessMetrics } from "../../src/server/process-metrics.ts";

test("figures of the process are those that are true under Bun", async () => {
  const registry = new Registry();
  collectProcessMetrics(registry);
  const text = await registry.metrics();
  expect(text).toContain("opspilot_process_resident_memory_bytes");
  expect(text).toContain("opspilot_process_cpu_seconds_total");
  expect(text).not.toMatch(/process_heap_bytes|nodejs_active|heap_space|gc_duration|version_info/);
});
