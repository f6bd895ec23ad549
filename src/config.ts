import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { resolve } from "node:path";
import { readSurroundings, type Surroundings } from "./config/environment.ts";
import { Mistakes, type RawSettings, SERVER_SETTINGS, type SettingName } from "./config/settings.ts";
import { codeOf, dataDirOf, durationIn, type Flags, readerOf, readSettings, sizeIn } from "./config/sources.ts";
import { isAddressOrRange, isLoopbackHost } from "./lib/addresses.ts";
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

/** The contents of TLS_CERT and TLS_KEY, which go together; null when neither is set. */
function readTls(raw: RawSettings, cwd: string, mistakes: Mistakes): { cert: string; key: string } | null {
  const { TLS_CERT, TLS_KEY } = raw;
  if (TLS_CERT === undefined && TLS_KEY === undefined) return null;
  if (TLS_CERT === undefined) mistakes.add("TLS_CERT", "is needed by TLS_KEY");
  if (TLS_KEY === undefined) mistakes.add("TLS_KEY", "is needed by TLS_CERT");
  const cert = TLS_CERT && readPem("TLS_CERT", resolve(cwd, TLS_CERT), mistakes);
  const key = TLS_KEY && readPem("TLS_KEY", resolve(cwd, TLS_KEY), mistakes);
  if (!cert || !key) return null;
  const flaw = flawOf(cert, key);
  if (flaw !== undefined) mistakes.add(flaw.setting, flaw.message);
  return { cert, key };
}

function readPem(setting: string, path: string, mistakes: Mistakes): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    return mistakes.add(setting, `${path} cannot be read (${codeOf(error)})`);
  }
}

function flawOf(cert: string, key: string): { setting: string; message: string } | undefined {
  const certificate = parsed(() => new X509Certificate(cert));
  if (!certificate) return { setting: "TLS_CERT", message: "the file holds no certificate in PEM form" };
  const privateKey = parsed(() => createPrivateKey(key));
  if (!privateKey)
    return { setting: "TLS_KEY", message: "the file holds no private key in PEM form without a passphrase" };
  if (certificate.checkPrivateKey(privateKey)) return undefined;
  return { setting: "TLS_KEY", message: "is not the key of the certificate in TLS_CERT" };
}

/** The parsers say in many ways that a text is none of theirs; which of them does not help. */
function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}

/** Where events are sent, and what they are signed with. */
interface WebhookSettings {
  readonly url: string;
  readonly secret: string;
}

/** The webhook's settings; null without one. A receiver that cannot tell who sends is of no use: the secret is needed. */
function readWebhook(raw: RawSettings, mistakes: Mistakes): WebhookSettings | null {
  const text = raw.WEBHOOK_URL;
  const secret = raw.WEBHOOK_SECRET;
  const isUrlMissing = text === undefined && !mistakes.concern("WEBHOOK_URL");
  if (isUrlMissing && secret !== undefined) mistakes.add("WEBHOOK_URL", "is needed by WEBHOOK_SECRET");
  if (text === undefined) return null;
  const url = webhookOf(text);
  if (url === undefined) mistakes.add("WEBHOOK_URL", SERVER_SETTINGS.complaint("WEBHOOK_URL", text));
  if (secret === undefined && !mistakes.concern("WEBHOOK_SECRET")) {
    mistakes.add(
      "WEBHOOK_SECRET",
      "is needed by WEBHOOK_URL: 16 characters or more, such as the output of `openssl rand -hex 24`",
    );
  }
  return url === undefined || secret === undefined ? null : { url, secret };
}

/** A query may hold the receiver's own key; a password in the URL is not sent by fetch. */
function webhookOf(text: string): string | undefined {
  const url = URL.parse(text);
  return url && url.username + url.password + url.hash === "" ? url.href : undefined;
}

/** How Slack is reached; null for what is not set. Which way follows from it is found out in one place, slack/transport.ts. */
export interface SlackSettings {
  readonly webhookUrl: string | null;
  readonly token: string | null;
  readonly channel: string | null;
  readonly appToken: string | null;
  readonly signingSecret: string | null;
  /** Ids of those who may press; empty: every full member of the workspace. */
  readonly allowedUsers: readonly string[];
  /** Without a slash at its end; null: Slack's own. */
  readonly apiUrl: string | null;
}

type Parse = <T>(name: SettingName, parse: (text: string) => T | undefined) => T | undefined;

/** The settings of Slack. */
function readSlack(raw: RawSettings, read: Parse, urlOf: (text: string) => string | undefined): SlackSettings {
  return {
    webhookUrl: read("SLACK_WEBHOOK_URL", webhookOf) ?? null,
    token: raw.SLACK_TOKEN ?? null,
    channel: raw.SLACK_CHANNEL ?? null,
    appToken: raw.SLACK_APP_TOKEN ?? null,
    signingSecret: raw.SLACK_SIGNING_SECRET ?? null,
    allowedUsers: read("SLACK_ALLOWED_USERS", usersOf) ?? [],
    apiUrl: read("SLACK_API_URL", urlOf) ?? null,
  };
}

/** A name instead of an id would let nobody in, or, if names were looked up, whoever takes that name. */
function usersOf(text: string): string[] | undefined {
  const ids = text.split(/[\s,]+/).filter((id) => id !== "");
  return ids.length > 0 && ids.every((id) => /^[UW][A-Z0-9]{2,30}$/.test(id)) ? ids : undefined;
}
