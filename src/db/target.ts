import { readFileSync } from "node:fs";
import { errorMessage, OpsPilotError } from "../lib/errors.ts";

/** How far the server's certificate is trusted, in libpq's words; `ca` is PEM text, without it the system's roots count. */
export interface DatabaseTls {
  readonly mode: "disable" | "prefer" | "require" | "verify-ca" | "verify-full";
  readonly ca?: string;
}

/** All that a connection needs: nothing is taken from PG* variables or guessed. */
export interface DatabaseTarget {
  /** A name or address, or the directory of a Unix socket (it then begins with a slash). */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly tls: DatabaseTls;
  /** A transaction pooler: a statement prepared on one of its sessions is unknown to the next. */
  readonly pooled?: boolean;
}

/** Why an address of a database cannot be used; the message never has the password. */
export class DatabaseUrlError extends OpsPilotError<"bad_database_url"> {
  constructor(message: string, options?: ErrorOptions) {
    super("bad_database_url", message, options);
  }
}

const MODES = ["disable", "prefer", "require", "verify-ca", "verify-full"] as const;
const DEFAULT_PORT = 5432;

/**
 * Reads `postgres://user:password@host:port/database?sslmode=…&sslrootcert=…`. A Unix socket is named by `?host=/directory`
 * or a percent-encoded host. Throws a DatabaseUrlError that says what is missing.
 */
export function parseDatabaseUrl(text: string): DatabaseTarget {
  const url = URL.parse(withHost(text));
  if (!url || !/^postgres(ql)?:$/.test(url.protocol)) throw new DatabaseUrlError("is not a postgres:// URL");
  const host = url.searchParams.get("host") ?? decode(url.hostname).replace(/^\[(.*)\]$/, "$1");
  const target = {
    host,
    port: Number(url.searchParams.get("port") ?? (url.port || DEFAULT_PORT)),
    user: decode(url.username),
    password: decode(url.password),
    database: decode(url.pathname.slice(1)),
  };
  refuseGaps(target);
  return { ...target, tls: tlsOf(url.searchParams, host) };
}

/** Where it is, for people: without user and password. */
export function describeTarget({ host, port, database }: DatabaseTarget): string {
  return host.startsWith("/") ? `${database} (socket in ${host})` : `${database} on ${host}:${port}`;
}

/** Where no host stands before the path, as in `postgres://user:password@/db?host=/run/postgresql`, URL refuses to parse. */
function withHost(text: string): string {
  return text.replace(/^(postgres(?:ql)?:\/\/[^/?#]*@)(?=[/?:])/, "$1localhost");
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new DatabaseUrlError("has a stray % (it is written %25)", { cause: error });
  }
}

function refuseGaps(target: Omit<DatabaseTarget, "tls">): void {
  const names = ["host", "user", "password", "database"] as const;
  const missing = names.filter((name) => target[name] === "");
  if (missing.length > 0) throw new DatabaseUrlError(`names no ${missing.join(", no ")}`);
  if (target.host.includes(",")) throw new DatabaseUrlError("names several hosts; one is expected");
  const isPort = Number.isInteger(target.port) && target.port > 0 && target.port < 65_536;
  if (!isPort) throw new DatabaseUrlError("has a port that is none");
}

function tlsOf(params: URLSearchParams, host: string): DatabaseTls {
  const text = params.get("sslmode") ?? (host.startsWith("/") ? "disable" : "prefer");
  const mode = MODES.find((one) => one === text);
  if (!mode) throw new DatabaseUrlError(`has an unknown sslmode; expected one of ${MODES.join(", ")}`);
  const ca = rootsOf(params.get("sslrootcert"));
  // As libpq does it: who names the roots wants them to be looked at.
  if (mode === "require" && ca !== undefined) return { mode: "verify-ca", ca };
  return ca === undefined ? { mode } : { mode, ca };
}

function rootsOf(path: string | null): string | undefined {
  if (path === null || path === "system") return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new DatabaseUrlError(`names an sslrootcert that cannot be read (${errorMessage(error)})`, { cause: error });
  }
}
