/** What goes wrong in the demonstration: real programs' own words. */
export interface Scene {
  readonly host: string;
  readonly alert: Record<string, unknown>;
  /** How a restart ends; "holds" by default. */
  readonly restart?: "holds" | "fails_again" | "fails";
}

const at = (line: string) => line.trim();

/** Hosts of a small company. */
export const HOSTS = [
  "web-1",
  "web-2",
  "web-3",
  "db-1",
  "db-2",
  "cache-1",
  "queue-1",
  "mail-1",
  "build-7",
  "edge-ams-1",
];

/** Incidents, the most urgent last. */
export const SCENES: readonly Scene[] = [
  {
    host: "edge-ams-1",
    alert: {
      type: "logs",
      source: "sshd",
      severity: "info",
      message: "error: maximum authentication attempts exceeded for root from 203.0.113.7 port 51022 ssh2",
      logs: Array.from(
        { length: 24 },
        (_, n) => `sshd[${2100 + n}]: Failed password for root from 203.0.113.7 port ${51000 + n} ssh2`,
      ).join("\n"),
    },
  },
  {
    host: "mail-1",
    alert: {
      type: "systemd",
      source: "postfix",
      severity: "warning",
      message: "postfix.service: deferred mail queue is growing",
      logs: at(`
postfix/smtp[8123]: connect to mx.example.net[198.51.100.4]:25: Connection timed out
postfix/smtp[8123]: 4F2A11C0: to=<team@example.net>, relay=none, delay=312, status=deferred (connect to mx.example.net[198.51.100.4]:25: Connection timed out)`),
    },
  },
  {
    host: "build-7",
    alert: {
      type: "docker",
      source: "ci-runner",
      severity: "warning",
      exit_code: 1,
      message: "container ci-runner ended with exit code 1, and was started 3 times within 10 min",
      logs: at(`
Checking for jobs... received job=88121
Pulling docker image registry.example.com/build/node:20 ...
ERROR: Job failed: failed to pull image "registry.example.com/build/node:20": Error response from daemon: manifest for registry.example.com/build/node:20 not found: manifest unknown`),
    },
    restart: "fails_again",
  },
  {
    host: "cache-1",
    alert: {
      type: "host",
      source: "memory",
      severity: "warning",
      message: "memory is 96 % full for 2 min: redis-server has 11.2 GiB of 15.6 GiB",
    },
  },
  {
    host: "queue-1",
    alert: {
      type: "systemd",
      source: "rabbitmq-server",
      severity: "critical",
      exit_code: 1,
      message: "rabbitmq-server.service failed: exit code 1",
      logs: at(`
rabbitmq-server[4410]: BOOT FAILED
rabbitmq-server[4410]: ERROR: epmd error for host queue-1: nxdomain (non-existing domain)
systemd[1]: rabbitmq-server.service: Main process exited, code=exited, status=1/FAILURE`),
    },
    restart: "fails",
  },
  {
    host: "web-2",
    alert: {
      type: "docker",
      source: "payments-api",
      severity: "critical",
      exit_code: 137,
      message: "container payments-api ran out of memory (limit 512 MiB) and was killed: exit code 137",
      logs: at(`
{"level":"info","msg":"GET /v1/payments 200","took_ms":31}
{"level":"warn","msg":"heap above 90 %","heap_mb":469}
FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory
 1: 0xb7a940 node::Abort() [node]
Killed`),
    },
  },
  {
    host: "db-1",
    alert: {
      type: "systemd",
      source: "postgresql@16-main",
      severity: "critical",
      exit_code: 1,
      message: "postgresql@16-main.service failed: exit code 1",
      logs: at(`
postgres[2211]: LOG:  database system was interrupted; last known up at 2026-11-29 02:58:11 UTC
postgres[2211]: PANIC:  could not write to file "pg_wal/xlogtemp.2211": No space left on device
postgres[2208]: LOG:  startup process (PID 2211) was terminated by signal 6: Aborted
systemd[1]: postgresql@16-main.service: Failed with result 'protocol'.`),
    },
    restart: "fails_again",
  },
  {
    host: "web-3",
    alert: {
      type: "systemd",
      source: "nginx",
      severity: "critical",
      exit_code: 1,
      message: "nginx.service failed: exit code 1",
      logs: at(`
systemd[1]: Starting nginx.service - A high performance web server and a reverse proxy server...
nginx[31337]: nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)
nginx[31337]: nginx: [emerg] bind() to [::]:80 failed (98: Address already in use)
nginx[31337]: nginx: [emerg] still could not bind()
systemd[1]: nginx.service: Control process exited, code=exited, status=1/FAILURE
systemd[1]: nginx.service: Failed with result 'exit-code'.`),
    },
  },
];

/** What their agents allow. */
export const ALLOWED = [
  "restart_service:nginx",
  "restart_service:postgresql*",
  "restart_service:rabbitmq-server",
  "restart_container:*",
  "service_status:*",
  "get_logs:*",
  "container_logs:*",
  "host_report:*",
  "ping:*",
];

const GIB = 2 ** 30;

/** Figures that look like a host's: each has a level of its own, and breathes. */
export function figuresOf(host: string): () => Record<string, unknown> {
  const seed = [...host].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
  const level = (salt: number) => ((seed * salt) % 60) / 100;
  return () => {
    const wave = Math.sin(Date.now() / 60_000 + seed) * 0.08;
    const share = (salt: number, full: number) => Math.min(0.97, Math.max(0.03, full * level(salt) + 0.2 + wave));
    const isFull = host === "db-1";
    return {
      cpu_pct: Math.round(share(7, 1) * 1000) / 10,
      load1: Math.round(share(11, 1) * 400) / 100,
      load5: Math.round(share(11, 0.9) * 400) / 100,
      load15: Math.round(share(11, 0.8) * 400) / 100,
      mem_used_bytes: Math.round(16 * GIB * (host === "cache-1" ? 0.96 : share(13, 1))),
      mem_total_bytes: 16 * GIB,
      swap_used_bytes: 0,
      disks: [
        { mount: "/", used_bytes: Math.round(80 * GIB * share(17, 1)), total_bytes: 80 * GIB },
        { mount: "/var", used_bytes: Math.round(200 * GIB * (isFull ? 1 : share(19, 1))), total_bytes: 200 * GIB },
      ],
    };
  };
}

/** What an agent finds out about its host. */
export function factsOf(host: string): Record<string, unknown> {
  return {
    os: host.startsWith("db") ? "Debian GNU/Linux 13 (trixie)" : "Debian GNU/Linux 12 (bookworm)",
    arch: host.startsWith("edge") ? "arm64" : "x64",
    kernel: "6.1.0-28-amd64",
    uptime_s: 86_400 * ((host.length * 7) % 90) + 4_000,
  };
}
