import { join, resolve } from "node:path";
import { type Static, Type } from "@sinclair/typebox";
import { isLoopbackHost } from "../lib/addresses.ts";
import { LOG_LEVELS, type LogLevel } from "../lib/log.ts";
import { type AllowEntry, parseAllow } from "../protocol/commands.ts";
import { RawCollectorSettings, readCollectorSettings } from "./agent-collectors.ts";
import { readCertificates } from "./ca.ts";
import { readSurroundings, type Surroundings } from "./environment.ts";
import { proxyOf, readProxies } from "./proxy.ts";
import { choice, describeSettings, Mistakes, RawProxySettings, setting, size, text } from "./settings.ts";
import { dataDirOf, readerOf, readKind, sizeIn } from "./sources.ts";

/** Flags of the command line that are settings; a flag wins over the environment, that over the file. */
const FLAGS = {
  dataDir: "OPSPILOT_DATA_DIR",
  server: "OPSPILOT_SERVER",
  token: "OPSPILOT_TOKEN",
  tokenFile: "OPSPILOT_TOKEN_FILE",
  enrolToken: "OPSPILOT_ENROL_TOKEN",
  allow: "OPSPILOT_ALLOW",
  ca: "OPSPILOT_CA",
} as const;

export type AgentFlags = { readonly [flag in keyof typeof FLAGS | "envFile"]?: string };

const MIB = 2 ** 20;
/** Where nobody says so: a service has hardly an environment. */
const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const STREAM_PATH = "/v1/stream";

/** The agent's settings from flags, environment and `.env`, in this order. Throws a ConfigError that lists every mistake. */
export function loadAgentConfig(flags: AgentFlags = {}, surroundings: Surroundings = readSurroundings()) {
  const mistakes = new Mistakes();
  const raw = readKind(AGENT_SETTINGS, { given: givenBy(flags), envFile: flags.envFile }, surroundings, mistakes);
  const read = readerOf(AGENT_SETTINGS, raw, mistakes);
  const url = serverUrlOf(raw, mistakes);
  if (raw.OPSPILOT_ENROL_TOKEN === undefined && !mistakes.concern("OPSPILOT_ENROL_TOKEN"))
    mistakes.need("OPSPILOT_TOKEN", raw.OPSPILOT_TOKEN, TOKEN_MISSING);
  const config = {
    server: serverOf(raw, url, surroundings.cwd, mistakes),
    /** Empty: the agent makes its own, and makes it known by `enrolToken`. */
    token: raw.OPSPILOT_TOKEN ?? "",
    enrolToken: raw.OPSPILOT_ENROL_TOKEN ?? null,
    allow: allowOf(raw, mistakes),
    /** The agent's own directory: its spool, and what it has run. One agent at a time uses it. */
    stateDir: join(dataDirOf(raw.OPSPILOT_DATA_DIR, surroundings, mistakes), "agent"),
    spoolBytesMax: read("OPSPILOT_SPOOL", sizeIn(MIB, 1024 * MIB)) ?? 64 * MIB,
    dockerSocket: raw.OPSPILOT_DOCKER_SOCKET ?? "/var/run/docker.sock",
    /** Where Podman's, or those of engines without root, may be; none where a socket was named. */
    otherSockets: raw.OPSPILOT_DOCKER_SOCKET === undefined ? otherSocketsOf(surroundings) : [],
    /** Where programs are looked for, as in PATH. */
    searchPath: surroundings.env.PATH || SYSTEM_PATH,
    collectors: readCollectorSettings(raw, read, mistakes),
    logLevel: (raw.LOG_LEVEL as LogLevel | undefined) ?? "info",
  };
  mistakes.throwIfAny();
  return Object.freeze(config);
}

/** All settings of the agent, checked and frozen. */
export type AgentConfig = ReturnType<typeof loadAgentConfig>;

function otherSocketsOf({ env }: Surroundings): string[] {
  const own = env.XDG_RUNTIME_DIR;
  const rootless = own ? [join(own, "docker.sock"), join(own, "podman/podman.sock")] : [];
  return ["/run/podman/podman.sock", ...rootless];
}

/** What flags say, by the settings' names. */
export function givenBy(flags: AgentFlags): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(FLAGS).map(([flag, name]) => [name, flags[flag as keyof typeof FLAGS]]));
}

const SERVER_MISSING = "must be set: the server's URL, such as wss://ops.example.com (or give --server)";
const TOKEN_MISSING =
  "must be set: what `opspilot token create` or POST /v1/agents on the server gives (or OPSPILOT_TOKEN_FILE, the " +
  "path of a file that holds it); or OPSPILOT_ENROL_TOKEN, by which a host makes itself known";

/** Of http and https people may think as well; the stream's path goes without saying. */
function serverUrlOf(raw: RawAgentSettings, mistakes: Mistakes): URL | null {
  const { OPSPILOT_SERVER: text } = raw;
  mistakes.need("OPSPILOT_SERVER", text, SERVER_MISSING);
  if (text === undefined) return null;
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

function serverOf(raw: RawAgentSettings, url: URL | null, cwd: string, mistakes: Mistakes) {
  return {
    /** Of the stream: wss://ops.example.com/v1/stream. */
    url: url?.href ?? "",
    /** Certificates in PEM that are trusted instead of the usual authorities, or null. */
    ca: raw.OPSPILOT_CA === undefined ? null : readCa(resolve(cwd, raw.OPSPILOT_CA), mistakes),
    /** With a password in it where one was given, or null. */
    proxy: url && proxyOf(readProxies(raw, mistakes), url),
    /** The token goes over the network for everybody to read. */
    isExposed: url?.protocol === "ws:" && !isLoopbackHost(url.hostname),
  };
}

/** Where the agent's server is, and how to get there. */
export type ServerAddress = Readonly<ReturnType<typeof serverOf>>;

function readCa(path: string, mistakes: Mistakes): string | null {
  const read = readCertificates(path);
  return "pem" in read ? read.pem : (mistakes.add("OPSPILOT_CA", read.fault) ?? null);
}

function allowOf(raw: RawAgentSettings, mistakes: Mistakes): readonly AllowEntry[] {
  const parsed = parseAllow(raw.OPSPILOT_ALLOW ?? "");
  if ("entries" in parsed) return parsed.entries;
  mistakes.add("OPSPILOT_ALLOW", parsed.fault);
  return [];
}

/** The agent's settings as text; those of proxies by the names that other programs know them by, too. */
const RawAgentSettings = Type.Partial(
  Type.Object({
    OPSPILOT_SERVER: setting("^(wss?|https?)://", "the server's URL, such as wss://ops.example.com"),
    OPSPILOT_TOKEN: setting("^[\\x21-\\x7e]{8,256}$", "8 to 256 printable characters without spaces"),
    OPSPILOT_ENROL_TOKEN: setting("^ope_[A-Za-z0-9_-]{43}$", "an enrolment token, which begins with ope_"),
    OPSPILOT_ALLOW: text("commands with what they may be run on, such as restart_service:nginx,get_logs:*"),
    OPSPILOT_CA: text("the path of a PEM file"),
    OPSPILOT_SPOOL: size("a size such as 64MiB, from 1MiB to 1GiB"),
    OPSPILOT_DOCKER_SOCKET: setting("^/", "the path of Docker's socket"),
    OPSPILOT_DATA_DIR: text("a directory"),
    ...RawProxySettings,
    LOG_LEVEL: choice(...LOG_LEVELS),
    ...RawCollectorSettings,
  }),
);
type RawAgentSettings = Static<typeof RawAgentSettings>;

/** The agent's. */
export const AGENT_SETTINGS = describeSettings<keyof RawAgentSettings>(RawAgentSettings, {
  secrets: ["OPSPILOT_TOKEN", "OPSPILOT_ENROL_TOKEN", "OPSPILOT_PATTERNS", "OPSPILOT_CHECKS"],
  unquoted: ["OPSPILOT_SERVER", "HTTPS_PROXY", "HTTP_PROXY"],
});
