#!/usr/bin/env bun
import { isLongRunning, runCli } from "./cli/program.ts";
import { defaultToProduction, isExecutable, startWithBunSettings } from "./config/environment.ts";
import { ExitCode } from "./lib/errors.ts";

const words = process.argv.slice(2);
// Before a signal is listened for: one that came in between would be lost with the listener.
if (isExecutable() && isLongRunning(words)) startWithBunSettings(words);
defaultToProduction();

/** The first signal asks for an orderly end; a second one is from somebody who does not want to wait for it. */
const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (stopping.signal.aborted) process.exit(ExitCode.failure);
    stopping.abort();
  });
}

process.exit(await runCli(words, stopping.signal));
