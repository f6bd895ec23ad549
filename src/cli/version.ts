import { version } from "../../package.json" with { type: "json" };
import type { Platform } from "../protocol/platforms.ts";

/** Put in by the build; not there in a source checkout. */
declare const OPSPILOT_COMMIT: string | undefined;
declare const OPSPILOT_PLATFORM: Platform | undefined;

/** OpsPilot's own version. */
export const VERSION: string = version;

/** What this executable was built for; undefined in a source checkout. */
export const PLATFORM: Platform | undefined = typeof OPSPILOT_PLATFORM === "string" ? OPSPILOT_PLATFORM : undefined;

/** What a report of a fault should name. */
export function versionFacts() {
  const commit = typeof OPSPILOT_COMMIT === "string" ? OPSPILOT_COMMIT : undefined;
  return { version, bun: Bun.version, platform: PLATFORM ?? `${process.platform}-${process.arch}`, commit };
}

/** Prints the version; as JSON, with all of that. */
export function printVersion(asJson: boolean): number {
  const text = asJson ? JSON.stringify(versionFacts()) : version;
  process.stdout.write(`${text}\n`);
  return 0;
}
