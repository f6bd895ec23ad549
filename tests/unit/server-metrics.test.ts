import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { Registry } from "prom-client";
import { endOf } from "../../src/config/tls.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { collectProcessMetrics } from "../../src/server/process-metrics.ts";
import { createStateMetrics, type StateSources } from "../../src/server/state-metrics.ts";
import { CERTIFICATE, CERTIFICATE_KEY } from "../support/certificate.ts";
import { quiet } from "../support/log.ts";

test("figures of the process are those that are true under Bun", async () => {
  const registry = new Registry();
  collectProcessMetrics(registry);
  const text = await registry.metrics();
  expect(text).toContain("opspilot_process_resident_memory_bytes");
  expect(text).toContain("opspilot_process_cpu_seconds_total");
  expect(text).not.toMatch(
    /process_heap_bytes|nodejs_active|heap_space|heap_size_total|gc_duration|version_info|lag_(min|mean|p\d)/,
  );
  expect(text).not.toMatch(/ nan$/im);
});

test("of a certificate it is said when it expires, of the built-in PostgreSQL how often it came back, and nothing of what is not there", async () => {
  const away = { ready: false, checks: { database: "away" } };
  const scrape = async (tls: { cert: string; key: string } | null, embedded: StateSources["embedded"]) => {
    const registry = new Registry();
    const config = { ai: { dailyLimit: 1 }, retentionMs: 1, ingestBufferBytes: 1 };
    createStateMetrics({
      ...({ config, registry, embedded } as unknown as StateSources),
      clock: createSystemClock(),
      database: { load: () => ({ open: 3, busy: 2, waiting: 1 }) } as unknown as StateSources["database"],
      jobsLoad: () => null,
      listening: () => ({ isConnected: false, reconnects: 4, lagMs: 250 }),
      readiness: async () => away,
      figures: () => ({ waiting: 5, lost: 6 }),
      isHeld: () => true,
      certificateEndMs: () => tls && endOf(tls),
      readRoom: embedded && (async () => ({ freeBytes: 7, sizeBytes: 8 })),
      version: "1",
      log: quiet,
    });
    return registry.metrics();
  };
  const whole = await scrape(
    { cert: CERTIFICATE, key: CERTIFICATE_KEY },
    { postmasterPid: () => 1, restarts: () => 2 },
  );
  const [, expiry] = /^opspilot_certificate_expiry_timestamp_seconds (\d+)$/m.exec(whole) ?? [];
  expect(Number(expiry) * 1000).toBe(new X509Certificate(CERTIFICATE).validToDate.getTime());
  expect(whole).toMatch(/^opspilot_postgres_up 1$/m);
  expect(whole).toMatch(/^opspilot_postgres_restarts_total 2$/m);
  expect(whole).toMatch(/^opspilot_ingest_held 1$/m);
  expect(whole).toMatch(/^opspilot_disk_free_bytes 7$/m);
  expect(whole).toMatch(/^opspilot_disk_size_bytes 8$/m);
  expect(whole).toMatch(/^opspilot_listen_reconnects_total 4$/m);
  expect(whole).toMatch(/^opspilot_database_connections\{driver="postgres",state="idle"\} 1$/m);
  expect(await scrape(null, null)).not.toMatch(/^opspilot_(certificate|postgres|disk|nodes|agents)/m);
});
