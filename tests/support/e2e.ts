import { readFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ExecutableOptions, startExecutable } from "./executable.ts";
import { until } from "./until.ts";

/** `nobody`, and its group, wherever Linux runs. */
const NOBODY = 65_534;

/** Whom the tests can run the executable as: root and another need root. The options are for startExecutable. */
export const USERS: readonly (readonly [name: string, user: { uid?: number; gid?: number }])[] =
  process.getuid?.() === 0
    ? [
        ["root", {}],
        ["an ordinary user", { uid: NOBODY, gid: NOBODY }],
      ]
    : [["an ordinary user", {}]];

/** An empty folder as `mkdir` makes it: PostgreSQL, which does not run as root, must be able to enter. */
export async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "opspilot-e2e-"));
  await chmod(folder, 0o755);
  return folder;
}

/** Removes the folder; a PostgreSQL that was left running there is ended first. */
export async function removeFolder(folder: string): Promise<void> {
  const pid = postmasterPid(folder);
  if (pid !== undefined) {
    process.kill(pid, "SIGQUIT");
    await until(() => !isAlive(pid), { ms: 10_000, what: `PostgreSQL ${pid} ends at once` });
  }
  await rm(folder, { recursive: true, force: true });
}

/** The process of the PostgreSQL that runs in the folder's `data/` now, if one does. */
export function postmasterPid(folder: string): number | undefined {
  const pid = Number(readIfThere(join(folder, "data/data/postmaster.pid")).split("\n")[0]);
  return pid > 0 && isAlive(pid) ? pid : undefined;
}

/** The same where one must run. */
export function runningPostmaster(folder: string): number {
  const pid = postmasterPid(folder);
  if (pid === undefined) throw new Error(`no PostgreSQL runs in ${folder}`);
  return pid;
}

/** Ends the process by SIGKILL, and waits until it is gone. */
export async function killAndWait(pid: number): Promise<void> {
  process.kill(pid, "SIGKILL");
  await until(() => !isAlive(pid), { what: `process ${pid} is gone` });
}

/** Whether the process runs; one that has ended, and that nobody has asked about yet (Z), does not. */
export function isAlive(pid: number): boolean {
  const [state = "Z"] = statOf(pid);
  return state !== "Z";
}

/** The session that the process belongs to: Ctrl-C at a terminal reaches one at most. */
export function sessionOf(pid: number): number {
  return Number(statOf(pid)[3]);
}

/** The fields of /proc/PID/stat after the name, which may hold anything; none when the process is gone. */
function statOf(pid: number): string[] {
  const text = readIfThere(`/proc/${pid}/stat`);
  return text === "" ? [] : text.slice(text.lastIndexOf(")") + 2).split(" ");
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

const COMMAND_LIMIT_MS = 60_000;

/** Runs a command of the executable to its end. */
export async function runExecutable(options: ExecutableOptions): Promise<{ status: number; lines: readonly string[] }> {
  const running = await startExecutable(options);
  const timer = setTimeout(() => process.kill(running.pid, "SIGKILL"), COMMAND_LIMIT_MS);
  const status = await running.exited;
  clearTimeout(timer);
  return { status, lines: running.lines };
}
