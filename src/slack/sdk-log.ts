import type { Logger, LogLevel } from "@slack/web-api";

/** The SDKs would log requests and answers, which are not for a log; what matters of a failure is in what they throw. */
export function createSilentSdkLog(): Logger {
  const silent = () => undefined;
  return {
    debug: silent,
    info: silent,
    warn: silent,
    error: silent,
    setLevel: silent,
    setName: silent,
    getLevel: () => "error" as LogLevel,
  };
}
