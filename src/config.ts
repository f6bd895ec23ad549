import { isIP } from "node:net";
import { resolve } from "node:path";
import { DatabaseUrlError, parseDatabaseUrl } from "./config/database-url.ts";
import { readSurroundings, type Surroundings } from "./config/environment.ts";
import { type NotifyEntry, readNotify } from "./config/notify.ts";
import { readOidc } from "./config/oidc.ts";
import { readProxies } from "./config/proxy.ts";
import { readRoutes } from "./config/routes.ts";
import {
  DATABASE_URL_EXPECTED,
  Mistakes,
  type RawSettings,
  SERVER_SETTINGS,
  type SettingName,
} from "./config/settings.ts";
import {
  dataDirOf,
  durationIn,
  type Flags,
  type ReadSetting,
  readerOf,
  readSettings,
  sizeIn,
} from "./config/sources.ts";
import { readTls } from "./config/tls.ts";
import { readTraces } from "./config/traces.ts";
import { isAddressOrRange, isLoopbackHost, isMetadataHost } from "./lib/addresses.ts";
import type { LogLevel } from "./lib/log.ts";

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
  refuseMetadata(raw, mistakes);
  mistakes.throwIfAny();
  return freeze(config);
}

function interpret(raw: RawSettings, surroundings: Surroundings, mistakes: Mistakes) {
  const read: Reader = readerOf(SERVER_SETTINGS, raw, mistakes);
  const host = read("HOST", hostOf) ?? "127.0.0.1";
  const publicUrl = read("PUBLIC_URL", publicUrlOf) ?? null;
  const access = decideAccess(raw, { host, publicUrl }, mistakes);
  const slack = readSlack(raw, read);
  const webhook = readWebhook(raw, read, mistakes);
  const notify = notifyOf(raw, mistakes);
  return {
    listen: { host, port: read("PORT", portOf) ?? 8080 },
    tls: readTls(raw, surroundings.cwd, mistakes),
    /** Null: the built-in PostgreSQL. `directUrl` is for sessions (LISTEN, locks) where `url` is a transaction pooler. */
    database: databaseOf(raw, mistakes),
    dataDir: dataDirOf(raw.OPSPILOT_DATA_DIR, surroundings, mistakes),
    access,
    /** Null: people sign in with tokens alone. */
    oidc: readOidc(raw, publicUrl, mistakes),
    enrollment: (raw.AGENT_ENROLLMENT ?? (access.mode === "open" ? "open" : "closed")) as "open" | "closed",
    /** Whether models' programs may come in by the Model Context Protocol. */
    mcp: raw.MCP === "on",
    /** Addresses or CIDR ranges whose X-Forwarded-For counts. */
    trustedProxies: read("TRUSTED_PROXIES", proxiesOf) ?? [],
    /** Without a slash at its end. */
    publicUrl,
    /** Executables for other platforms, which hosts are given; null for none. */
    downloadsDir: raw.DOWNLOADS_DIR === undefined ? null : resolve(surroundings.cwd, raw.DOWNLOADS_DIR),
    heartbeatTimeoutMs: read("HEARTBEAT_TIMEOUT", durationIn(SECOND_MS, DAY_MS)) ?? 90 * SECOND_MS,
    incidentGroupWindowMs: read("INCIDENT_GROUP_WINDOW", durationIn(SECOND_MS, 30 * DAY_MS)) ?? 300 * SECOND_MS,
    ingestBufferBytes: read("INGEST_BUFFER", sizeIn(MIB, 65_536 * MIB)) ?? 64 * MIB,
    retentionMs: read("RETENTION", durationIn(HOUR_MS, 3650 * DAY_MS)) ?? 30 * DAY_MS,
    /** Null: nothing is resolved by quiet. */
    autoResolveMs: autoResolveOf(raw, read),
    ai: {
      key: raw.OPENROUTER_KEY ?? null,
      /** Without a slash at its end. */
      baseUrl: read("OPENROUTER_BASE_URL", publicUrlOf) ?? OPENROUTER_URL,
      model: raw.AI_MODEL ?? "qwen/qwen-2.5-coder-32b-instruct",
      timeoutMs: read("AI_TIMEOUT", durationIn(SECOND_MS, 300 * SECOND_MS)) ?? 20 * SECOND_MS,
      /** Whether a model is asked without being told to. */
      auto: raw.AI_AUTO !== "off",
      /** When a model looks for itself. */
      investigate: (raw.AI_INVESTIGATE ?? "request") as "off" | "request" | "unknown" | "all",
      /** Calls a day (UTC), over all nodes. */
      dailyLimit: Number(raw.AI_DAILY_LIMIT ?? 1000),
    },
    slack,
    /** Null: no events are sent. */
    webhook,
    /** Outlets beside Slack and the webhook, and what each takes. */
    notify,
    /** Who is told what, and when again. */
    routes: readRoutes(raw, read, [...outletsOf(raw), ...notify.map(({ url }) => url.name)], mistakes),
    /** How backups reach S3; null for what is not set. */
    s3: {
      accessKeyId: raw.AWS_ACCESS_KEY_ID ?? null,
      secretAccessKey: raw.AWS_SECRET_ACCESS_KEY ?? null,
      sessionToken: raw.AWS_SESSION_TOKEN ?? null,
      region: raw.AWS_REGION ?? null,
      /** Null: Amazon's own. */
      endpoint: read("AWS_ENDPOINT_URL", publicUrlOf) ?? null,
    },
    /** Null: the way of alerts is not traced. */
    traces: readTraces(raw, read, publicUrlOf, mistakes),
    /** By which whatever goes out goes out. */
    proxies: readProxies(raw, mistakes),
    logLevel: (raw.LOG_LEVEL as LogLevel | undefined) ?? "info",
  };
}

/** All settings of the server, checked and frozen. Durations are milliseconds, sizes bytes. */
export type Config = Readonly<ReturnType<typeof interpret>>;

type Reader = ReadSetting<SettingName>;

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

function databaseOf(raw: RawSettings, mistakes: Mistakes) {
  const url = databaseUrlOf(raw, "DATABASE_URL", mistakes);
  const directUrl = databaseUrlOf(raw, "DATABASE_URL_DIRECT", mistakes) ?? null;
  if (raw.DATABASE_URL_DIRECT) mistakes.need("DATABASE_URL", raw.DATABASE_URL, "is needed by DATABASE_URL_DIRECT");
  return url === undefined ? null : { url, directUrl };
}

/** The text as it is, once it is known to be one. */
function databaseUrlOf(raw: RawSettings, name: "DATABASE_URL" | "DATABASE_URL_DIRECT", mistakes: Mistakes) {
  const text = raw[name];
  if (text === undefined) return undefined;
  try {
    parseDatabaseUrl(text);
    return text;
  } catch (error) {
    if (!(error instanceof DatabaseUrlError)) throw error;
    return mistakes.add(name, `${error.message}; expected ${DATABASE_URL_EXPECTED}`);
  }
}

function autoResolveOf(raw: RawSettings, read: Reader): number | null {
  if (raw.AUTO_RESOLVE === undefined || raw.AUTO_RESOLVE === "off") return null;
  return read("AUTO_RESOLVE", durationIn(60 * SECOND_MS, 30 * DAY_MS)) ?? null;
}

function proxiesOf(text: string): readonly string[] | undefined {
  const entries = text.match(/[^\s,]+/g) ?? [];
  return entries.every(isAddressOrRange) ? entries : undefined;
}

function freeze(config: Config): Config {
  for (const value of Object.values(config)) if (typeof value === "object" && value !== null) Object.freeze(value);
  return Object.freeze(config);
}

/** Who may use the API. */
export interface Access {
  readonly mode: "open" | "token";
  /** ACCESS was set by the operator: then PUBLIC_URL's host may be named, and proxies may stand in front. */
  readonly explicit: boolean;
  readonly adminToken: string | null;
}

const OPEN_TO_THE_NETWORK =
  "must be set: the server would be open to the network without a credential. Set ADMIN_TOKEN (or ADMIN_TOKEN_FILE) to 20 " +
  "characters or more, for example the output of `openssl rand -hex 24`; or HOST=127.0.0.1; or, where the network itself " +
  "is closed, ACCESS=open";

/**
 * One rule, in this order: ACCESS if set; else token when there is an ADMIN_TOKEN; else open when only this machine can
 * reach the server; else there is no safe answer, and the start is refused.
 */
function decideAccess(raw: RawSettings, reach: { host: string; publicUrl: string | null }, mistakes: Mistakes): Access {
  const adminToken = raw.ADMIN_TOKEN ?? null;
  const hasToken = adminToken !== null || mistakes.concern("ADMIN_TOKEN");
  if (raw.ACCESS === "open") return { mode: "open", explicit: true, adminToken: null };
  if (raw.ACCESS === "token") {
    if (!hasToken) mistakes.add("ADMIN_TOKEN", "is needed by ACCESS=token: 20 characters or more");
    return { mode: "token", explicit: true, adminToken };
  }
  if (hasToken) return { mode: "token", explicit: false, adminToken };
  if (!isOnlyThisMachine(reach)) mistakes.add("ADMIN_TOKEN", OPEN_TO_THE_NETWORK);
  return { mode: "open", explicit: false, adminToken: null };
}

function isOnlyThisMachine({ host, publicUrl }: { host: string; publicUrl: string | null }): boolean {
  return isLoopbackHost(host) && (publicUrl === null || isLoopbackHost(new URL(publicUrl).hostname));
}

/** Where events are sent, and what signs them. A receiver that cannot tell who sends is of no use: the secret is needed. */
function readWebhook(raw: RawSettings, read: Reader, mistakes: Mistakes) {
  const { WEBHOOK_URL, WEBHOOK_SECRET: secret } = raw;
  const url = read("WEBHOOK_URL", webhookOf);
  if (secret !== undefined) mistakes.need("WEBHOOK_URL", WEBHOOK_URL, "is needed by WEBHOOK_SECRET");
  const why = "is needed by WEBHOOK_URL: 16 characters or more, such as the output of `openssl rand -hex 24`";
  if (WEBHOOK_URL !== undefined) mistakes.need("WEBHOOK_SECRET", secret, why);
  return url === undefined || secret === undefined ? null : { url, secret };
}

/** Where something is sent to. */
const OUTGOING = [
  "AWS_ENDPOINT_URL",
  "HEARTBEAT_URL",
  "OIDC_ISSUER",
  "OPENROUTER_BASE_URL",
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "SLACK_API_URL",
  "SLACK_WEBHOOK_URL",
  "WEBHOOK_URL",
] as const;

/** Nothing that is set up here lives there; what was sent would go to whoever answers for the machine's credentials. */
function refuseMetadata(raw: RawSettings, mistakes: Mistakes): void {
  for (const name of OUTGOING) {
    if (mistakes.concern(name) || !isMetadataHost(URL.parse(raw[name] ?? "")?.hostname ?? "")) continue;
    mistakes.add(name, "is a link-local address, where clouds keep the credentials of their machines");
  }
}

/** A query may hold the receiver's own key; a password in the URL is not sent by fetch. */
function webhookOf(text: string): string | undefined {
  const url = URL.parse(text);
  return url && url.username + url.password + url.hash === "" ? url.href : undefined;
}

/** How Slack is reached; null for what is not set. Which way follows from it is found out in one place, slack/transport.ts. */
function readSlack(raw: RawSettings, read: Reader) {
  return {
    webhookUrl: read("SLACK_WEBHOOK_URL", webhookOf) ?? null,
    token: raw.SLACK_TOKEN ?? null,
    channel: raw.SLACK_CHANNEL ?? null,
    appToken: raw.SLACK_APP_TOKEN ?? null,
    signingSecret: raw.SLACK_SIGNING_SECRET ?? null,
    /** Ids of those who may press; empty: every full member of the workspace. */
    allowedUsers: read("SLACK_ALLOWED_USERS", usersOf) ?? [],
    /** Without a slash at its end; null: Slack's own. */
    apiUrl: read("SLACK_API_URL", publicUrlOf) ?? null,
  };
}

function notifyOf(raw: RawSettings, mistakes: Mistakes): readonly NotifyEntry[] {
  if (raw.NOTIFY === undefined) return [];
  const { entries, mistakes: found } = readNotify(raw.NOTIFY, outletsOf(raw));
  for (const one of found) mistakes.add("NOTIFY", one);
  return entries;
}

/** The outlets that other settings than NOTIFY set up, by name; where one is set up wrongly, that is the mistake. */
function outletsOf({ SLACK_WEBHOOK_URL, SLACK_TOKEN, SLACK_CHANNEL, WEBHOOK_URL }: RawSettings): string[] {
  const hasSlack = SLACK_WEBHOOK_URL !== undefined || (SLACK_TOKEN !== undefined && SLACK_CHANNEL !== undefined);
  return [...(hasSlack ? ["slack"] : []), ...(WEBHOOK_URL === undefined ? [] : ["webhook"])];
}

export type SlackSettings = Readonly<ReturnType<typeof readSlack>>;

/** A name instead of an id would let nobody in, or, if names were looked up, whoever takes that name. */
function usersOf(text: string): readonly string[] | undefined {
  const ids = text.match(/[^\s,]+/g) ?? [];
  return ids.length > 0 && ids.every((id) => /^[UW][A-Z0-9]{2,30}$/.test(id)) ? ids : undefined;
}
