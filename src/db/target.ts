import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { errorMessage, OpsPilotError } from "../lib/errors.ts";

/** How far the server's certificate is trusted, in libpq's words; `ca` is PEM text, without it the system's roots count. */
export interface DatabaseTls {
  readonly mode: "disable" | "prefer" | "require" | "verify-ca" | "verify-full";
  readonly ca?: string;
}

/** What a URL says of a database: nothing is taken from PG* variables or guessed. */
export interface DatabaseAddress {
  /** A name or address, or the directory of a Unix socket (it then begins with a slash). */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Empty where the server asks for none: it trusts, or knows the process's user by its socket. */
  readonly password: string;
  readonly database: string;
  readonly tls: DatabaseTls;
}

/** All that a connection needs, the same for every driver: what each of them would make of "prefer" differs. */
export interface DatabaseTarget extends Omit<DatabaseAddress, "tls"> {
  /** Not encrypted, or how: as both drivers hand it to `tls.connect`. */
  readonly tls: false | TlsOptions;
  /** A transaction pooler: a statement prepared on one of its sessions is unknown to the next. */
  readonly pooled?: boolean;
  /** It takes no limits of a connection's as that is made: PgBouncer, unless told to. */
  readonly isBare?: boolean;
  /** Where the tables are; the classic one when not said. */
  readonly layout?: Layout;
}

/** The schemas of the tables, of the jobs, and of the list of migrations that were made. */
export interface Layout {
  readonly tables: string;
  readonly jobs: string;
  readonly journal: readonly [schema: string, table: string];
}

/** The built-in database's, and that of who may create schemas and began with a former version. */
export const CLASSIC_LAYOUT: Layout = {
  tables: "public",
  jobs: "pgboss",
  journal: ["drizzle", "__drizzle_migrations"],
};

interface TlsOptions {
  readonly rejectUnauthorized: boolean;
  readonly ca?: string;
  readonly checkServerIdentity?: (host: string, certificate: PeerCertificate) => Error | undefined;
}

/** Why an address of a database cannot be used; the message never has the password. */
export class DatabaseUrlError extends OpsPilotError<"bad_database_url"> {
  constructor(message: string, options?: ErrorOptions) {
    super("bad_database_url", message, options);
  }
}

/** What every client of PostgreSQL sends first when it would like TLS: the server answers with one letter. */
const TLS_REQUEST = Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47);
const TLS_ANSWERS: Readonly<Record<string, boolean>> = { S: true, N: false };
const TLS_ANSWER_LIMIT_MS = 5_000;

const MODES = ["disable", "prefer", "require", "verify-ca", "verify-full"] as const;
const DEFAULT_PORT = 5432;

/**
 * Reads `postgres://user:password@host:port/database?sslmode=…&sslrootcert=…`. A Unix socket is named by `?host=/directory`
 * or a percent-encoded host; who names no user there is the process's own, as with libpq. The password may be left out.
 * Throws a DatabaseUrlError that says what is missing.
 */
export function parseDatabaseUrl(text: string): DatabaseAddress {
  const url = URL.parse(withHost(text));
  if (!url || !/^postgres(ql)?:$/.test(url.protocol)) throw new DatabaseUrlError("is not a postgres:// URL");
  const host = url.searchParams.get("host") ?? decode(url.hostname).replace(/^\[(.*)\]$/, "$1");
  const target = {
    host,
    port: Number(url.searchParams.get("port") ?? (url.port || DEFAULT_PORT)),
    user: decode(url.username) || (host.startsWith("/") ? ownName() : ""),
    password: decode(url.password),
    database: decode(url.pathname.slice(1)),
  };
  refuseGaps(target);
  return { ...target, tls: tlsOf(url.searchParams, host) };
}

/**
 * Settles for all connections whether they are encrypted: the server is asked once, where the sslmode leaves it open or
 * insists. Rejects with a DatabaseUrlError when it has no TLS and must, or with why it did not answer.
 */
export async function settleTls({ tls, ...address }: DatabaseAddress): Promise<DatabaseTarget> {
  const { mode } = tls;
  if (mode === "disable") return { ...address, tls: false };
  if (await offersTls(address)) return { ...address, tls: tlsOptions(tls, address.host) };
  if (mode === "prefer") return { ...address, tls: false };
  throw new DatabaseUrlError(`asks for TLS (sslmode=${mode}), and the server does not offer it`);
}

/** Where it is, for people: without user and password. */
export function describeTarget({ host, port, database }: Omit<DatabaseAddress, "tls">): string {
  return host.startsWith("/") ? `${database} (socket in ${host})` : `${database} on ${host}:${port}`;
}

async function offersTls({ host, port }: Omit<DatabaseAddress, "tls">): Promise<boolean> {
  const socket = host.startsWith("/") ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const fail = (code: string, message: string) => reject(Object.assign(new Error(message), { code }));
  const timer = setTimeout(
    () => fail("ETIMEDOUT", `the server did not say within ${TLS_ANSWER_LIMIT_MS / 1000} s whether it has TLS`),
    TLS_ANSWER_LIMIT_MS,
  );
  socket.once("connect", () => socket.write(TLS_REQUEST));
  socket.once("data", (answer: Buffer) => {
    const isOffered = TLS_ANSWERS[answer.toString("latin1", 0, 1)];
    if (isOffered === undefined) fail("EPROTO", "what answers there is no PostgreSQL, or cannot take a connection");
    else resolve(isOffered);
  });
  socket.on("error", reject);
  socket.once("close", () => fail("ECONNRESET", "the server hung up when it was asked whether it has TLS"));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

function tlsOptions({ mode, ca }: DatabaseTls, host: string): TlsOptions {
  const roots = ca === undefined ? {} : { ca };
  if (mode === "verify-ca") return { rejectUnauthorized: true, ...roots, checkServerIdentity: () => undefined };
  if (mode !== "verify-full") return { rejectUnauthorized: false };
  // Of an address no driver hands the name on: it would be "localhost" that is looked for.
  return { rejectUnauthorized: true, ...roots, checkServerIdentity: (_, shown) => checkServerIdentity(host, shown) };
}

/** Where no host stands before the path, as in `postgres://user:password@/db?host=/run/postgresql`, URL refuses to parse. */
function withHost(text: string): string {
  return text.replace(/^(postgres(?:ql)?:\/\/(?:[^/?#]*@(?=[/?:])|(?=[/?])))/, "$1localhost");
}

/** By the system's list: os.userInfo() of Bun knows only what USER says. */
function ownName(): string {
  const lines = readFileSync("/etc/passwd", "utf8").split("\n");
  const own = lines.map((line) => line.split(":")).find(([, , uid]) => uid === String(process.getuid?.()));
  return own?.[0] ?? "";
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new DatabaseUrlError("has a stray % (it is written %25)", { cause: error });
  }
}

function refuseGaps(target: Omit<DatabaseAddress, "tls">): void {
  const names = ["host", "user", "database"] as const;
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
