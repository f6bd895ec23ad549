import { readFileSync } from "node:fs";
import { constants } from "node:os";

/** What whoever started us may send to the job. */
const PASSED_ON = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"] as const;
type PassedOn = (typeof PASSED_ON)[number];
/** A terminal sends these to all that runs in its foreground: the job has them already. */
const BY_TERMINAL: readonly string[] = ["SIGINT", "SIGQUIT"];
/** Ends by these leave no core dump: another process can end so, too. */
const WITHOUT_CORE: readonly string[] = ["SIGHUP", "SIGINT", "SIGKILL", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM"];

/** Those that are ignored, as `nohup` has it: they are to stay so for the job. */
export function ignoredSignals(): PassedOn[] {
  const mask = BigInt(`0x${/^SigIgn:\s*([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0"}`);
  return PASSED_ON.filter((name) => (mask & (1n << BigInt(constants.signals[name] - 1))) !== 0n);
}

/** Hears of signals from now on; those that are ignored stay so. */
export function onSignals(ignored: readonly string[], heard: (signal: PassedOn) => void): { stop(): void } {
  const handlers = PASSED_ON.filter((name) => !ignored.includes(name)).map((name) => {
    const handler = () => heard(name);
    process.on(name, handler);
    return () => process.off(name, handler);
  });
  return {
    stop: () => {
      for (const remove of handlers) remove();
    },
  };
}

/** Whether a signal that came to us came to the job as well. */
export function isAtJobAlready(signal: string): boolean {
  if (!BY_TERMINAL.includes(signal)) return false;
  const [, text = ""] = /\) (.*)/.exec(readFileSync("/proc/self/stat", "utf8")) ?? [];
  const [, , group, , , foreground] = text.split(" ");
  return group === foreground;
}

/** The exit status that a shell gives for an end by a signal. */
export function statusOfSignal(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/** Ends this process by the signal, where that is how its job has ended; returns where it cannot be. */
export async function endBySignal(signal: NodeJS.Signals): Promise<void> {
  if (!WITHOUT_CORE.includes(signal)) return;
  process.kill(process.pid, signal);
  await Bun.sleep(100);
}
