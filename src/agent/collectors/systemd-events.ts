import type { JournalEntry } from "./journal-entry.ts";

/** What systemd says of a unit. */
export type UnitEvent =
  /** A process of it ended otherwise than it should. */
  | (OfRun & { readonly kind: "exit"; readonly exitCode: number | undefined; readonly text: string })
  /** It is broken; `result` is systemd's word for why. */
  | (OfRun & { readonly kind: "failed"; readonly result: string })
  /** It starts it no more (and says after that why it failed), is about to start it once more, and so on. */
  | (OfRun & { readonly kind: "gave up" | "restarting" | "stopping" | "stopped" | "started" });

interface OfRun {
  readonly unit: string;
  /** systemd's name of the run. */
  readonly invocation: string | undefined;
}

/** The names of messages, from systemd's sd-messages.h: they are the same in every version and language. */
const MESSAGE = {
  exit: "98e322203f7a4ed290d09fe03c09fe15",
  failure: "d9b373ed55a64feb8242e02dbe79a49c",
  restarting: "5eb03494b6584870a536b337290809b3",
  started: "39f53479d3a045ac8e11786248231fbf",
  stopping: "de5b426a63be47a7b6ac3eaac82e2f6f",
  stopped: "9d1aaa27d60140bd96365438aad20286",
} as const;

/** Numbers of signals that `EXIT_STATUS` names by number already, for versions that write their names. */
const SIGNALS: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  ABRT: 6,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
  XCPU: 24,
  SYS: 31,
};

/**
 * Podman runs each health check as a unit that is named after the container's id, and that fails as often as the check does:
 * it is the container that is unhealthy then, and told of as such.
 */
const HEALTH_CHECK = /^[0-9a-f]{64}(?:-startup)?(?:-[0-9a-f]+)?\.(?:service|timer)$/;

/** False for a unit that only looks at what is told of elsewhere. */
export function isToldAsUnit(unit: string): boolean {
  return !HEALTH_CHECK.test(unit);
}

/** What an entry of systemd's own (`_PID=1`) says of a unit that is told of; undefined for all others. */
export function unitEventOf(entry: JournalEntry): UnitEvent | undefined {
  const unit = entry.field("UNIT");
  if (unit === undefined || unit === "" || !isToldAsUnit(unit)) return undefined;
  const run = { unit, invocation: entry.field("INVOCATION_ID") || undefined };
  const { message } = entry;
  switch (entry.field("MESSAGE_ID")) {
    case MESSAGE.failure:
      return failed(run, entry);
    case MESSAGE.exit:
      return exit(run, entry);
    case MESSAGE.restarting:
      return { ...run, kind: "restarting" };
    case MESSAGE.started:
      return { ...run, kind: "started" };
    case MESSAGE.stopping:
      return { ...run, kind: "stopping" };
    case MESSAGE.stopped:
      return { ...run, kind: "stopped" };
  }
  if (/: Start request repeated too quickly\.$/i.test(message)) return { ...run, kind: "gave up" };
  // Before version 239 these two had no names yet.
  if (/^Unit \S+ entered failed state\.$/.test(message)) return failed(run, entry);
  return entry.field("EXIT_CODE") !== undefined ? exit(run, entry) : undefined;
}

function failed(run: OfRun, entry: JournalEntry): UnitEvent {
  return { ...run, kind: "failed", result: entry.field("UNIT_RESULT") ?? "failed" };
}

function exit(run: OfRun, entry: JournalEntry): UnitEvent {
  const { message } = entry;
  const text = message.startsWith(`${run.unit}: `) ? message.slice(run.unit.length + 2) : message;
  return { ...run, kind: "exit", exitCode: exitCodeOf(entry.field("EXIT_CODE"), entry.field("EXIT_STATUS")), text };
}

/** As a shell would give it: 128 and the signal's number for a process that a signal ended. */
export function exitCodeOf(code: string | undefined, status: string | undefined): number | undefined {
  if (code === undefined || status === undefined) return undefined;
  const number = Number(status.trim() === "" ? Number.NaN : status);
  if (code === "exited") return Number.isInteger(number) ? number : undefined;
  const signal = Number.isInteger(number) ? number : SIGNALS[status.replace(/^SIG/, "")];
  return signal === undefined ? undefined : 128 + signal;
}
