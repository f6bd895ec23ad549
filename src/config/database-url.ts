import { readFileSync } from "node:fs";
import { errorMessage, OpsPilotError } from "../lib/errors.ts";

/** How far the server's certificate is trusted, in libpq's words; `ca` is PEM text, without it the system's roots count. */
export interface DatabaseTls {
  readonly mode: (typeof MODES)[number];
  readonly ca?: string;
}

/** Where one server listens. */
export interface DatabaseHost {
  /** A name or address, or the directory of a Unix socket (it then begins with a slash). */
  readonly host: string;
  readonly port: number;
}

/** Several servers of which one is used at a time, and what that must be, in libpq's words. */
export interface HostChoice {
  readonly hosts: readonly DatabaseHost[];
  readonly wanted: (typeof WANTED)[number];
}

/** What a URL says of a database: nothing is taken from PG* variables or guessed. Host and port are the first's. */
export interface DatabaseAddress extends DatabaseHost {
  readonly user: string;
  /** Empty where the server asks for none: it trusts, or knows the process's user by its socket. */
  readonly password: string;
  readonly database: string;
  readonly tls: DatabaseTls;
  /** Where several hosts are named, or it is said what the one must be. */
  readonly choice?: HostChoice;
}

/** Why an address of a database cannot be used; the message never has the password. */
export class DatabaseUrlError extends OpsPilotError<"bad_database_url"> {
  constructor(message: string, options?: ErrorOptions) {
    super("bad_database_url", message, options);
  }
}

const MODES = ["disable", "prefer", "require", "verify-ca", "verify-full"] as const;
/** Not those that ask for a server that only reads: this one writes. */
const WANTED = ["read-write", "primary", "any"] as const;
const DEFAULT_PORT = 5432;
/** Each is asked, and more are a mistake. */
const HOSTS_MAX = 16;

/** Scheme, credentials and the list of hosts, as far as they are there. */
const HEAD = /^(postgres(?:ql)?):\/\/([^/?#]*@)?([^@/?#]*)/;
const HOST_AND_PORT = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/;

/**
 * Reads `postgres://user:password@host:port/database?sslmode=…&sslrootcert=…`. Several hosts stand with commas between, as libpq
 * has it, and `target_session_attrs` says which is meant: the one that writes, if it is not said. A Unix socket is named by
 * `?host=/directory` or a percent-encoded host; who names no user there is the process's own, as with libpq. The password may be
 * left out. Throws a DatabaseUrlError that says all that is wrong.
 */
export function parseDatabaseUrl(text: string): DatabaseAddress {
  const [, , credentials = "", list = ""] = HEAD.exec(text) ?? [];
  const url = URL.parse(text.replace(HEAD, (_, scheme) => `${scheme}://${credentials}localhost`));
  if (!url || !HEAD.test(text)) throw new DatabaseUrlError("is not a postgres:// URL");
  const wrong: string[] = [];
  const hosts = hostsOf(list, url.searchParams, wrong);
  const first = hosts[0] ?? { host: "", port: DEFAULT_PORT };
  const names = {
    host: first.host,
    user: decode(url.username, wrong) || (first.host.startsWith("/") ? ownName() : ""),
    database: decode(url.pathname.slice(1), wrong),
  };
  const missing = Object.entries(names).flatMap(([name, value]) => (value === "" ? [`no ${name}`] : []));
  if (missing.length > 0) wrong.unshift(`names ${missing.join(", ")}`);
  const password = decode(url.password, wrong);
  const tls = tlsOf(url.searchParams, hosts, wrong);
  const choice = choiceOf(url.searchParams, hosts, wrong);
  if (wrong.length > 0) throw new DatabaseUrlError([...new Set(wrong)].join("; "));
  return { ...names, port: first.port, password, tls, ...(choice ? { choice } : {}) };
}

/** Its hosts: the one, or those that are chosen from. */
export function hostsIn({
  host,
  port,
  choice,
}: DatabaseHost & Pick<DatabaseAddress, "choice">): readonly DatabaseHost[] {
  return choice?.hosts ?? [{ host, port }];
}

function hostsOf(list: string, params: URLSearchParams, wrong: string[]): DatabaseHost[] {
  const named = params.get("host");
  const pairs = (named ?? list)
    .split(",")
    .map((item) => (named === null ? HOST_AND_PORT.exec(item) : [item, item]) ?? []);
  const apart = params.get("port")?.split(",") ?? [];
  if (apart.length > 1 && apart.length !== pairs.length)
    wrong.push(`names ${apart.length} ports for ${pairs.length} hosts`);
  if (pairs.length > HOSTS_MAX) wrong.push(`names more than ${HOSTS_MAX} hosts`);
  const which = (at: number) => (pairs.length === 1 ? "" : ` (host ${at + 1})`);
  return pairs.map(([, host = "", port], at) => {
    const text = apart[at] ?? apart[0] ?? port ?? "";
    const found = {
      host: decode(host, wrong).replace(/^\[(.*)\]$/, "$1"),
      port: text === "" ? DEFAULT_PORT : Number(text),
    };
    // What stands there may be the end of a password: it is not quoted.
    const isPort = /^\d*$/.test(text) && found.port > 0 && found.port < 65_536;
    if (!isPort) wrong.push(`has a port that is none${which(at)}`);
    if (found.host === "" && pairs.length > 1 && at > 0)
      wrong.push(`names no host between two commas, or at the end of the list${which(at)}`);
    return found;
  });
}

function choiceOf(params: URLSearchParams, hosts: readonly DatabaseHost[], wrong: string[]): HostChoice | undefined {
  const text = params.get("target_session_attrs") ?? (hosts.length > 1 ? "read-write" : "any");
  const wanted = WANTED.find((one) => one === text);
  if (!wanted) wrong.push(`has a target_session_attrs that is not one of ${WANTED.join(", ")}: the server writes`);
  return wanted === undefined || (hosts.length === 1 && wanted === "any") ? undefined : { hosts, wanted };
}

function tlsOf(params: URLSearchParams, hosts: readonly DatabaseHost[], wrong: string[]): DatabaseTls {
  const sockets = hosts.filter(({ host }) => host.startsWith("/")).length;
  const text = params.get("sslmode") ?? (sockets > 0 ? "disable" : "prefer");
  const mode = MODES.find((one) => one === text);
  if (!mode) wrong.push(`has an unknown sslmode; expected one of ${MODES.join(", ")}`);
  if (sockets > 0 && sockets < hosts.length && mode !== params.get("sslmode"))
    wrong.push("names sockets and other hosts: say by sslmode whether these are encrypted");
  const ca = rootsOf(params.get("sslrootcert"), wrong);
  // As libpq does it: who names the roots wants them to be looked at.
  if (mode === "require" && ca !== undefined) return { mode: "verify-ca", ca };
  return ca === undefined ? { mode: mode ?? "prefer" } : { mode: mode ?? "prefer", ca };
}

function rootsOf(path: string | null, wrong: string[]): string | undefined {
  if (path === null || path === "system") return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    wrong.push(`names an sslrootcert that cannot be read (${errorMessage(error)})`);
    return undefined;
  }
}

/** By the system's list: os.userInfo() of Bun knows only what USER says. */
function ownName(): string {
  const lines = readFileSync("/etc/passwd", "utf8").split("\n");
  const own = lines.map((line) => line.split(":")).find(([, , uid]) => uid === String(process.getuid?.()));
  return own?.[0] ?? "";
}

function decode(text: string, wrong: string[]): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    wrong.push("has a stray % (it is written %25)");
    return text;
  }
}
