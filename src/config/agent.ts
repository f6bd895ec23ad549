import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { join, resolve } from "node:path";
import { type Static, Type } from "@sinclair/typebox";
import { createAddressSet, isAddressOrRange, isLoopbackHost } from "../lib/addresses.ts";
import { errorMessage } from "../lib/errors.ts";
import { LOG_LEVELS, type LogLevel } from "../lib/log.ts";
import { type AllowEntry, parseAllow } from "../protocol/commands.ts";
import { type CollectorSettings, RawCollectorSettings, readCollectorSettings } from "./agent-collectors.ts";
import { readSurroundings, type Surroundings } from "./environment.ts";
import { choice, describeSettings, Mistakes, setting, size, text } from "./settings.ts";
import { codeOf, dataDirOf, readerOf, readKind, sizeIn } from "./sources.ts";

/** Where the agent's server is, and how to get there. */
export interface ServerAddress {
  /** Of the stream: wss://ops.example.com/v1/stream. */
  readonly url: string;
  /** Certificates in PEM that are trusted instead of the usual authorities, or null. */
  readonly ca: string | null;
  /** With a password in it where one was given, or null. */
  readonly proxy: string | null;
  /** The token goes over the network for everybody to read. */
  readonly isExposed: boolean;
}

/** All settings of the agent, checked and frozen. */
export interface AgentConfig {
  readonly server: ServerAddress;
  readonly token: string;
  readonly allow: readonly AllowEntry[];
  /** The agent's own directory: its spool, and what it has run. One agent at a time uses it. */
  readonly stateDir: string;
  readonly spoolBytesMax: number;
  readonly collectors: CollectorSettings;
  readonly dockerSocket: string;
  /** Where programs are looked for, as in PATH. */
  readonly searchPath: string;
  readonly logLevel: LogLevel;
}

/** What the command line may say. A flag wins over the environment, that over the file. */
export interface AgentFlags {
  readonly envFile?: string;
  readonly dataDir?: string;
  readonly server?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly allow?: string;
  readonly ca?: string;
}

const MIB = 2 ** 20;
/** Where nobody says so: a service has hardly an environment. */
const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const STREAM_PATH = "/v1/stream";

/** The agent's settings from flags, environment and `.env`, in this order. Throws a ConfigError that lists every mistake. */
export function loadAgentConfig(flags: AgentFlags = {}, surroundings: Surroundings = readSurroundings()): AgentConfig {
  const mistakes = new Mistakes();
  const raw = readKind(AGENT_SETTINGS, { given: givenBy(flags), envFile: flags.envFile }, surroundings, mistakes);
  const read = readerOf(AGENT_SETTINGS, raw, mistakes);
  const url = serverUrlOf(raw, mistakes);
  const config: AgentConfig = {
    server: serverOf(raw, url, surroundings.cwd, mistakes),
    token: required("OPSPILOT_TOKEN", raw.OPSPILOT_TOKEN, mistakes),
    allow: allowOf(raw, mistakes),
    stateDir: join(dataDirOf(raw.OPSPILOT_DATA_DIR, surroundings, mistakes), "agent"),
    spoolBytesMax: read("OPSPILOT_SPOOL", sizeIn(MIB, 1024 * MIB)) ?? 64 * MIB,
    dockerSocket: raw.OPSPILOT_DOCKER_SOCKET ?? "/var/run/docker.sock",
    searchPath: surroundings.env.PATH || SYSTEM_PATH,
    collectors: readCollectorSettings(raw, mistakes),
    logLevel: (raw.LOG_LEVEL as LogLevel | undefined) ?? "info",
  };
  mistakes.throwIfAny();
  return Object.freeze(config);
}

/** What flags say, by the settings' names. */
export function givenBy(flags: AgentFlags): Record<string, string | undefined> {
  return {
    OPSPILOT_SERVER: flags.server,
    OPSPILOT_TOKEN: flags.token,
    OPSPILOT_TOKEN_FILE: flags.tokenFile,
    OPSPILOT_ALLOW: flags.allow,
    OPSPILOT_CA: flags.ca,
    OPSPILOT_DATA_DIR: flags.dataDir,
  };
}

const MISSING: Readonly<Record<string, string>> = {
  OPSPILOT_SERVER: "must be set: the server's URL, such as wss://ops.example.com (or give --server)",
  OPSPILOT_TOKEN:
    "must be set: what `opspilot token create` or POST /v1/agents on the server gives (or OPSPILOT_TOKEN_FILE, the " +
    "path of a file that holds it)",
};

function required(name: string, value: string | undefined, mistakes: Mistakes): string {
  if (value === undefined && !mistakes.concern(name)) mistakes.add(name, MISSING[name] ?? "must be set");
  return value ?? "";
}

/** Of http and https people may think as well; the stream's path goes without saying. */
function serverUrlOf(raw: RawAgentSettings, mistakes: Mistakes): URL | null {
  const text = required("OPSPILOT_SERVER", raw.OPSPILOT_SERVER, mistakes);
  if (text === "") return null;
  const url = URL.parse(text.replace(/^http/, "ws"));
  if (!url || url.hostname === "" || url.username + url.password + url.search + url.hash !== "") {
    mistakes.add(
      "OPSPILOT_SERVER",
      "expected a URL without user, password, query or fragment, such as wss://ops.example.com",
    );
    return null;
  }
  const base = url.pathname.replace(/\/+$/, "");
  url.pathname = base.endsWith(STREAM_PATH) ? base : base + STREAM_PATH;
  return url;
}

function serverOf(raw: RawAgentSettings, url: URL | null, cwd: string, mistakes: Mistakes): ServerAddress {
  return {
    url: url?.href ?? "",
    ca: raw.OPSPILOT_CA === undefined ? null : readCa(resolve(cwd, raw.OPSPILOT_CA), mistakes),
    proxy: url && proxyFor(raw, url, mistakes),
    isExposed: url?.protocol === "ws:" && !isLoopbackHost(url.hostname),
  };
}

function proxyFor(raw: RawAgentSettings, url: URL, mistakes: Mistakes): string | null {
  const proxy = proxyOf(raw, url);
  if (proxy === null || URL.parse(proxy) !== null) return proxy;
  mistakes.add("HTTPS_PROXY or HTTP_PROXY", "expected an http or https URL of a proxy");
  return null;
}

function readCa(path: string, mistakes: Mistakes): string | null {
  try {
    const pem = readFileSync(path, "utf8");
    void new X509Certificate(pem);
    return pem;
  } catch (error) {
    const code = codeOf(error);
    const isMissing = code === "ENOENT" || code === "EACCES" || code === "EISDIR";
    const reason = isMissing ? `cannot be read (${code})` : `holds no certificate in PEM form (${errorMessage(error)})`;
    mistakes.add("OPSPILOT_CA", `${path} ${reason}`);
    return null;
  }
}

function allowOf(raw: RawAgentSettings, mistakes: Mistakes): readonly AllowEntry[] {
  const parsed = parseAllow(raw.OPSPILOT_ALLOW ?? "");
  if ("entries" in parsed) return parsed.entries;
  mistakes.add("OPSPILOT_ALLOW", parsed.fault);
  return [];
}

const proxy = () => setting("^https?://", "an http or https URL of a proxy");
const hosts = () => text("hosts that are reached without a proxy, separated by commas");

/** The agent's settings as text; those of proxies by the names that other programs know them by, too. */
const RawAgentSettings = Type.Partial(
  Type.Object({
    OPSPILOT_SERVER: setting("^(wss?|https?)://", "the server's URL, such as wss://ops.example.com"),
    OPSPILOT_TOKEN: setting("^[\\x21-\\x7e]{8,256}$", "8 to 256 printable characters without spaces"),
    OPSPILOT_ALLOW: text("commands with what they may be run on, such as restart_service:nginx,get_logs:*"),
    OPSPILOT_CA: text("the path of a PEM file"),
    OPSPILOT_SPOOL: size("a size such as 64MiB, from 1MiB to 1GiB"),
    OPSPILOT_DOCKER_SOCKET: setting("^/", "the path of Docker's socket"),
    OPSPILOT_DATA_DIR: text("a directory"),
    HTTPS_PROXY: proxy(),
    https_proxy: proxy(),
    HTTP_PROXY: proxy(),
    http_proxy: proxy(),
    NO_PROXY: hosts(),
    no_proxy: hosts(),
    LOG_LEVEL: choice(...LOG_LEVELS),
    ...RawCollectorSettings,
  }),
);
type RawAgentSettings = Static<typeof RawAgentSettings>;
type AgentSettingName = keyof RawAgentSettings & string;

/** The agent's. */
export const AGENT_SETTINGS = describeSettings<AgentSettingName>(RawAgentSettings, {
  secrets: ["OPSPILOT_TOKEN", "OPSPILOT_PATTERNS"],
  unquoted: ["OPSPILOT_SERVER", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"],
});

/**
 * The proxy that is to be used for this URL, or null: by the variables that most programs know. A loopback address is
 * never asked for by way of a proxy.
 */
export function proxyOf(raw: RawAgentSettings, url: URL): string | null {
  const isSecure = url.protocol === "wss:" || url.protocol === "https:";
  const proxy = isSecure ? (raw.HTTPS_PROXY ?? raw.https_proxy) : (raw.HTTP_PROXY ?? raw.http_proxy);
  if (proxy === undefined || isLoopbackHost(url.hostname)) return null;
  return isExempt(raw.NO_PROXY ?? raw.no_proxy ?? "", url) ? null : proxy;
}

/** Entries of NO_PROXY: `*`, a host with all below it (`example.com`, `.example.com`, `*.example.com`), an address or a range; each with a port or without. */
function isExempt(noProxy: string, url: URL): boolean {
  const host = url.hostname.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  const port = url.port || (url.protocol === "wss:" || url.protocol === "https:" ? "443" : "80");
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== "")
    .some((entry) => covers(entry, host, port));
}

function covers(entry: string, host: string, port: string): boolean {
  if (entry === "*") return true;
  if (isAddressOrRange(entry)) return isIP(host) !== 0 && createAddressSet([entry]).has(host);
  const [, name = "", entryPort] = /^(?:\*?\.)?\[?(.+?)\]?(?::(\d+))?$/.exec(entry) ?? [];
  if (entryPort !== undefined && entryPort !== port) return false;
  return host === name || host.endsWith(`.${name}`);
}
