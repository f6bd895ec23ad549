import { type Static, type TObject, type TSchema, type TString, Type } from "@sinclair/typebox";
import { ExitCode, StartupError } from "../lib/errors.ts";
import { LOG_LEVELS } from "../lib/log.ts";

/** A setting whose text matches the pattern; `expected` says in words what does. */
export const setting = (pattern: string, expected: string): TString => Type.String({ pattern, description: expected });
/** A setting of any text. */
export const text = (expected: string) => setting("", expected);
/** A setting that is one of these words. */
export const choice = (...words: string[]) => setting(`^(${words.join("|")})$`, words.join(" or "));
/** A setting that is a whole number with a unit of time. */
export const duration = (expected: string) => setting("^\\d{1,12}\\s?(ms|s|m|h|d)$", expected);
/** A setting that is a whole number with a unit of size. */
export const size = (expected: string) => setting("^\\d{1,12}\\s?(B|KiB|MiB|GiB)$", expected);

/** How a database's URL is written. */
export const DATABASE_URL_EXPECTED = "postgres://user:password@host:port/database";

/** Through which proxy the others are reached: the server's and the agent's. Their names may be written in small letters, too. */
export const RawProxySettings = {
  HTTPS_PROXY: setting("^https?://", "an http or https URL of a proxy"),
  HTTP_PROXY: setting("^https?://", "an http or https URL of a proxy"),
  NO_PROXY: text("hosts that are reached without a proxy, separated by commas"),
};

/** The settings of sign-in by OpenID Connect as text. */
export const RawOidcSettings = {
  OIDC_ISSUER: setting(
    "^https?://",
    "the provider's https URL (http on this machine alone), without password, query, fragment or /.well-known/…",
  ),
  OIDC_CLIENT_ID: setting("^[\\x20-\\x7e]{1,512}$", "1 to 512 printable characters"),
  OIDC_CLIENT_SECRET: setting("^[\\x21-\\x7e]{1,1024}$", "1 to 1024 printable characters without spaces"),
  OIDC_ROLES: text("groups with their roles, such as ops-admins:admin,sre:operator,*:viewer"),
  OIDC_GROUPS_CLAIM: setting("^[\\x21-\\x7e]{1,200}$", "a claim's name, such as groups or realm_access.roles"),
  OIDC_SCOPES: setting("^[\\x21-\\x7e]+( +[\\x21-\\x7e]+)*$", "scopes with spaces between, openid among them"),
  OIDC_NAME: setting("^[^\\x00-\\x1f\\x7f]{1,40}$", "what people call the provider, 1 to 40 characters"),
};

/**
 * Every setting as text, as it comes from the environment, a file or a flag. The description says what is expected: it is
 * what a person reads after a mistake.
 */
export const RawSettings = Type.Partial(
  Type.Object({
    PORT: setting("^\\d{1,5}$", "a port number, 0 to 65535"),
    HOST: text("an IP address or localhost"),
    DATABASE_URL: setting("^postgres(ql)?://", DATABASE_URL_EXPECTED),
    DATABASE_URL_DIRECT: setting("^postgres(ql)?://", DATABASE_URL_EXPECTED),
    OPSPILOT_DATA_DIR: text("a directory"),
    ACCESS: choice("open", "token"),
    ADMIN_TOKEN: setting("^[\\x21-\\x7e]{20,512}$", "20 to 512 printable characters without spaces"),
    AGENT_ENROLLMENT: choice("open", "closed"),
    MCP: choice("on", "off"),
    TRUSTED_PROXIES: text("addresses or ranges such as 10.0.0.0/8, separated by commas"),
    HEARTBEAT_TIMEOUT: duration("a duration such as 90s, from 1s to 1d"),
    INCIDENT_GROUP_WINDOW: duration("a duration such as 5m, from 1s to 30d"),
    INGEST_BUFFER: size("a size such as 64MiB, from 1MiB to 64GiB"),
    RETENTION: duration("a duration such as 30d, from 1h to 3650d"),
    AUTO_RESOLVE: setting("^(off|\\d{1,12}\\s?(ms|s|m|h|d))$", "off, or a duration such as 12h, from 1m to 30d"),
    PUBLIC_URL: setting("^https?://", "an http or https URL without password, query or fragment"),
    DOWNLOADS_DIR: text("a folder of executables"),
    TLS_CERT: text("the path of a PEM file"),
    TLS_KEY: text("the path of a PEM file"),
    OPENROUTER_KEY: setting("^[\\x21-\\x7e]{8,512}$", "8 to 512 printable characters without spaces"),
    OPENROUTER_BASE_URL: setting("^https?://", "an http or https URL without password, query or fragment"),
    AI_MODEL: setting("^[\\x21-\\x7e]{1,200}$", "a model's name"),
    AI_TIMEOUT: duration("a duration such as 20s, from 1s to 5m"),
    AI_AUTO: choice("on", "off"),
    AI_INVESTIGATE: choice("off", "request", "unknown", "all"),
    AI_DAILY_LIMIT: setting("^\\d{1,9}$", "a whole number of calls a day"),
    SLACK_WEBHOOK_URL: setting("^https?://", "the https URL of an incoming webhook"),
    SLACK_TOKEN: setting("^xox[a-zA-Z]-[\\x21-\\x7e]{4,500}$", "a bot token, which begins with xoxb-"),
    SLACK_CHANNEL: setting("^[^\\s,]{1,80}$", "one channel: its id such as C0123456789, or its name"),
    SLACK_APP_TOKEN: setting("^xapp-[\\x21-\\x7e]{4,500}$", "an app-level token, which begins with xapp-"),
    SLACK_SIGNING_SECRET: setting("^[\\x21-\\x7e]{8,512}$", "8 to 512 printable characters without spaces"),
    SLACK_ALLOWED_USERS: text("user ids such as U0123456789, separated by commas"),
    SLACK_API_URL: setting("^https?://", "an http or https URL without password, query or fragment"),
    WEBHOOK_URL: setting("^https?://", "an http or https URL without password or fragment"),
    WEBHOOK_SECRET: setting("^[\\x21-\\x7e]{16,512}$", "16 to 512 printable characters without spaces"),
    SLACK_ROUTE: text("what Slack is told, such as min=warning&hosts=web-*"),
    WEBHOOK_ROUTE: text("what the webhook is told, such as min=warning&hosts=web-*"),
    ESCALATE: text("durations with an outlet's name each, such as 15m:telegram,30m:pagerduty"),
    REMIND: setting("^(off|\\d{1,12}\\s?(ms|s|m|h|d))$", "off, or a duration such as 4h, from 1m to 30d"),
    DIGEST: text("a time of the day with its time zone, such as 08:00 Europe/Berlin or mon-fri 08:00 Europe/Berlin"),
    NOTIFY: text("URLs of outlets, such as ntfy://host/topic"),
    HEARTBEAT_URL: setting("^https?://", "an http or https URL without password or fragment"),
    AWS_ACCESS_KEY_ID: setting("^[\\x21-\\x7e]{3,128}$", "the id of an access key"),
    AWS_SECRET_ACCESS_KEY: setting("^[\\x21-\\x7e]{3,256}$", "a secret access key"),
    AWS_SESSION_TOKEN: text("a session token"),
    AWS_REGION: setting("^[a-z0-9-]{1,64}$", "a region such as eu-central-1"),
    AWS_ENDPOINT_URL: setting("^https?://", "an http or https URL without password, query or fragment"),
    OTEL_EXPORTER_OTLP_ENDPOINT: setting("^https?://", "an http or https URL without password, query or fragment"),
    OTEL_EXPORTER_OTLP_HEADERS: text("headers such as authorization=Bearer%20abc, separated by commas"),
    OTEL_TRACES_SAMPLER_ARG: setting("^\\d(\\.\\d{1,9})?$", "a share such as 0.1, from 0 to 1"),
    ...RawOidcSettings,
    ...RawProxySettings,
    LOG_LEVEL: choice(...LOG_LEVELS),
  }),
);
export type RawSettings = Static<typeof RawSettings>;
export type SettingName = keyof RawSettings;

const QUOTED_CHARS_MAX = 60;

/** The settings of one of the executable's programs: what they are called, and what is said of them. */
export interface SettingsKind<Name extends string> {
  readonly schema: TSchema;
  readonly names: readonly Name[];
  /** Whether the setting may also be given as the path of a file that holds it, NAME_FILE; its value is in no message. */
  isSecret(name: Name): boolean;
  /** What is wrong with a setting, for a person, without a secret. */
  complaint(name: Name, value: string): string;
}

/** `unquoted` are no secrets, but may hold a password where they should not: they are not quoted in messages either. */
export function describeSettings<Name extends string>(
  schema: TObject,
  { secrets, unquoted }: { secrets: readonly Name[]; unquoted: readonly Name[] },
): SettingsKind<Name> {
  return {
    schema,
    names: Object.keys(schema.properties) as Name[],
    isSecret: (name) => secrets.includes(name),
    complaint(name, value) {
      const expected = `expected ${schema.properties[name]?.description}`;
      if (secrets.includes(name) || unquoted.includes(name)) return expected;
      return `${expected}, not ${JSON.stringify(value.slice(0, QUOTED_CHARS_MAX))}`;
    },
  };
}

/** The server's. */
export const SERVER_SETTINGS = describeSettings<SettingName>(RawSettings, {
  secrets: [
    "ADMIN_TOKEN",
    "DATABASE_URL",
    "DATABASE_URL_DIRECT",
    "OPENROUTER_KEY",
    "SLACK_WEBHOOK_URL",
    "SLACK_TOKEN",
    "SLACK_APP_TOKEN",
    "SLACK_SIGNING_SECRET",
    "WEBHOOK_URL",
    "WEBHOOK_SECRET",
    "HEARTBEAT_URL",
    "NOTIFY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OIDC_CLIENT_SECRET",
  ],
  unquoted: [
    "AWS_ENDPOINT_URL",
    "PUBLIC_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OIDC_ISSUER",
    "OPENROUTER_BASE_URL",
    "SLACK_API_URL",
    "HTTPS_PROXY",
    "HTTP_PROXY",
  ],
});

/** One thing that is wrong with the settings. The message holds no secret. */
interface Mistake {
  readonly setting: string;
  readonly message: string;
}

/** The settings cannot be used. Lists every mistake, so that nobody has to start the server once for each. */
export class ConfigError extends StartupError {
  readonly mistakes: readonly Mistake[];

  constructor(mistakes: readonly Mistake[]) {
    const lines = mistakes.map(({ setting, message }) => `  ${setting}: ${message}`);
    super(`the settings cannot be used:\n${lines.join("\n")}`, ExitCode.config);
    this.mistakes = mistakes;
  }
}

/** Collects mistakes while settings are read. */
export class Mistakes {
  readonly found: Mistake[] = [];

  add(setting: string, message: string): undefined {
    this.found.push({ setting, message });
  }

  /** Whether the setting was given, but wrongly: then it is not missing. */
  concern(name: string): boolean {
    return this.found.some(({ setting }) => setting === name || setting === `${name}_FILE`);
  }

  /** Notes a setting that is needed and was not given at all. */
  need(name: string, value: string | undefined, why: string): void {
    if (value === undefined && !this.concern(name)) this.add(name, why);
  }

  throwIfAny(): void {
    if (this.found.length > 0) throw new ConfigError(this.found);
  }
}
