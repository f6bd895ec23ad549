import { join, resolve } from "node:path";
import { parseDurationMs, parseSizeBytes } from "../lib/units.ts";
import type { Surroundings } from "./environment.ts";
import type { Mistakes } from "./mistakes.ts";
import type { SettingsKind } from "./settings.ts";

/** What reads one setting: parsed when it is given, else undefined; what cannot be parsed is noted as a mistake. */
export function readerOf<Name extends string>(
  kind: SettingsKind<Name>,
  raw: Partial<Record<Name, string>>,
  mistakes: Mistakes,
): <T>(name: Name, parse: (text: string) => T | undefined) => T | undefined {
  return (name, parse) => {
    const text = raw[name];
    return text === undefined ? undefined : (parse(text) ?? mistakes.add(name, kind.complaint(name, text)));
  };
}

/** Parses a duration between these, in milliseconds. */
export const durationIn = (minMs: number, maxMs: number) => (text: string) =>
  within(parseDurationMs(text), minMs, maxMs);

/** Parses a size between these, in bytes. */
export const sizeIn = (min: number, max: number) => (text: string) => within(parseSizeBytes(text), min, max);

function within(value: number | undefined, min: number, max: number): number | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined;
}

/** OPSPILOT_DATA_DIR, or where this user's programs keep their data. */
export function dataDirOf(
  given: string | undefined,
  { cwd, uid, env, home }: Surroundings,
  mistakes: Mistakes,
): string {
  if (given !== undefined) return resolve(cwd, given);
  if (uid === 0) return "/var/lib/opspilot";
  if (env.XDG_DATA_HOME?.startsWith("/")) return join(env.XDG_DATA_HOME, "opspilot");
  if (home?.startsWith("/")) return join(home, ".local/share/opspilot");
  mistakes.add("OPSPILOT_DATA_DIR", "must be set: this user has no home directory");
  return "";
}
