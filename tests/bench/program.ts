import { errorMessage } from "../../src/lib/errors.ts";

/**
 * Runs a bench that is a program of its own, and ends the process: with 2 and how it is used where `readOptions` finds nothing to
 * do, with 1 and the reason where it, or the run, throws. SIGINT and SIGTERM abort the run's signal.
 */
export async function runBench<Options>(
  usage: string,
  readOptions: () => Options | undefined,
  run: (options: Options, signal: AbortSignal) => Promise<void>,
): Promise<never> {
  const interruption = new AbortController();
  const interrupt = () => interruption.abort(new Error("interrupted"));
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, interrupt);
  try {
    const options = readOptions();
    if (options === undefined) {
      process.stderr.write(`${usage}\n`);
      process.exitCode = 2;
    } else await run(options, interruption.signal);
  } catch (error) {
    process.stderr.write(`${errorMessage(error)}\n`);
    process.exitCode = 1;
  }
  process.exit();
}
