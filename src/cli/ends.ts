import type { Log } from "../lib/log.ts";

/** Resolves when somebody asks for the end. */
export function stopped(stop: AbortSignal): Promise<"stopped"> {
  return new Promise((resolve) => {
    if (stop.aborted) resolve("stopped");
    else stop.addEventListener("abort", () => resolve("stopped"), { once: true });
  });
}

/** Resolves with what nobody caught. The state of the process is then unknown: it ends in order, and is started again by its supervisor. */
export function nextSurprise(log: Log): Promise<Error> {
  return new Promise((resolve) => {
    const surprised = (reason: unknown) => {
      log.error({ error: reason }, "an error was not caught");
      resolve(reason instanceof Error ? reason : new Error(String(reason)));
    };
    process.on("uncaughtException", surprised);
    process.on("unhandledRejection", surprised);
  });
}
