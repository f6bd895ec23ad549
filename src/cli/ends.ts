import { whenAborted } from "../lib/clock.ts";
import { ExitCode } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";

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

/** Lets it run until somebody asks for the end (0) or something was not caught (1), and stops it in order. */
export async function runToEnd(
  what: string,
  running: { stop(): Promise<void> },
  { stop, surprise, log }: { stop: AbortSignal; surprise: Promise<Error>; log: Log },
): Promise<number> {
  const end = await Promise.race([whenAborted(stop), surprise]);
  if (end instanceof Error) log.fatal({ error: end }, `${what} cannot go on`);
  else log.info("stopping");
  await running.stop();
  return end instanceof Error ? ExitCode.failure : ExitCode.ok;
}
