import { readSurroundings, type Surroundings } from "./environment.ts";
import { Mistakes, SERVER_SETTINGS, type SettingName } from "./settings.ts";
import { type Flags, readSettings } from "./sources.ts";

/** A setting for somebody else's eyes. */
export interface ShownSetting {
  readonly name: SettingName;
  /** Null: not set, the default holds. `[set]`: its value is nobody's business. */
  readonly value: string | null;
}

/** Settings, and what of them must not be shown. */
export interface ShownSettings {
  readonly settings: readonly ShownSetting[];
  /** Values of secrets, to be looked for wherever they might stand. */
  readonly secrets: readonly string[];
  /** What names machines, people and places: addresses and the like, as they are set. */
  readonly names: readonly string[];
}

/** They name nobody and open nothing. Whatever is not listed is not shown. */
const HARMLESS: readonly SettingName[] = [
  "PORT",
  "OPSPILOT_DATA_DIR",
  "DOWNLOADS_DIR",
  "ACCESS",
  "AGENT_ENROLLMENT",
  "MCP",
  "HEARTBEAT_TIMEOUT",
  "INCIDENT_GROUP_WINDOW",
  "INGEST_BUFFER",
  "RETENTION",
  "AUTO_RESOLVE",
  "REMIND",
  "DIGEST",
  "TLS_CERT",
  "TLS_KEY",
  "AI_MODEL",
  "AI_TIMEOUT",
  "AI_AUTO",
  "AI_INVESTIGATE",
  "AI_DAILY_LIMIT",
  "AWS_REGION",
  "OTEL_TRACES_SAMPLER_ARG",
  "LOG_LEVEL",
];
/** Names of settings in which machines are named. */
const ADDRESS = /(?:_URL|_URL_DIRECT|_PROXY|_ISSUER|_ENDPOINT)$|^(?:HOST|TRUSTED_PROXIES)$/;
/** A channel's or a person's id, which no other text has; a channel's name may be a word of every day. */
const SLACK_ID = /^[CGDUW][A-Z0-9]{8,}(?:,|$)/;
const HIDDEN = "[set]";

/** The settings as they are set, mistakes and all; a value that is a secret, or `withNames` is not asked for and names somebody, is hidden. */
export function showSettings(
  flags: Flags,
  { withNames }: { withNames: boolean },
  surroundings: Surroundings = readSurroundings(),
): ShownSettings {
  const raw = readSettings(flags, surroundings, new Mistakes());
  const given = SERVER_SETTINGS.names.flatMap((name) => (raw[name] === undefined ? [] : [{ name, value: raw[name] }]));
  const isHidden = (name: SettingName) => SERVER_SETTINGS.isSecret(name) || (!withNames && !HARMLESS.includes(name));
  return {
    settings: SERVER_SETTINGS.names.map((name) => {
      const value = raw[name] ?? null;
      return { name, value: value !== null && isHidden(name) ? HIDDEN : value };
    }),
    secrets: given.filter(({ name }) => SERVER_SETTINGS.isSecret(name)).map(({ value }) => value),
    names: given.filter(({ name, value }) => ADDRESS.test(name) || SLACK_ID.test(value)).map(({ value }) => value),
  };
}
