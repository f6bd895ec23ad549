import { readdir, readFile } from "node:fs/promises";
import type { Clock } from "../../lib/clock.ts";

interface Usage {
  readonly pid: string;
  readonly name: string;
  readonly ticks: number;
  readonly bytes: number;
}

const PROCESSES_MAX = 10;
const SAMPLE_MS = 1_000;
const PAGE_BYTES = 4096;
/** The kernel's unit of time towards programs, on every architecture that this runs on. */
const TICKS_A_SECOND = 100;
const MIB = 2 ** 20;

/** Who takes most of the memory, one a line. */
export async function topByMemory(root = ""): Promise<string> {
  const usages = await readUsages(root);
  const largest = usages.sort((one, other) => other.bytes - one.bytes).slice(0, PROCESSES_MAX);
  return largest.map(({ pid, name, bytes }) => `${pad(`${Math.round(bytes / MIB)} MiB`)}  ${name} (${pid})`).join("\n");
}

/** Who took most of the processors for a second, one a line; 100 % is one processor. */
export async function topByCpu(clock: Clock, signal: AbortSignal, root = ""): Promise<string> {
  const before = new Map((await readUsages(root)).map(({ pid, ticks }) => [pid, ticks]));
  const startMs = clock.monotonicMs();
  await clock.sleep(SAMPLE_MS, signal);
  const seconds = Math.max(0.001, (clock.monotonicMs() - startMs) / 1000);
  const usages = (await readUsages(root)).map((one) => ({
    ...one,
    used: one.ticks - (before.get(one.pid) ?? one.ticks),
  }));
  const busiest = usages.sort((one, other) => other.used - one.used).slice(0, PROCESSES_MAX);
  return busiest
    .map(
      ({ pid, name, used }) => `${pad(`${Math.round((100 * used) / TICKS_A_SECOND / seconds)} %`)}  ${name} (${pid})`,
    )
    .join("\n");
}

function pad(text: string): string {
  return text.padStart(10);
}

async function readUsages(root: string): Promise<Usage[]> {
  const pids = (await readdir(`${root}/proc`)).filter((name) => /^\d+$/.test(name));
  return (await Promise.all(pids.map((pid) => readUsage(root, pid)))).flat();
}

async function readUsage(root: string, pid: string): Promise<Usage[]> {
  try {
    const usage = parseUsage(pid, await readFile(`${root}/proc/${pid}/stat`, "utf8"));
    return usage ? [usage] : [];
  } catch (error) {
    // It has ended meanwhile.
    if (error instanceof Error) return [];
    throw error;
  }
}

/** A process's name may hold spaces and brackets: it ends at the line's last one. */
function parseUsage(pid: string, stat: string): Usage | undefined {
  const [nameStart, nameEnd] = [stat.indexOf("("), stat.lastIndexOf(")")];
  const fields = stat.slice(nameEnd + 2).split(" ");
  const [user, system, pages] = [fields[11], fields[12], fields[21]].map(Number);
  if (user === undefined || system === undefined || pages === undefined || nameStart < 0) return undefined;
  return { pid, name: stat.slice(nameStart + 1, nameEnd), ticks: user + system, bytes: pages * PAGE_BYTES };
}
