import { version } from "../../package.json" with { type: "json" };

/** Put in by the build; not there in a source checkout. */
declare const OPSPILOT_COMMIT: string | undefined;

/** OpsPilot's own version. */
export const VERSION: string = version;

/** Prints the version; as JSON, with what a report of a fault should name. */
export function printVersion(asJson: boolean): number {
  const commit = typeof OPSPILOT_COMMIT === "string" ? OPSPILOT_COMMIT : undefined;
  const platform = `${process.platform}-${process.arch}`;
  const text = asJson ? JSON.stringify({ version, bun: Bun.version, platform, commit }) : version;
  process.stdout.write(`${text}\n`);
  return 0;
}
