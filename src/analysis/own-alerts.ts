import { CHECK_ALERTS } from "./check-alerts.ts";
import type { Category, Evidence } from "./model.ts";

/** What an alert of an agent says of the host itself, or of what it checks from there: the message says it all. */
export interface OwnAlert {
  readonly id: string;
  readonly category: Category;
  readonly pattern: RegExp;
  readonly cause: string;
  readonly fix: string;
}

const OWN_ALERTS: readonly OwnAlert[] = [
  {
    id: "host-disk",
    category: "disk_full",
    pattern: /^(?<path>\S{1,400}) is (?<percent>\d{1,3}) % full: (?<left>[^(]{1,60}) left/,
    cause: "The file system {path} is {percent} % full: {left} left.",
    fix: "See what fills it with `du -xsh {path}/*`, largest first; free space (old logs: `journalctl --vacuum-size=500M`; unused images: `docker system df`) or enlarge the file system of {source}.",
  },
  {
    id: "host-inodes",
    category: "disk_full",
    pattern: /^(?<path>\S{1,400}) has (?<percent>\d{1,3}) % of its inodes in use: (?<left>[^(]{1,60}) left/,
    cause: "The file system {path} has used {percent} % of its inodes: {left} are left. It holds too many small files.",
    fix: "See which directory has so many files (`du --inodes -xd 2 {path}`); remove what is old, or make the file system of {source} anew with more inodes.",
  },
  {
    id: "host-memory",
    category: "out_of_memory",
    pattern: /^memory is (?<percent>\d{1,3}) % in use: (?<left>[^(]{1,60}) available/,
    cause: "The memory of the host is {percent} % in use: {left} available.",
    fix: "The log of this alert lists who uses most ({source}: `ps aux --sort=-rss`). Give the largest a limit or less work, restart what leaks, or add memory.",
  },
  {
    id: "host-swap",
    category: "out_of_memory",
    pattern: /^swap is (?<percent>\d{1,3}) % in use: (?<left>[^()]{1,60})/,
    cause: "The swap of the host is {percent} % in use ({left}): its programs need more memory than it has.",
    fix: "The log of this alert lists who uses most ({source}: `ps aux --sort=-rss`). Give the largest a limit or less work, restart what leaks, or add memory.",
  },
  {
    id: "host-load",
    category: "resource_limit",
    pattern: /^the load is (?<load>[\d.]{1,12}) per processor: (?<left>[^(]{1,80})/,
    cause:
      "The host is overloaded: the load is {load} per processor ({left}). More programs want a processor or a disk than it has.",
    fix: "The log of this alert lists who uses most ({source}: `top`, `iostat -x`). Move or slow down the largest, or give the host more processors.",
  },
  {
    id: "host-cpu",
    category: "resource_limit",
    pattern: /^the processors are (?<percent>\d{1,3}) % busy/,
    cause: "The processors of the host are {percent} % busy.",
    fix: "The log of this alert lists who uses most ({source}: `top`). Move or slow down the largest, or give the host more processors.",
  },
];

const TEST_ALERT = /^Test alert from (\S{1,255}): /;

const ALERTS_OF_TYPE: ReadonlyMap<string, readonly OwnAlert[]> = new Map([
  ["host", OWN_ALERTS],
  ["check", CHECK_ALERTS],
]);

/** What the message of a host's own alert says; undefined for any other. */
export function ownAlertOf({
  type,
  message,
}: Evidence): { alert: OwnAlert; facts: Record<string, string> } | undefined {
  for (const alert of ALERTS_OF_TYPE.get(type) ?? []) {
    const match = alert.pattern.exec(message);
    if (match !== null) return { alert, facts: { ...match.groups } };
  }
  return undefined;
}

/** The host that sent a test alert; undefined for any other. */
export const testedHostOf = ({ type, message }: Evidence): string | undefined =>
  type === "host" ? TEST_ALERT.exec(message)?.[1] : undefined;

const KILLED =
  /^the kernel killed (?<process>.{1,64}?) \(process (?<pid>\d{1,10})\)(?: of (?:container (?<container>[0-9a-f]{12})|(?<unit>[\w@\\:.-]{1,255})))? for lack of memory/;

/** Whom the kernel killed for lack of memory, as an agent tells it: it is of that one that people want to hear. */
export function victimOf({ type, message }: Evidence): { process: string; type: string; source: string } | undefined {
  const { process, container, unit } = (type === "host" ? KILLED.exec(message)?.groups : undefined) ?? {};
  if (process === undefined) return undefined;
  if (unit?.endsWith(".service")) return { process, type: "systemd", source: unit };
  if (container !== undefined) return { process, type: "docker", source: container };
  return { process, type: "host", source: unit ?? process };
}
