import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from "node:fs";
import { join, resolve } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { errorCode } from "../lib/errors.ts";
import { parseDurationMs, parseSizeBytes } from "../lib/units.ts";
import type { Surroundings } from "./environment.ts";
import { type Mistakes, type RawSettings, SERVER_SETTINGS, type SettingsKind } from "./settings.ts";

/** What the command line may say. A flag wins over the environment, that over the file. */
export interface Flags {
  readonly envFile?: string;
  readonly port?: string;
  readonly host?: string;
  readonly dataDir?: string;
}

const DEFAULT_ENV_FILE = ".env";

const SECRET_BYTES_MAX = 64 * 1024;

type Layer = Readonly<Record<string, string | undefined>>;

/** Every setting that is given, from all sources, each well-formed; what is not is left out and noted as a mistake. */
export function readSettings(flags: Flags, surroundings: Surroundings, mistakes: Mistakes): RawSettings {
  const given = { PORT: flags.port, HOST: flags.host, OPSPILOT_DATA_DIR: flags.dataDir };
  return readKind(SERVER_SETTINGS, { given, envFile: flags.envFile }, surroundings, mistakes);
}

/** The same for any kind of settings; `given` is what the command line says, `envFile` null where no file is asked. */
export function readKind<Name extends string>(
  kind: SettingsKind<Name>,
  { given, envFile }: { given: Layer; envFile: string | undefined | null },
  { cwd, uid, env }: Surroundings,
  mistakes: Mistakes,
): Partial<Record<Name, string>> {
  const path = resolve(cwd, envFile ?? DEFAULT_ENV_FILE);
  const file = envFile === null ? {} : readEnvFile(path, uid, envFile !== undefined, mistakes);
  const raw: Partial<Record<Name, string>> = {};
  for (const name of kind.names) {
    const value = readSetting(name, kind.isSecret(name), [given, env, file], cwd, mistakes);
    if (value !== undefined) raw[name] = value;
  }
  for (const { path } of [...Value.Errors(kind.schema, raw)]) {
    const name = path.slice(1) as Name;
    const value = raw[name];
    if (value !== undefined) mistakes.add(name, kind.complaint(name, value));
    delete raw[name];
  }
  return raw;
}

/** The first layer that has the setting, in either form, decides; an empty value counts as not there. */
function readSetting(
  name: string,
  isSecret: boolean,
  layers: readonly Layer[],
  cwd: string,
  mistakes: Mistakes,
): string | undefined {
  for (const layer of layers) {
    // By old custom the names of proxies are written in small letters, too.
    const value = (layer[name] || (name.endsWith("_PROXY") && layer[name.toLowerCase()]) || "").trim();
    const path = isSecret ? layer[`${name}_FILE`]?.trim() : undefined;
    if (value && path) mistakes.add(name, `give either ${name} or ${name}_FILE, not both`);
    if (value) return value;
    if (path) return readSecret(`${name}_FILE`, resolve(cwd, path), mistakes);
  }
  return undefined;
}

function readSecret(setting: string, path: string, mistakes: Mistakes): string | undefined {
  try {
    const text = readFileSync(path, "utf8");
    if (text.length > SECRET_BYTES_MAX) return mistakes.add(setting, `${path} is too large`);
    return text.trim() || mistakes.add(setting, `${path} is empty`);
  } catch (error) {
    return mistakes.add(setting, `${path} cannot be read (${errorCode(error)})`);
  }
}

/** A file of settings is a page; more is not one. */
const FILE_BYTES_MAX = 256 * 1024;

const WRITABLE_BY_OTHERS = 0o022;

const ASSIGNMENT = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$/;

/**
 * The settings of a `.env` file, or nothing when it is not there. It is refused where somebody else could have written it:
 * whoever may write these lines decides where the database is and who is an administrator.
 */
function readEnvFile(path: string, uid: number, mustExist: boolean, mistakes: Mistakes): Record<string, string> {
  const text = readOwnFile(path, uid, mustExist, mistakes);
  return text === undefined ? {} : parseEnvFile(text, path, mistakes);
}

function readOwnFile(path: string, uid: number, mustExist: boolean, mistakes: Mistakes): string | undefined {
  let file: number;
  try {
    // Not to hang on a pipe; what was opened is what is checked and read.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const code = errorCode(error);
    return code === "ENOENT" && !mustExist ? undefined : mistakes.add(path, `cannot be read (${code})`);
  }
  try {
    const complaint = objectionTo(fstatSync(file), uid);
    return complaint === undefined ? readFileSync(file, "utf8") : mistakes.add(path, complaint);
  } finally {
    closeSync(file);
  }
}

function objectionTo(file: Stats, uid: number): string | undefined {
  const { uid: owner, mode, size } = file;
  if (!file.isFile()) return "is refused: it is no regular file";
  if (owner !== 0 && owner !== uid) return "is refused: it belongs neither to you nor to root (chown it)";
  if ((mode & WRITABLE_BY_OTHERS) !== 0) return "is refused: others may write to it (chmod go-w)";
  return size > FILE_BYTES_MAX ? `is refused: it is larger than ${FILE_BYTES_MAX / 1024} KiB` : undefined;
}

/** NAME=value lines, with # comments, optional quotes, and an optional `export`. A line that is none is a mistake, shown by number alone. */
function parseEnvFile(text: string, path: string, mistakes: Mistakes): Record<string, string> {
  const settings: Record<string, string> = {};
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  for (const [at, raw] of lines.entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const [, name, rest] = ASSIGNMENT.exec(line) ?? [];
    const value = rest === undefined ? undefined : unquote(rest);
    if (name === undefined || value === undefined) mistakes.add(path, `line ${at + 1} is not NAME=value`);
    else settings[name] = value;
  }
  return settings;
}

/** The value as meant: quoted (with \n and \" in double quotes), or bare up to a comment. Undefined: the quote does not end. */
function unquote(text: string): string | undefined {
  if (text.startsWith("'")) return /^'([^']*)'\s*(#.*)?$/.exec(text)?.[1];
  if (!text.startsWith('"')) return text.replace(/(^|\s)#.*$/, "").trim();
  const quoted = /^"((?:[^"\\]|\\.)*)"\s*(#.*)?$/.exec(text)?.[1];
  return quoted?.replaceAll(/\\(.)/g, (_, character: string) => (character === "n" ? "\n" : character));
}

/** Reads one setting: parsed when it is given, else undefined; what cannot be parsed is noted as a mistake. */
export type ReadSetting<Name> = <T>(name: Name, parse: (text: string) => T | undefined) => T | undefined;

/** What reads settings of a kind. */
export function readerOf<Name extends string>(
  kind: SettingsKind<Name>,
  raw: Partial<Record<Name, string>>,
  mistakes: Mistakes,
): ReadSetting<Name> {
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

/** The parsers say in many ways that a text is none of theirs; which of them does not help. */
export function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}
