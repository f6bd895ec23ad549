import { Socket } from "node:net";
import postgres, { type Sql } from "postgres";
import type { DatabaseHost } from "../config/database-url.ts";
import type { Log } from "../lib/log.ts";
import { addArrayTypes } from "./arrays.ts";
import { createAsker } from "./asker.ts";
import { createHosts, type HostReport, type HostState, type Hosts } from "./hosts.ts";
import { CLASSIC_LAYOUT, type DatabaseTarget, type Layout } from "./target.ts";

const POOL_CONNECTIONS = 8;
const CONNECT_LIMIT_S = 5;
/** Longer than a minute: what is looked at once a minute finds its connections open, and does not make them anew each time. */
const IDLE_S = 90;
const CLOSE_LIMIT_S = 2;
const KEEP_ALIVE_S = 30;

/** Longest run of a statement: the server ends it, waits for locks included. What could not be done by then is tried again. */
const STATEMENT_LIMIT_MS = 8_000;

/** Longest time between two statements of a transaction; a transaction whose client is gone holds its locks no longer. */
const IDLE_IN_TRANSACTION_LIMIT_MS = 10_000;

/** Above the statement's limit: so long the server is silent only when it, or the way to it, is gone. */
const SILENCE_GRACE_MS = 1_000;
const SILENCE_LOOK_MS = 500;

/** The server notices within 20 s that a client is gone whose goodbye was lost, and gives its locks back. */
const SERVER_KEEP_ALIVE = { tcp_keepalives_idle: 10, tcp_keepalives_interval: 5, tcp_keepalives_count: 2 };

/** What a role or a database may have set otherwise, and both drivers, or our SQL, rely on. */
export const SESSION_SETTINGS: Readonly<Record<string, string>> = {
  bytea_output: "hex",
  client_encoding: "UTF8",
  DateStyle: "ISO,MDY",
  default_transaction_isolation: "read committed",
  extra_float_digits: "1",
  IntervalStyle: "postgres",
  lock_timeout: "0",
  standard_conforming_strings: "on",
  TimeZone: "UTC",
};

/** A database that restarts is found again within a second. */
const RECONNECT_S = { min: 0.05, max: 1 };

/** What a client of its own is for. */
interface ClientOptions {
  /** At most; 1 when not said. */
  readonly connections?: number;
  /** As pg_stat_activity shows it. */
  readonly applicationName?: string;
  /** Longest run of a statement, 8 s when not said. 0: none, and no end to the wait for an answer either: for who waits on purpose. */
  readonly statementLimitMs?: number;
}

/** What a session hears of by itself. */
interface SessionOptions extends Omit<ClientOptions, "connections"> {
  /** The server ends a session that it has not heard for so long: for one that holds a lock and probes more often. */
  readonly idleLimitMs?: number;
  readonly onNotify?: (channel: string, payload: string) => void;
  /** The connection is gone, or could not be made. */
  readonly onClose?: () => void;
}

/** Connections of a driver that are made, those of them that are at work, and statements that wait for one. */
export interface PoolLoad {
  readonly open: number;
  readonly busy: number;
  readonly waiting: number;
}

/**
 * All ways to one database. Connections are made when they are needed, and made again after they broke. Every statement has a
 * deadline: the server ends it; and when even that is not heard, the connection is destroyed, with all others on which nothing
 * was heard for as long (a firewall that forgot one has forgotten them all). What waited rejects, see `isDatabaseAway`.
 */
export interface Database {
  /** For SQL that is written out. Times come as Date, bigint and numeric as text. */
  readonly sql: Sql;
  /** Where sessions are made: past a transaction pooler, if there is one. */
  readonly sessionTarget: DatabaseTarget;
  readonly layout: Layout;
  /** A client of its own, so that destroying it (`end({ timeout: 0 })`) harms nobody else. */
  createClient(options?: ClientOptions): Sql;
  /** A client with one connection that is a session (LISTEN, session locks): past a transaction pooler, if there is one. */
  createSession(options?: SessionOptions): Sql;
  /** A socket for another driver, which is destroyed with the connections here that are silent. */
  createSocket(): Socket;
  /** What each of several hosts is; empty where there is but one. */
  surveyHosts(): Promise<HostReport[]>;
  /** Whether it answers within `limitMs`, on a connection of its own. Never rejects. */
  ping(limitMs: number): Promise<boolean>;
  /** Of all clients and sessions together. */
  load(): PoolLoad;
  /** Ends all clients, those that were created too; what still runs after 2 s is cut. Safe to call twice. */
  close(): Promise<void>;
}

/** Which database. */
interface DatabaseOptions {
  target: DatabaseTarget;
  /** Where sessions are made when `target` is a transaction pooler. */
  direct?: DatabaseTarget | undefined;
  log: Log;
}

/** Makes the pools; the first query connects. */
export function openDatabase({ target, direct, log }: DatabaseOptions): Database {
  const pooled = direct === undefined ? target : { ...target, pooled: true };
  const clients = new Set<Sql>();
  const peers: Peers = new Set();
  const hosts = hostsOf(target);
  const directHosts = direct === undefined ? hosts : hostsOf(direct);

  function create(to: DatabaseTarget, options: ClientOptions & SessionOptions): Sql {
    const ways = to.choice === undefined ? undefined : to === direct ? directHosts : hosts;
    const client = createSql(to, options, peers, ways, log);
    const end = client.end.bind(client);
    clients.add(client);
    client.end = (endOptions) => {
      clients.delete(client);
      return end(endOptions);
    };
    return client;
  }

  function hostsOf({ choice, ...one }: DatabaseTarget): Hosts | undefined {
    if (choice === undefined) return undefined;
    const connect = (host: DatabaseHost) =>
      create({ ...one, ...host, ...NOTHING_KEPT }, { applicationName: "opspilot hosts" });
    return createHosts({ choice, askerOf: (host) => createAsker(() => connect(host), askState, log), log });
  }

  const createClient = (options: ClientOptions = {}) => create(pooled, options);
  const connectPing = () => createClient({ applicationName: "opspilot ping" });
  const pings = createAsker(connectPing, async (sql) => void (await sql`select 1`), log);
  return {
    sql: createClient({ connections: POOL_CONNECTIONS }),
    createClient,
    sessionTarget: direct ?? target,
    layout: (direct ?? target).layout ?? CLASSIC_LAYOUT,
    createSession: (options = {}) => create(direct ?? target, options),
    createSocket() {
      const socket = directHosts?.createSocket() ?? new Socket();
      const breakOff = () => void socket.destroy();
      peers.add(breakOff);
      return socket.once("close", () => peers.delete(breakOff));
    },
    surveyHosts: async () => (await directHosts?.survey()) ?? [],
    ping: (limitMs) =>
      pings.ask(limitMs).then(
        () => true,
        () => false,
      ),
    load: () => sumOf([...clients].map((client) => (client as Sql & { counts(): PoolLoad }).counts())),
    async close() {
      hosts?.close();
      directHosts?.close();
      await Promise.all([...clients].map((client) => client.end({ timeout: CLOSE_LIMIT_S })));
    },
  };
}

function sumOf(loads: readonly PoolLoad[]): PoolLoad {
  const sum = (name: keyof PoolLoad) => loads.reduce((total, load) => total + load[name], 0);
  return { open: sum("open"), busy: sum("busy"), waiting: sum("waiting") };
}

/** Nothing is prepared, and nothing asked of the session, so that a pooler answers as well. */
const NOTHING_KEPT = { pooled: true, isBare: true } as const;

/** What a host is. The timeline counts the promotions that made its history; only one that writes has it at hand. */
async function askState(sql: Sql): Promise<HostState> {
  const [row] = await sql<HostState[]>`
    select s.is as "isStandby", current_setting('synchronous_standby_names') <> '' as "isSynchronous", current_setting('transaction_read_only') = 'on' as "isReadOnly",
      case when s.is then null else jsonb_build_object('system', (select system_identifier::text from pg_control_system()),
        'timeline', ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int) end as history
    from (select pg_is_in_recovery() as is) s`;
  if (!row) throw new Error("it did not say what it is");
  return row;
}

/** Each breaks its connection off if that has heard nothing since the time, in terms of `performance.now()`. */
type Peers = Set<(heardBeforeMs: number) => void>;

/** What a connection of any driver asks of the server as it connects; `pg` names it as `postgres` and the protocol do. */
export function serverLimits(
  target: DatabaseTarget,
  options: ClientOptions & SessionOptions = {},
): { options?: string } {
  if (target.isBare) return {};
  const { statementLimitMs = STATEMENT_LIMIT_MS, idleLimitMs = 0 } = options;
  const settings = {
    statement_timeout: statementLimitMs,
    idle_in_transaction_session_timeout: statementLimitMs === 0 ? 0 : IDLE_IN_TRANSACTION_LIMIT_MS,
    // PostgreSQL 13, which is to be told that it is too old, does not know it.
    ...(idleLimitMs === 0 ? {} : { idle_session_timeout: idleLimitMs }),
    ...SERVER_KEEP_ALIVE,
    ...SESSION_SETTINGS,
    ...(target.layout ? { search_path: searchPath(target.layout) } : {}),
  };
  return {
    options: Object.entries(settings)
      .map(([name, value]) => `-c ${name}=${String(value).replace(/[\\\s]/g, "\\$&")}`)
      .join(" "),
  };
}

function searchPath({ tables }: Layout): string {
  return `"${tables.replaceAll('"', '""')}"`;
}

/** As a function: given an empty one, each driver would look for another in PG* variables and files. */
export function passwordOf({ password }: DatabaseTarget): () => string {
  return () => password;
}

/** How long connecting may take, and how long a statement's answer, for the other driver. */
export const ANSWER_LIMITS_MS = { connect: CONNECT_LIMIT_S * 1_000, statement: STATEMENT_LIMIT_MS + SILENCE_GRACE_MS };

type DriverOptions = postgres.Options<Record<string, never>>;

function createSql(
  target: DatabaseTarget,
  options: ClientOptions & SessionOptions,
  peers: Peers,
  hosts: Hosts | undefined,
  log: Log,
): Sql {
  // Every setting is given that has a PG* variable: the driver looks for those of the others.
  const declared = postgres({
    host: [target.host],
    port: [target.port],
    ...(target.host.startsWith("/") ? { path: `${target.host}/.s.PGSQL.${target.port}` } : {}),
    user: target.user,
    password: passwordOf(target),
    database: target.database,
    ssl: target.tls,
    sslnegotiation: null,
    max: options.connections ?? 1,
    idle_timeout: options.onNotify ? null : IDLE_S,
    connect_timeout: CONNECT_LIMIT_S,
    max_lifetime: null,
    max_pipeline: 100,
    backoff: reconnectDelayS,
    keep_alive: KEEP_ALIVE_S,
    prepare: target.pooled !== true,
    debug: false,
    fetch_types: false,
    publications: "alltables",
    target_session_attrs: "read-write",
    connection: { application_name: options.applicationName ?? "opspilot", ...serverLimits(target, options) },
    onnotice: (notice: postgres.Notice) => log.debug({ notice: notice.message }, "a notice from the database"),
    onnotify: options.onNotify,
    onclose: options.onClose,
  } as unknown as DriverOptions);
  // This one cannot be given empty, and what it asks for is a query whose failure nobody could catch.
  const parsed = { ...declared.options, target_session_attrs: undefined, ...silence(options, peers), ...ways(hosts) };
  addArrayTypes(parsed as unknown as Parameters<typeof addArrayTypes>[0]);
  return postgres(parsed as unknown as DriverOptions);
}

/** For our patch of the driver, which has no deadline of its own. */
function silence({ statementLimitMs = STATEMENT_LIMIT_MS }: ClientOptions, peers: Peers) {
  if (statementLimitMs === 0) return {};
  return { look_s: SILENCE_LOOK_MS / 1_000, looks: (statementLimitMs + SILENCE_GRACE_MS) / SILENCE_LOOK_MS, peers };
}

/** For our patch, too: where connections go, and what hears that one has come to a server that only reads. It breaks that one off. */
function ways(hosts: Hosts | undefined) {
  return hosts === undefined ? {} : { new_socket: hosts.createSocket, onreadonly: hosts.doubt };
}

function reconnectDelayS(attempt: number): number {
  const ceilingS = Math.min(RECONNECT_S.min * 2 ** Math.min(attempt, 10), RECONNECT_S.max);
  return ceilingS * (0.5 + Math.random() / 2);
}
