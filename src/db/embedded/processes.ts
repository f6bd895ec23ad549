import { readdirSync, readFileSync } from "node:fs";
import { errorCode } from "../../lib/errors.ts";

const STATE_FIELD = 0;
const START_TIME_FIELD = 19;

/** When a process began, in clock ticks since the boot: with its id this names one process. Undefined when it is gone. */
export function processStartTime(pid: number): string | undefined {
  try {
    // The fields are counted after the name in brackets, which may hold anything.
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields[STATE_FIELD] === "Z" ? undefined : fields[START_TIME_FIELD];
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ESRCH") return undefined;
    throw error;
  }
}

/** The words a process was started with, as it shows them; none when it is gone. Everybody may read this of all processes. */
export function processArguments(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ESRCH") return [];
    throw error;
  }
}

/** Ids of the processes that were started with an argument that begins like this. */
export function processesWithArgument(prefix: string): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => processArguments(pid).some((argument) => argument.startsWith(prefix)));
}

/** Sends the signal; false when the process is gone. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) === "ESRCH") return false;
    throw error;
  }
}
