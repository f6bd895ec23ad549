import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { codeOf, readEnvFile } from "./env-file.ts";
import type { Surroundings } from "./environment.ts";
import type { Mistakes } from "./mistakes.ts";
import { type RawSettings, SERVER_SETTINGS, type SettingsKind } from "./settings.ts";

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

/** The same for any kind of settings; `given` is what the command line says. */
export function readKind<Name extends string>(
  kind: SettingsKind<Name>,
  { given, envFile }: { given: Layer; envFile: string | undefined },
  { cwd, uid, env }: Surroundings,
  mistakes: Mistakes,
): Partial<Record<Name, string>> {
  const path = resolve(cwd, envFile ?? DEFAULT_ENV_FILE);
  const file = readEnvFile(path, { uid, mustExist: envFile !== undefined }, mistakes);
  const raw: Partial<Record<Name, string>> = {};
  for (const name of kind.names) {
    const value = readSetting(name, kind.isSecret(name), [given, env, file], cwd, mistakes);
    if (value !== undefined) raw[name] = value;
  }
  return checked(kind, raw, mistakes);
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
    const value = layer[name]?.trim();
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
    return mistakes.add(setting, `${path} cannot be read (${codeOf(error)})`);
  }
}

function checked<Name extends string>(
  kind: SettingsKind<Name>,
  raw: Partial<Record<Name, string>>,
  mistakes: Mistakes,
): Partial<Record<Name, string>> {
  for (const { path } of [...Value.Errors(kind.schema, raw)]) {
    const name = path.slice(1) as Name;
    const value = raw[name];
    if (value !== undefined) mistakes.add(name, kind.complaint(name, value));
    delete raw[name];
  }
  return raw;
}
