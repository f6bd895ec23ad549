import { readdirSync, readFileSync } from "node:fs";
import { arch, hostname, loadavg, release, uptime } from "node:os";
import { errorMessage } from "../lib/errors.ts";
import { type CommandTools, done, type Outcome } from "./command-model.ts";

const STEP_LIMIT_MS = 10_000;
const PROCESSES_MAX = 10;
const MIB = 2 ** 20;
const FILE_SYSTEMS = [
  "--exclude-type=tmpfs",
  "--exclude-type=devtmpfs",
  "--exclude-type=squashfs",
  "--exclude-type=overlay",
];

/** What a person would look at first: load, memory, disks, what has failed, and who takes the memory. */
export async function hostReport(tools: CommandTools): Promise<Outcome> {
  const sections = [
    hostSection(),
    ["Memory", readMemory()],
    ["Disks", await outputOf(["df", "-h", ...FILE_SYSTEMS], tools)],
    ["Inodes", await outputOf(["df", "-i", ...FILE_SYSTEMS], tools)],
    [
      "Failed units",
      await outputOf(["systemctl", "--no-pager", "--no-legend", "--plain", "--failed", "list-units"], tools),
    ],
    ["Largest processes", readProcesses()],
  ];
  return done(sections.map(([title, text]) => `${title}\n${indented(text ?? "")}`).join("\n\n"));
}

function hostSection(): [string, string] {
  const load = loadavg().map((one) => one.toFixed(2));
  const hours = Math.floor(uptime() / 3600);
  const up = `up ${Math.floor(hours / 24)} days ${hours % 24} hours`;
  return ["Host", [`${hostname()}, Linux ${release()} ${arch()}`, up, `load ${load.join(" ")}`].join("\n")];
}

function indented(text: string): string {
  return (text.trimEnd() || "none").replaceAll(/^/gm, "  ");
}

async function outputOf(words: readonly string[], tools: CommandTools): Promise<string> {
  try {
    const { stdout, stderr } = await tools.run(words, { limitMs: STEP_LIMIT_MS, signal: tools.signal });
    return stdout.trim() === "" ? stderr : stdout;
  } catch (error) {
    // One part that cannot be had leaves the others as they are.
    return `cannot be told: ${errorMessage(error)}`;
  }
}

function readMemory(): string {
  const text = readFileSync("/proc/meminfo", "utf8");
  const mib = (name: string) => Math.round(Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0) / 1024);
  return (
    `${mib("MemTotal") - mib("MemAvailable")} of ${mib("MemTotal")} MiB used, ${mib("MemAvailable")} MiB available\n` +
    `swap: ${mib("SwapTotal") - mib("SwapFree")} of ${mib("SwapTotal")} MiB used`
  );
}

function readProcesses(): string {
  const processes = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap(readProcess);
  const largest = processes.sort((one, other) => other.bytes - one.bytes).slice(0, PROCESSES_MAX);
  return largest
    .map(({ pid, name, bytes }) => `${String(Math.round(bytes / MIB)).padStart(7)} MiB  ${name} (${pid})`)
    .join("\n");
}

function readProcess(pid: string): { pid: string; name: string; bytes: number }[] {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const [, name = "?"] = /^Name:\s+(.*)$/m.exec(status) ?? [];
    // Without this line it is a thread of the kernel.
    const kib = /^VmRSS:\s+(\d+)/m.exec(status)?.[1];
    return kib === undefined ? [] : [{ pid, name, bytes: Number(kib) * 1024 }];
  } catch (error) {
    // It has ended meanwhile.
    if (error instanceof Error) return [];
    throw error;
  }
}
