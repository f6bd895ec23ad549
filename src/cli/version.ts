import { version } from "../../package.json" with { type: "json" };

/** Put in by the build; not there in a source checkout. */
declare const OPSPILOT_COMMIT: string | undefined;

/** OpsPilot's own version. */
export const VERSION: string = version;

/** What a report of a fault should name. */
export function versionFacts() {
  const commit = typeof OPSPILOT_COMMIT === "string" ? OPSPILOT_COMMIT : undefined;
  return { version, bun: Bun.version, platform: `${process.platform}-${process.arch}`, commit };
}

/** Prints the version; as JSON, with all of that. */
export function printVersion(asJson: boolean): number {
  const text = asJson ? JSON.stringify(versionFacts()) : version;
  process.stdout.write(`${text}\n`);
  return 0;
}
