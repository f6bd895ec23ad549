import type { Severity } from "../../protocol/frames.ts";

/** Something that a line of the kernel's log means. */
export interface KernelTrouble {
  /** The device, or what the trouble is called. */
  readonly source: string;
  readonly what: string;
  readonly severity: Severity;
  /** Whether it is over with the moment, so that it counts as resolved when it does not come again; else somebody must see to it. */
  readonly isMomentary: boolean;
}

interface Rule {
  readonly pattern: RegExp;
  readonly severity?: Severity;
  /** Used where the line names no device. */
  readonly source?: string;
}

/** The line of the kernel's that names the victim comes after the one that names its control group. */
const KILLED = /(?:Killed process|Kill process) (\d{1,10}),? (?:UID \d{1,10},? ?)?\((.{1,64}?)\)/;
const OOM_TASK = /^oom-kill:.{0,400}task_memcg=([^,]{1,255}),task=/;

/** All of the group is killed for the one victim that was told: the kernel names it a second time, and then each of the others. */
const GROUP_KILL = /^Tasks in .{1,400} are going to be killed due to memory\.oom\.group set/;

/** In order: the first that matches counts. All are bounded; a kernel's line is at most about a thousand characters. */
const RULES: readonly Rule[] = [
  {
    pattern:
      /^(?:EXT[234]-fs|F2FS-fs|XFS|BTRFS|JFS|FAT-fs|NTFS|bcachefs|jbd2?|JBD2)\b.{0,200}(?:error(?!s=)|corrupt|shut ?down|shutting down|Internal error|I\/O error|abort)/i,
  },
  { pattern: /Remounting filesystem read-only|forced readonly|Aborting journal on device/i },
  { pattern: /Buffer I\/O error on dev|lost (?:async|sync) page write/i },
  {
    pattern:
      /(?:critical (?:medium|target|space allocation) error|I\/O error|blk_update_request: .{0,40}error|end_request: .{0,40}error),? dev /i,
  },
  {
    pattern:
      /^(?:md|md\/raid\S*|raid\S*): ?.{0,80}(?:Disk failure|Operation continuing on \d+ devices|not enough operational)/i,
  },
  { pattern: /^nvme\d?.{0,60}(?:timeout|controller is down|Removing after probe failure|I\/O .{0,30}error)/i },
  { pattern: /^ata\d+(?:\.\d+)?: (?:failed command|error: \{|SError: \{|exception Emask)/, severity: "warning" },
  { pattern: /^sd \S+ \[(\w+)\] .{0,80}(?:Medium Error|Hardware Error|Unrecovered read error)/i },
  { pattern: /^INFO: task .{1,80} blocked for more than \d+ seconds/, severity: "warning", source: "kernel" },
  { pattern: /soft lockup|hard LOCKUP|rcu_(?:sched|preempt) (?:self-)?detected stall/i, source: "kernel" },
  { pattern: /^(?:BUG: |Oops: |kernel BUG at|general protection fault|Kernel panic)/, source: "kernel" },
  { pattern: /\[Hardware Error\]|^mce: |^EDAC \S+ .{0,60}\d+ UE /i, source: "hardware" },
];

const DEVICE =
  /\b(?:dev(?:ice)? |\(device |on dev )([a-z][\w!-]{1,31})|^[\w-]{1,16} \(([\w-]{2,32})\)|^(?:nvme )?(nvme\d+(?:n\d+)?)|^(ata\d+)|^(?:md\/raid\w*:)?(md\d+)|\[(sd[a-z]{1,3})\]/;
/** A file system's journal is named after its device. */
const JOURNAL_DEVICE = /^Aborting journal on device ([\w!-]{2,32})-\d{1,3}\./;
const LINE_CHARS_MAX = 400;

/** Takes the kernel's lines in their order, and tells what is wrong. */
export function createKernelReader() {
  let group = "";
  let isGroupKill = false;

  function killed(line: string): KernelTrouble | undefined {
    const [, pid, name] = KILLED.exec(line) ?? [];
    if (pid === undefined || name === undefined || isGroupKill) return undefined;
    const unit = unitOf(group);
    group = "";
    const owner = unit === "" ? "" : ` of ${unit}`;
    const what = `the kernel killed ${name} (process ${pid})${owner} for lack of memory: ${line.slice(0, LINE_CHARS_MAX)}`;
    return { source: "oom-killer", what, severity: "critical", isMomentary: true };
  }

  return {
    take(line: string): KernelTrouble | undefined {
      const [, memoryGroup] = OOM_TASK.exec(line) ?? [];
      if (memoryGroup !== undefined) group = memoryGroup;
      if (line.includes("invoked oom-killer")) isGroupKill = false;
      isGroupKill ||= GROUP_KILL.test(line);
      const kill = killed(line);
      if (kill) return kill;
      const rule = RULES.find(({ pattern }) => pattern.test(line));
      if (!rule) return undefined;
      const names = JOURNAL_DEVICE.exec(line) ?? DEVICE.exec(line);
      const device = names?.slice(1).find((one) => one !== undefined);
      const source = device ?? rule.source ?? "storage";
      return { source, what: line.slice(0, LINE_CHARS_MAX), severity: rule.severity ?? "critical", isMomentary: false };
    },
  };
}

/** The unit, or the container's short id, that a control group belongs to; empty when neither. */
function unitOf(group: string): string {
  const container = /(?:docker[-/]|libpod-|cri-containerd-)([0-9a-f]{12})[0-9a-f]*/.exec(group)?.[1];
  if (container !== undefined) return `container ${container}`;
  const unit = group.split("/").findLast((part) => /\.(service|scope)$/.test(part));
  return unit ?? "";
}
