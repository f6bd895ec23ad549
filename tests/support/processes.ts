import { readdirSync, readFileSync } from "node:fs";

/** Linux counts CPU time in ticks of a hundredth of a second (USER_HZ). */
const TICKS_PER_SECOND = 100;

/** Of what follows the name in /proc/PID/stat. */
const NICE_FIELD = 16;

/** A process and everything below it that lives now. */
export function processTree(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync("/proc")) {
    const child = Number(entry);
    const parent = Number.isInteger(child) ? statOf(child)?.parent : undefined;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), child]);
  }
  const below = (parent: number): number[] => (children.get(parent) ?? []).flatMap((child) => [child, ...below(child)]);
  return [pid, ...below(pid)];
}

/** Their memory in bytes, with each shared page counted once (the sum of the proportional set sizes). */
export function memoryBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const kib = /^Pss:\s+(\d+) kB/m.exec(readIfThere(`/proc/${pid}/smaps_rollup`))?.[1];
    return sum + Number(kib ?? 0) * 1024;
  }, 0);
}

/** The most memory that a process has had resident so far, in bytes. */
export function peakMemoryBytes(pid: number): number {
  const kib = /^VmHWM:\s+(\d+) kB/m.exec(readIfThere(`/proc/${pid}/status`))?.[1];
  return Number(kib ?? 0) * 1024;
}

/** What the process itself has in memory, with all that it shares, in bytes. */
export function residentBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readIfThere(`/proc/${pid}/status`))?.[1];
  return Number(kib ?? 0) * 1024;
}

/** The CPU time of a process alone so far, in seconds. */
export function ownCpuSeconds(pid: number): number {
  return (statOf(pid)?.ownTicks ?? 0) / TICKS_PER_SECOND;
}

/** The CPU time of a process and everything below it so far, in seconds, with that of children that ended. */
export function cpuSeconds(pid: number): number {
  return processTree(pid).reduce((sum, one) => sum + (statOf(one)?.ticks ?? 0), 0) / TICKS_PER_SECOND;
}

/** How many threads of a process give way to all others of the machine. */
export function patientThreads(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`).map((id) => readIfThere(`/proc/${pid}/task/${id}/stat`));
  return threads.filter((text) => Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[NICE_FIELD]) > 0).length;
}

/** Fields of /proc/PID/stat; they are counted after the name, which may hold anything. */
function statOf(pid: number): { parent: number; ticks: number; ownTicks: number } | undefined {
  const text = readIfThere(`/proc/${pid}/stat`);
  if (text === "") return undefined;
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const [user = 0, system = 0, childrenUser = 0, childrenSystem = 0] = fields.slice(11, 15);
  const ownTicks = user + system;
  return { parent: fields[1] ?? 0, ticks: ownTicks + childrenUser + childrenSystem, ownTicks };
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const isGone = error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH");
    if (isGone) return "";
    throw error;
  }
}
