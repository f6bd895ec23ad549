import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { codeOf, readEnvFile } from "./env-file.ts";
import type { Surroundings } from "./environment.ts";
import type { Mistakes } from "./mistakes.ts";
import { complaint, isSecret, RawSettings, SETTING_NAMES, type SettingName } from "./settings.ts";

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
  const { cwd, uid, env } = surroundings;
  const path = resolve(cwd, flags.envFile ?? DEFAULT_ENV_FILE);
  const file = readEnvFile(path, { uid, mustExist: flags.envFile !== undefined }, mistakes);
  const given = { PORT: flags.port, HOST: flags.host, OPSPILOT_DATA_DIR: flags.dataDir };
  const raw: RawSettings = {};
  for (const name of SETTING_NAMES) {
    const value = readSetting(name, [given, env, file], cwd, mistakes);
    if (value !== undefined) raw[name] = value;
  }
  return checked(raw, mistakes);
}

/** The first layer that has the setting, in either form, decides; an empty value counts as not there. */
function readSetting(name: SettingName, layers: Layer[], cwd: string, mistakes: Mistakes): string | undefined {
  for (const layer of layers) {
    const value = layer[name]?.trim();
    const path = isSecret(name) ? layer[`${name}_FILE`]?.trim() : undefined;
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

function checked(raw: RawSettings, mistakes: Mistakes): RawSettings {
  for (const { path } of [...Value.Errors(RawSettings, raw)]) {
    const name = path.slice(1) as SettingName;
    const value = raw[name];
    if (value !== undefined) mistakes.add(name, complaint(name, value));
    delete raw[name];
  }
  return raw;
}
