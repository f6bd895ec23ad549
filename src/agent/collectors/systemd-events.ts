import type { JournalEntry } from "./journal-entry.ts";

/** What systemd says of a unit. */
export type UnitEvent =
  /** A process of it ended otherwise than it should. */
  | { readonly kind: "exit"; readonly unit: string; readonly exitCode: number | undefined; readonly text: string }
  /** It is broken; `result` is systemd's word for why. */
  | { readonly kind: "failed"; readonly unit: string; readonly result: string; readonly invocation: string | undefined }
  /** It starts it no more (and says after that why it failed), is about to start it once more, and so on. */
  | { readonly kind: "gave up" | "restarting" | "stopping" | "stopped" | "started"; readonly unit: string };

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

/** What an entry of systemd's own (`_PID=1`) says of a unit; undefined for all others. */
export function unitEventOf(entry: JournalEntry): UnitEvent | undefined {
  const unit = entry.field("UNIT");
  if (unit === undefined || unit === "") return undefined;
  const { message } = entry;
  switch (entry.field("MESSAGE_ID")) {
    case MESSAGE.failure:
      return failed(unit, entry);
    case MESSAGE.exit:
      return exit(unit, entry);
    case MESSAGE.restarting:
      return { kind: "restarting", unit };
    case MESSAGE.started:
      return { kind: "started", unit };
    case MESSAGE.stopping:
      return { kind: "stopping", unit };
    case MESSAGE.stopped:
      return { kind: "stopped", unit };
  }
  if (/: Start request repeated too quickly\.$/i.test(message)) return { kind: "gave up", unit };
  // Before version 239 these two had no names yet.
  if (/^Unit \S+ entered failed state\.$/.test(message)) return failed(unit, entry);
  return entry.field("EXIT_CODE") !== undefined ? exit(unit, entry) : undefined;
}

function failed(unit: string, entry: JournalEntry): UnitEvent {
  const result = entry.field("UNIT_RESULT") ?? "failed";
  return { kind: "failed", unit, result, invocation: entry.field("INVOCATION_ID") };
}

function exit(unit: string, entry: JournalEntry): UnitEvent {
  const text = entry.message.startsWith(`${unit}: `) ? entry.message.slice(unit.length + 2) : entry.message;
  return { kind: "exit", unit, exitCode: exitCodeOf(entry.field("EXIT_CODE"), entry.field("EXIT_STATUS")), text };
}

/** As a shell would give it: 128 and the signal's number for a process that a signal ended. */
export function exitCodeOf(code: string | undefined, status: string | undefined): number | undefined {
  if (code === undefined || status === undefined) return undefined;
  const number = Number(status.trim() === "" ? Number.NaN : status);
  if (code === "exited") return Number.isInteger(number) ? number : undefined;
  const signal = Number.isInteger(number) ? number : SIGNALS[status.replace(/^SIG/, "")];
  return signal === undefined ? undefined : 128 + signal;
}
