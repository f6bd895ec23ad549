import { fieldsOf } from "../lib/json.ts";

const TEXT_CHARS_MAX = 100;
const DISKS_MAX = 8;
/** What may be told of a host to a third party; everything else in `agents.meta` stays here. */
const TEXTS = ["os", "arch", "kernel", "version"] as const;

/** A host's facts as lines of "name: value", from `agents.meta`, whose shape is the agent's: everything is checked again. */
export function hostFacts(meta: Readonly<Record<string, unknown>>): string[] {
  const facts = TEXTS.flatMap((name) => {
    const value = meta[name];
    const label = name === "version" ? "agent_version" : name;
    return typeof value === "string" && value !== "" ? [`${label}: ${value.slice(0, TEXT_CHARS_MAX)}`] : [];
  });
  const uptimeS = numberOf(meta.uptime_s);
  if (uptimeS !== undefined) facts.push(`uptime: ${durationOf(uptimeS)}`);
  return [...facts, ...metricFacts(fieldsOf(meta.metrics))];
}

/** The two largest units are enough: "3d 4h". */
export function durationOf(seconds: number): string {
  const units = [
    ["d", 86_400],
    ["h", 3_600],
    ["min", 60],
    ["s", 1],
  ] as const;
  let leftS = Math.max(0, Math.floor(seconds));
  const parts = units.flatMap(([name, sizeS]) => {
    const count = Math.floor(leftS / sizeS);
    leftS -= count * sizeS;
    return count > 0 ? [`${count}${name}`] : [];
  });
  return parts.slice(0, 2).join(" ") || "0s";
}

function metricFacts(metrics: Readonly<Record<string, unknown>>): string[] {
  const facts: string[] = [];
  const cpu = numberOf(metrics.cpu_pct);
  if (cpu !== undefined) facts.push(`cpu: ${Math.round(cpu)} %`);
  const loads = [metrics.load1, metrics.load5, metrics.load15].map(numberOf);
  if (loads.every((load) => load !== undefined)) facts.push(`load: ${loads.map((load) => load.toFixed(2)).join(" ")}`);
  const memory = usage(metrics.mem_used_bytes, metrics.mem_total_bytes);
  if (memory) facts.push(`memory: ${memory}`);
  const swap = numberOf(metrics.swap_used_bytes);
  if (swap !== undefined) facts.push(`swap used: ${gibibytes(swap)}`);
  return [...facts, ...diskFacts(metrics.disks)];
}

function diskFacts(disks: unknown): string[] {
  if (!Array.isArray(disks)) return [];
  return disks.slice(0, DISKS_MAX).flatMap((disk: unknown) => {
    const { mount, used_bytes, total_bytes } = fieldsOf(disk);
    const used = usage(used_bytes, total_bytes);
    return typeof mount === "string" && used ? [`disk ${mount.slice(0, TEXT_CHARS_MAX)}: ${used}`] : [];
  });
}

function usage(used: unknown, total: unknown): string | undefined {
  const usedBytes = numberOf(used);
  const totalBytes = numberOf(total);
  if (usedBytes === undefined || !totalBytes) return undefined;
  return `${gibibytes(usedBytes)} of ${gibibytes(totalBytes)} used (${Math.round((usedBytes / totalBytes) * 100)} %)`;
}

const gibibytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

const numberOf = (value: unknown) => (typeof value === "number" && Number.isFinite(value) ? value : undefined);
