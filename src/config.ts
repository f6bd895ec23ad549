import { isIP } from "node:net";
import { type Access, decideAccess } from "./config/access.ts";
import { readSurroundings, type Surroundings } from "./config/environment.ts";
import { Mistakes } from "./config/mistakes.ts";
import { dataDirOf, durationIn, readerOf, sizeIn } from "./config/parse.ts";
import { type RawSettings, SERVER_SETTINGS, type SettingName } from "./config/settings.ts";
import { readSlack, type SlackSettings } from "./config/slack.ts";
import { type Flags, readSettings } from "./config/sources.ts";
import { readTls } from "./config/tls.ts";
import { readWebhook, type WebhookSettings } from "./config/webhook.ts";
import { isAddressOrRange } from "./lib/addresses.ts";
import type { LogLevel } from "./lib/log.ts";

/** All settings of the server, checked and frozen. Durations are milliseconds, sizes bytes. */
export interface Config {
  readonly listen: { readonly host: string; readonly port: number };
  /** File contents, PEM. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Null: the built-in PostgreSQL. `directUrl` is for sessions (LISTEN, locks) where `url` is a transaction pooler. */
  readonly database: { readonly url: string; readonly directUrl: string | null } | null;
  readonly dataDir: string;
  readonly access: Access;
  readonly enrollment: "open" | "closed";
  /** Addresses or CIDR ranges whose X-Forwarded-For counts. */
  readonly trustedProxies: readonly string[];
  /** Without a slash at its end. */
  readonly publicUrl: string | null;
  readonly heartbeatTimeoutMs: number;
  readonly incidentGroupWindowMs: number;
  readonly ingestBufferBytes: number;
  readonly retentionMs: number;
  /** Null: nothing is resolved by quiet. */
  readonly autoResolveMs: number | null;
  readonly ai: {
    readonly key: string | null;
    /** Without a slash at its end. */
    readonly baseUrl: string;
    readonly model: string;
    readonly timeoutMs: number;
    /** Whether a model is asked without being told to. */
    readonly auto: boolean;
    /** Calls a day (UTC), over all nodes. */
    readonly dailyLimit: number;
  };
  readonly slack: SlackSettings;
  /** Null: no events are sent. */
  readonly webhook: WebhookSettings | null;
  readonly logLevel: LogLevel;
}

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MIB = 2 ** 20;
const OPENROUTER_URL = "https://openrouter.ai/api/v1";

/** The settings from flags, environment and `.env`, in this order. Throws a ConfigError that lists every mistake. */
export function loadConfig(flags: Flags = {}, surroundings: Surroundings = readSurroundings()): Config {
  const mistakes = new Mistakes();
  const raw = readSettings(flags, surroundings, mistakes);
  const config = interpret(raw, surroundings, mistakes);
  mistakes.throwIfAny();
  return freeze(config);
}

function interpret(raw: RawSettings, surroundings: Surroundings, mistakes: Mistakes): Config {
  const read: Reader = readerOf(SERVER_SETTINGS, raw, mistakes);
  const host = read("HOST", hostOf) ?? "127.0.0.1";
  const publicUrl = read("PUBLIC_URL", publicUrlOf) ?? null;
  const access = decideAccess(raw, { host, publicUrl }, mistakes);
  return {
    listen: { host, port: read("PORT", portOf) ?? 8080 },
    tls: readTls(raw, surroundings.cwd, mistakes),
    database: databaseOf(raw, read, mistakes),
    dataDir: dataDirOf(raw.OPSPILOT_DATA_DIR, surroundings, mistakes),
    access,
    enrollment: (raw.AGENT_ENROLLMENT as Config["enrollment"]) ?? (access.mode === "open" ? "open" : "closed"),
    trustedProxies: read("TRUSTED_PROXIES", proxiesOf) ?? [],
    publicUrl,
    heartbeatTimeoutMs: read("HEARTBEAT_TIMEOUT", durationIn(SECOND_MS, DAY_MS)) ?? 90 * SECOND_MS,
    incidentGroupWindowMs: read("INCIDENT_GROUP_WINDOW", durationIn(SECOND_MS, 30 * DAY_MS)) ?? 300 * SECOND_MS,
    ingestBufferBytes: read("INGEST_BUFFER", sizeIn(MIB, 65_536 * MIB)) ?? 64 * MIB,
    retentionMs: read("RETENTION", durationIn(HOUR_MS, 3650 * DAY_MS)) ?? 30 * DAY_MS,
    autoResolveMs: autoResolveOf(raw, read),
    ai: {
      key: raw.OPENROUTER_KEY ?? null,
      baseUrl: read("OPENROUTER_BASE_URL", publicUrlOf) ?? OPENROUTER_URL,
      model: raw.AI_MODEL ?? "qwen/qwen-2.5-coder-32b-instruct",
      timeoutMs: read("AI_TIMEOUT", durationIn(SECOND_MS, 300 * SECOND_MS)) ?? 20 * SECOND_MS,
      auto: raw.AI_AUTO !== "off",
      dailyLimit: Number(raw.AI_DAILY_LIMIT ?? 1000),
    },
    slack: readSlack(raw, read, publicUrlOf),
    webhook: readWebhook(raw, mistakes),
    logLevel: (raw.LOG_LEVEL as LogLevel | undefined) ?? "info",
  };
}

type Reader = <T>(name: SettingName, parse: (text: string) => T | undefined) => T | undefined;

function portOf(text: string): number | undefined {
  return Number(text) <= 65535 ? Number(text) : undefined;
}

function hostOf(text: string): string | undefined {
  const host = text.replace(/^\[(.*)\]$/, "$1");
  return isIP(host) !== 0 || host === "localhost" ? host : undefined;
}

function publicUrlOf(text: string): string | undefined {
  const url = URL.parse(text);
  const excess = url && url.username + url.password + url.search + url.hash;
  return excess === "" ? url?.href.replace(/\/+$/, "") : undefined;
}

function databaseOf(raw: RawSettings, read: Reader, mistakes: Mistakes): Config["database"] {
  const url = read("DATABASE_URL", databaseUrlOf);
  const directUrl = read("DATABASE_URL_DIRECT", databaseUrlOf) ?? null;
  if (raw.DATABASE_URL_DIRECT !== undefined && raw.DATABASE_URL === undefined && !mistakes.concern("DATABASE_URL")) {
    mistakes.add("DATABASE_URL", "is needed by DATABASE_URL_DIRECT");
  }
  return url === undefined ? null : { url, directUrl };
}

/** All parts are named: nothing is taken from PG* variables or guessed. A socket's directory is named by `?host=`. */
function databaseUrlOf(text: string): string | undefined {
  const url = URL.parse(text.replace(/^([a-z]+:\/\/[^/?#]*@)(?=[/?:])/, "$1localhost"));
  const parts = [url?.hostname, url?.username, url?.password, url?.pathname.slice(1)];
  return parts.every(Boolean) ? text : undefined;
}

function autoResolveOf(raw: RawSettings, read: Reader): number | null {
  if (raw.AUTO_RESOLVE === undefined || raw.AUTO_RESOLVE === "off") return null;
  return read("AUTO_RESOLVE", durationIn(60 * SECOND_MS, 30 * DAY_MS)) ?? null;
}

function proxiesOf(text: string): string[] | undefined {
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== "");
  return entries.every(isAddressOrRange) ? entries : undefined;
}

function freeze(config: Config): Config {
  for (const value of Object.values(config)) if (typeof value === "object" && value !== null) Object.freeze(value);
  return Object.freeze(config);
}
