import { type Static, type TString, Type } from "@sinclair/typebox";
import { LOG_LEVELS } from "../lib/log.ts";

const setting = (pattern: string, expected: string): TString => Type.String({ pattern, description: expected });
const text = (expected: string) => setting("", expected);
const choice = (...words: string[]) => setting(`^(${words.join("|")})$`, words.join(" or "));
const duration = (expected: string) => setting("^\\d{1,12}\\s?(ms|s|m|h|d)$", expected);

/**
 * Every setting as text, as it comes from the environment, a file or a flag. The description says what is expected: it is
 * what a person reads after a mistake.
 */
export const RawSettings = Type.Partial(
  Type.Object({
    PORT: setting("^\\d{1,5}$", "a port number, 0 to 65535"),
    HOST: text("an IP address or localhost"),
    DATABASE_URL: setting("^postgres(ql)?://", "postgres://user:password@host:port/database"),
    DATABASE_URL_DIRECT: setting("^postgres(ql)?://", "postgres://user:password@host:port/database"),
    OPSPILOT_DATA_DIR: text("a directory"),
    ACCESS: choice("open", "token"),
    ADMIN_TOKEN: setting("^[\\x21-\\x7e]{20,512}$", "20 to 512 printable characters without spaces"),
    AGENT_ENROLLMENT: choice("open", "closed"),
    TRUSTED_PROXIES: text("addresses or ranges such as 10.0.0.0/8, separated by commas"),
    HEARTBEAT_TIMEOUT: duration("a duration such as 90s, from 1s to 1d"),
    INCIDENT_GROUP_WINDOW: duration("a duration such as 5m, from 1s to 30d"),
    INGEST_BUFFER: setting("^\\d{1,12}\\s?(B|KiB|MiB|GiB)$", "a size such as 64MiB, from 1MiB to 64GiB"),
    RETENTION: duration("a duration such as 30d, from 1h to 3650d"),
    PUBLIC_URL: setting("^https?://", "an http or https URL without password, query or fragment"),
    TLS_CERT: text("the path of a PEM file"),
    TLS_KEY: text("the path of a PEM file"),
    OPENROUTER_KEY: setting("^[\\x21-\\x7e]{8,512}$", "8 to 512 printable characters without spaces"),
    OPENROUTER_BASE_URL: setting("^https?://", "an http or https URL without password, query or fragment"),
    AI_MODEL: setting("^[\\x21-\\x7e]{1,200}$", "a model's name"),
    AI_TIMEOUT: duration("a duration such as 20s, from 1s to 5m"),
    AI_AUTO: choice("on", "off"),
    AI_DAILY_LIMIT: setting("^\\d{1,9}$", "a whole number of calls a day"),
    LOG_LEVEL: choice(...LOG_LEVELS),
  }),
);
export type RawSettings = Static<typeof RawSettings>;
export type SettingName = keyof RawSettings;

/** The names of all settings. */
export const SETTING_NAMES = Object.keys(RawSettings.properties) as SettingName[];

const SECRET_NAMES: readonly SettingName[] = ["ADMIN_TOKEN", "DATABASE_URL", "DATABASE_URL_DIRECT", "OPENROUTER_KEY"];

/** May hold a password where it should not: not quoted in messages either. */
const UNQUOTED_NAMES: readonly SettingName[] = [...SECRET_NAMES, "PUBLIC_URL", "OPENROUTER_BASE_URL"];

const QUOTED_CHARS_MAX = 60;

/** Whether the setting may also be given as the path of a file that holds it, NAME_FILE; its value is in no message. */
export function isSecret(name: SettingName): boolean {
  return SECRET_NAMES.includes(name);
}

/** What is wrong with a setting, for a person, without a secret. */
export function complaint(name: SettingName, value: string): string {
  const expected = `expected ${RawSettings.properties[name].description}`;
  if (UNQUOTED_NAMES.includes(name)) return expected;
  return `${expected}, not ${JSON.stringify(value.slice(0, QUOTED_CHARS_MAX))}`;
}
