import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { syncPath } from "../../lib/durable.ts";
import { ExitCode, StartupError } from "../../lib/errors.ts";
import type { RunProcess } from "../run-process.ts";

/** One thing that an installation does to the host. */
export type Step =
  | { kind: "file"; path: string; mode: number; text: string }
  | { kind: "executable"; path: string; from: string }
  | { kind: "remove"; path: string }
  | { kind: "run"; words: readonly string[]; why: string; mayFail?: boolean; onlyIfChanged?: boolean };

export interface StepsOptions {
  /** Before every path. */
  readonly root: string;
  /** Else what lies under `root` is another one, which programs would not change. */
  readonly isThisSystem: boolean;
  /** Only says what would be done. */
  readonly isDryRun: boolean;
  readonly run: RunProcess;
  /** A line for the person. */
  readonly tell: (line: string) => void;
}

const PROGRAM_LIMIT_MS = 90_000;
const PIECE_BYTES = 1024 * 1024;
/** Settings that hold a secret, or addresses with a password in them. */
const SECRET_LINE = /^(\w*(?:TOKEN|PROXY|CHECKS)=).*$/gim;

/** Does the steps in their order, and tells of each; what is as it should be already is left alone. Resolves with whether any changed something. */
export async function applySteps(steps: readonly Step[], options: StepsOptions): Promise<boolean> {
  let isChanged = false;
  for (const step of steps) {
    if (step.kind === "run") await runStep(step, isChanged, options);
    else if (await changeFile(step, options)) isChanged = true;
  }
  return isChanged;
}

async function runStep(step: Extract<Step, { kind: "run" }>, isChanged: boolean, options: StepsOptions): Promise<void> {
  const { run, tell, isDryRun, isThisSystem } = options;
  if (step.onlyIfChanged && !isChanged) return;
  const line = step.words.join(" ");
  if (isDryRun || !isThisSystem)
    return tell(`${isDryRun ? "would run" : "not run, since it is not this system"}: ${line}`);
  const { exitCode, stderr, ended } = await run(step.words, { limitMs: PROGRAM_LIMIT_MS });
  if (exitCode === 0) return tell(`ran ${line}`);
  const reason = ended === "time limit" ? "it did not end in time" : stderr.trim() || `exit status ${exitCode}`;
  if (!step.mayFail) throw new StartupError(`${step.why}: ${line}: ${reason}`, ExitCode.failure);
  tell(`${line}: ${reason}`);
}

async function changeFile(
  step: Exclude<Step, { kind: "run" }>,
  { root, isDryRun, tell }: StepsOptions,
): Promise<boolean> {
  const path = join(root, step.path);
  if (isAsWanted(step, path)) {
    if (step.kind !== "remove") tell(`unchanged: ${step.path}`);
    return false;
  }
  if (isDryRun) tell(describe(step));
  else await change(step, path);
  if (!isDryRun) tell(`${step.kind === "remove" ? "removed" : "wrote"} ${step.path}`);
  return true;
}

function isAsWanted(step: Exclude<Step, { kind: "run" }>, path: string): boolean {
  if (!existsSync(path)) return step.kind === "remove";
  switch (step.kind) {
    case "remove":
      return false;
    case "executable":
      return isSameFile(step.from, path);
    case "file":
      return (statSync(path).mode & 0o777) === step.mode && readFileSync(path, "utf8") === step.text;
  }
}

function isSameFile(from: string, path: string): boolean {
  const [one, other] = [statSync(from), statSync(path)];
  if (one.ino === other.ino && one.dev === other.dev) return true;
  return one.size === other.size && isSameContent(from, path);
}

/** Piece by piece: the executable is larger than all that the agent needs. */
function isSameContent(from: string, path: string): boolean {
  const files = [openSync(from, "r"), openSync(path, "r")] as const;
  const [one, other] = [Buffer.alloc(PIECE_BYTES), Buffer.alloc(PIECE_BYTES)];
  try {
    for (;;) {
      const bytes = readSync(files[0], one);
      if (bytes !== readSync(files[1], other) || !one.subarray(0, bytes).equals(other.subarray(0, bytes))) return false;
      if (bytes === 0) return true;
    }
  } finally {
    for (const file of files) closeSync(file);
  }
}

async function change(step: Exclude<Step, { kind: "run" }>, path: string): Promise<void> {
  if (step.kind === "remove") return rmSync(path, { recursive: true });
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  // Under another name first: whoever reads or runs the file has the old one or the new one, whole.
  const temporary = `${path}.opspilot-new`;
  rmSync(temporary, { force: true });
  if (step.kind === "file") writeFileSync(temporary, step.text, { mode: 0o600, flag: "wx" });
  else copyFileSync(step.from, temporary);
  chmodSync(temporary, step.kind === "file" ? step.mode : 0o755);
  await syncPath(temporary);
  renameSync(temporary, path);
  await syncPath(dirname(path));
}

function describe(step: Exclude<Step, { kind: "run" }>): string {
  switch (step.kind) {
    case "remove":
      return `would remove ${step.path}`;
    case "executable":
      return `would copy ${step.from} to ${step.path}, mode 755`;
    case "file": {
      const shown = step.text.replaceAll(SECRET_LINE, "$1********");
      const indented = shown.trimEnd().replaceAll(/^/gm, "  | ");
      return `would write ${step.path}, mode ${step.mode.toString(8)}:\n${indented}`;
    }
  }
}
