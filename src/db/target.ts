import { connect } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import {
  type DatabaseAddress,
  type DatabaseHost,
  type DatabaseTls,
  DatabaseUrlError,
  hostsIn,
} from "../config/database-url.ts";
import { errorMessage } from "../lib/errors.ts";

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

/** What every client of PostgreSQL sends first when it would like TLS: the server answers with one letter. */
const TLS_REQUEST = Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47);
const TLS_ANSWERS: Readonly<Record<string, boolean>> = { S: true, N: false };
const TLS_ANSWER_LIMIT_MS = 5_000;

/**
 * Settles for all connections whether they are encrypted: the server is asked once, where the sslmode leaves it open or
 * insists. Of several hosts those that answer decide, and must agree. Rejects with a DatabaseUrlError when it has no TLS and
 * must, or with why it did not answer.
 */
export async function settleTls({ tls, ...address }: DatabaseAddress): Promise<DatabaseTarget> {
  if (tls.mode === "disable") return { ...address, tls: false };
  const hosts = hostsIn(address);
  const asked = await Promise.allSettled(hosts.map(offersTls));
  const answers = asked.flatMap((one, at) => (one.status === "fulfilled" ? [{ at, isOffered: one.value }] : []));
  if (answers.length === 0) throw noneAnswers(hosts, asked);
  const without = answers.find(({ isOffered }) => !isOffered);
  if (without === undefined) return { ...address, tls: tlsOptions(tls, hosts) };
  if (tls.mode !== "prefer")
    throw new DatabaseUrlError(
      `asks for TLS (sslmode=${tls.mode}), and ${serverOf(hosts, without.at)} does not offer it`,
    );
  if (answers.some(({ isOffered }) => isOffered))
    throw new DatabaseUrlError("names hosts of which some offer TLS and some do not: say by sslmode which is meant");
  return { ...address, tls: false };
}

/** Where it is, for people: without user and password. */
export function describeTarget(address: Omit<DatabaseAddress, "tls">): string {
  const hosts = hostsIn(address);
  return address.host.startsWith("/") && hosts.length === 1
    ? `${address.database} (socket in ${address.host})`
    : `${address.database} on ${hosts.map(describeHost).join(", ")}`;
}

/** For people. */
export function describeHost({ host, port }: DatabaseHost): string {
  return `${host}:${port}`;
}

function serverOf(hosts: readonly DatabaseHost[], at: number): string {
  const host = hosts[at];
  return hosts.length === 1 || host === undefined ? "the server" : describeHost(host);
}

/** One host's own error, which may be final; of several what each said. */
function noneAnswers(hosts: readonly DatabaseHost[], asked: readonly PromiseSettledResult<boolean>[]): unknown {
  const reasons = asked.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
  if (reasons.length === 1) return reasons[0];
  return new Error(hosts.map((host, at) => `${describeHost(host)}: ${errorMessage(reasons[at])}`).join("; "));
}

async function offersTls({ host, port }: DatabaseHost): Promise<boolean> {
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

function tlsOptions({ mode, ca }: DatabaseTls, hosts: readonly DatabaseHost[]): TlsOptions {
  const roots = ca === undefined ? {} : { ca };
  if (mode === "verify-ca") return { rejectUnauthorized: true, ...roots, checkServerIdentity: () => undefined };
  if (mode !== "verify-full") return { rejectUnauthorized: false };
  // Of an address no driver hands the name on: it would be "localhost" that is looked for. Of several, whose turn it is, neither.
  return { rejectUnauthorized: true, ...roots, checkServerIdentity: (_, shown) => checkIdentity(hosts, shown) };
}

/** The certificate is to be that of a host that was named. */
function checkIdentity(hosts: readonly DatabaseHost[], shown: PeerCertificate): Error | undefined {
  const objections = hosts.map(({ host }) => checkServerIdentity(host, shown));
  return objections.includes(undefined) ? undefined : objections[0];
}
