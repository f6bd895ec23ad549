#!/usr/bin/env bun
import { isMainThread } from "node:worker_threads";
import { isLongRunning, isStandIn, runCli } from "./cli/program.ts";
import { defaultToProduction, isExecutable, startWithBunSettings } from "./config/environment.ts";
import { ExitCode } from "./lib/errors.ts";

// An executable has one entry, for its threads, too: the server has one, which explains.
if (isMainThread) process.exit(await run(process.argv.slice(2)));
else (await import("./analysis/heuristics-thread.ts")).runHeuristicsThread();

async function run(words: readonly string[]): Promise<number> {
  // Before a signal is listened for: one that came in between would be lost with the listener.
  if (isExecutable() && isLongRunning(words)) startWithBunSettings(words);
  if (isStandIn(words)) return runCli(words, new AbortController().signal);
  defaultToProduction();
  return runCli(words, nextSignal());
}

/** The first signal asks for an orderly end; a second one is from somebody who does not want to wait for it. */
function nextSignal(): AbortSignal {
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (stopping.signal.aborted) process.exit(ExitCode.failure);
      stopping.abort();
    });
  }
  return stopping.signal;
}
