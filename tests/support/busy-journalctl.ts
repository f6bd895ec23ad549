// Stands in for journalctl where a unit writes much: with --follow it writes entries of busy.service, as many in a second as
// `rate` beside it says, with the fields that a real journal has; one in ten thousand is an error.
import { readFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";

const TURN_MS = 20;
const ERROR_EACH = 10_000;
const BOOT = "5a1c1e4f2b3d4c5e8f9a0b1c2d3e4f5a";
const words = process.argv.slice(2);

/** As journalctl has it, place and time are always there. */
const fields = words
  .find((word) => word.startsWith("--output-fields="))
  ?.split("=")[1]
  ?.split(",");
const always = ["__CURSOR", "__REALTIME_TIMESTAMP", "__MONOTONIC_TIMESTAMP", "_BOOT_ID"];
const shown = fields && [...always, ...fields];

function entry(count: number): string {
  const message =
    count % ERROR_EACH === 0 ? `ERROR order ${count} failed` : `GET /orders/${count} 200 in 12 ms for 10.0.0.7`;
  const us = String(Date.now() * 1_000 + (count % 1_000));
  const all = {
    __CURSOR: `s=0f6b0f3f5b1e4d0c9d8e7f6a5b4c3d2e;i=${count.toString(16)};b=${BOOT};m=1f2e3d4c;t=62a1b2c3d4e5f;x=a1b2c3d4e5f60718`,
    __REALTIME_TIMESTAMP: us,
    __MONOTONIC_TIMESTAMP: String(Math.round(performance.now() * 1_000)),
    _BOOT_ID: BOOT,
    _TRANSPORT: "stdout",
    PRIORITY: "6",
    SYSLOG_FACILITY: "3",
    SYSLOG_IDENTIFIER: "busy",
    _UID: "998",
    _GID: "998",
    _PID: "4711",
    _COMM: "busy",
    _EXE: "/usr/bin/busy",
    _CMDLINE: "/usr/bin/busy --serve",
    _CAP_EFFECTIVE: "0",
    _SELINUX_CONTEXT: "unconfined",
    _SYSTEMD_CGROUP: "/system.slice/busy.service",
    _SYSTEMD_UNIT: "busy.service",
    _SYSTEMD_SLICE: "system.slice",
    _SYSTEMD_INVOCATION_ID: "2b3d4c5e8f9a0b1c2d3e4f5a5a1c1e4f",
    _MACHINE_ID: "8f9a0b1c2d3e4f5a5a1c1e4f2b3d4c5e",
    _HOSTNAME: "web-1",
    _STREAM_ID: "c5e8f9a0b1c2d3e4f5a5a1c1e4f2b3d4",
    MESSAGE: message,
  };
  return JSON.stringify(all, shown);
}

function write(text: string): void {
  for (let bytes = Buffer.from(text); bytes.length > 0; ) bytes = bytes.subarray(writeSync(1, bytes));
}

if (words.includes("--show-cursor")) write("-- cursor: s=0;i=0\n");
else if (words.includes("--lines=1")) write("an entry\n");
else if (words.includes("--follow") && words.includes("_SYSTEMD_UNIT=busy.service")) {
  const rate = Number(readFileSync(join(dirname(process.argv[1] ?? ""), "rate"), "utf8"));
  let count = 0;
  const startedMs = performance.now();
  setInterval(() => {
    const due = Math.floor(((performance.now() - startedMs) / 1_000) * rate);
    const entries = Array.from({ length: due - count }, (_, at) => entry(count + at + 1));
    count = due;
    if (entries.length > 0) write(`${entries.join("\n")}\n`);
  }, TURN_MS);
} else if (words.includes("--follow")) setInterval(() => undefined, 60_000);
