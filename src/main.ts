#!/usr/bin/env bun
import { runCli } from "./cli/program.ts";
import { defaultToProduction } from "./config/environment.ts";
import { ExitCode } from "./lib/errors.ts";

defaultToProduction();

/** The first signal asks for an orderly end; a second one is from somebody who does not want to wait for it. */
const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (stopping.signal.aborted) process.exit(ExitCode.failure);
    stopping.abort();
  });
}

process.exit(await runCli(process.argv.slice(2), stopping.signal));
