/**
 * Which of several hosts is the one to write to. Each is asked what it is, over a connection of its own: before a connection is
 * made, and every two seconds. When another one has become it, all connections to the former are broken off, so that this process
 * never writes to two.
 *
 * Where a standby was promoted, the former primary may come back and take writes as if nothing had been: its history ended
 * with an older timeline than the one that was seen since, and it is not gone back to.
 */
import { Socket } from "node:net";
import type { DatabaseHost, HostChoice } from "../config/database-url.ts";
import { errorCode, errorMessage, OpsPilotError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Asker } from "./asker.ts";
import { describeHost } from "./target.ts";

/** What a host says of itself. */
export interface HostState {
  readonly isStandby: boolean;
  /** It takes no writes, as a standby does, or was told so. */
  readonly isReadOnly: boolean;
  /** Its commits wait for a standby. */
  readonly isSynchronous: boolean;
  /** Of which history it is, and after how many promotions. Null on a standby, which is not asked. */
  readonly history: { readonly system: string; readonly timeline: number } | null;
}

/** None of the hosts is what is wanted; `code` is that of each, where all failed alike. */
export class NoHostError extends OpsPilotError<"no_host"> {
  constructor(
    message: string,
    readonly code: string,
    options?: ErrorOptions,
  ) {
    super("no_host", message, options);
  }
}

/** The code where they differ. */
export const NO_HOST = "NO_HOST";

/** So long what was found is relied on: connections that are made together are made after one search. */
const FRESH_MS = 500;
const WATCH_MS = 2_000;
/** A host that does not say by then what it is does not count. */
const LOOK_LIMIT_MS = 2_000;
/** Once one is fit, the others have so long to show that they are fitter. */
const OTHERS_MS = 250;

interface HostsDeps {
  choice: HostChoice;
  /** Rejects when the host cannot be reached. Its session goes on as it was made: after a doubt another is asked. */
  askerOf: (host: DatabaseHost) => Asker<HostState>;
  log: Log;
}

/** What came of a look at one. */
type Looked = { host: DatabaseHost; state: HostState } | { host: DatabaseHost; error: unknown };

/** One choice among hosts, for all connections of a process. */
export function createHosts({ choice: { hosts, wanted }, askerOf, log }: HostsDeps) {
  const places = hosts.map((host) => ({ host, asker: askerOf(host) }));
  const sockets = new Map<Socket, DatabaseHost>();
  let chosen: { host: DatabaseHost; atMs: number } | undefined;
  let isDoubtful = true;
  let latest: HostState["history"] = null;
  let searching: Promise<DatabaseHost> | undefined;
  let watch: Timer | undefined;
  let isClosed = false;

  async function lookAt({ host, asker }: (typeof places)[number]): Promise<Looked> {
    try {
      return { host, state: await asker.ask(LOOK_LIMIT_MS) };
    } catch (error) {
      return { host, error };
    }
  }

  async function search(): Promise<DatabaseHost> {
    const found = await lookAround(places.map(lookAt), isFit);
    const fit = found.flatMap((one) => ("state" in one && isFit(one) ? [one] : []));
    // The sort is stable: of equals it is the one that is used, then the first that was named.
    const [best] = fit.sort((a, b) => timelineOf(b) - timelineOf(a) || usedFirst(a) - usedFirst(b));
    if (best === undefined) {
      forget();
      throw noHost(found);
    }
    use(best.host);
    latest = best.state.history ?? latest;
    return best.host;
  }

  const timelineOf = ({ state }: { state: HostState }) => (wanted === "any" ? 0 : (state.history?.timeline ?? 0));
  const usedFirst = ({ host }: { host: DatabaseHost }) => (host === chosen?.host ? 0 : 1);

  function isFit(one: Looked): boolean {
    return objectionTo(one) === undefined;
  }

  function forget(): void {
    for (const { asker } of places) asker.forget();
  }

  function objectionTo(one: Looked): string | undefined {
    if ("error" in one) return errorMessage(one.error);
    const { isStandby, isReadOnly, history } = one.state;
    if (wanted === "any") return undefined;
    if (isStandby) return "it is a standby";
    if (wanted === "read-write" && isReadOnly) return "it takes no writes (default_transaction_read_only)";
    const isPast = history?.system === latest?.system && (history?.timeline ?? 0) < (latest?.timeline ?? 0);
    return isPast ? `it was the primary before another was promoted (timeline ${history?.timeline})` : undefined;
  }

  function noHost(found: readonly Looked[]): NoHostError {
    const texts = found.map((one) => `${describeHost(one.host)}: ${objectionTo(one) ?? "it is fit"}`);
    const codes = new Set(found.map((one) => ("error" in one ? errorCode(one.error, NO_HOST) : NO_HOST)));
    const [code = NO_HOST] = codes.size === 1 ? codes : [];
    const [first] = found;
    const cause = first && "error" in first ? first.error : undefined;
    return new NoHostError(`no host can be used: ${texts.join("; ")}`, code, { cause });
  }

  function use(host: DatabaseHost): void {
    if (chosen && chosen.host !== host)
      log.warn({ host: describeHost(host), before: describeHost(chosen.host) }, "the database is on another host now");
    chosen = { host, atMs: performance.now() };
    isDoubtful = false;
    for (const [socket, place] of sockets) if (place !== host) socket.destroy();
  }

  async function find(): Promise<DatabaseHost> {
    if (isClosed) throw new NoHostError("the database is closed", NO_HOST);
    if (chosen && !isDoubtful && performance.now() - chosen.atMs < FRESH_MS) return chosen.host;
    searching ??= search().finally(() => {
      searching = undefined;
    });
    return searching;
  }

  /** A driver that talks TLS over a socket takes our listener away from it. */
  function forgetClosed(): void {
    for (const socket of sockets.keys()) if (socket.destroyed) sockets.delete(socket);
  }

  function lookAgain(): void {
    forgetClosed();
    if (sockets.size === 0) return;
    isDoubtful = true;
    find().catch((error) => log.debug({ error: errorMessage(error) }, "no host can be used"));
  }

  async function lead(socket: HostSocket): Promise<void> {
    try {
      const host = await find();
      if (socket.destroyed) return;
      sockets.set(socket, host);
      socket.connectTo(host);
    } catch (error) {
      socket.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  return {
    /** What each of them is, for people; those that do not answer with why not. */
    async survey(): Promise<HostReport[]> {
      return (await Promise.all(places.map(lookAt))).map(reportOf);
    },
    /** A socket that leads to the one host, whatever a driver tells it to connect to. */
    createSocket(): Socket {
      watch ??= setInterval(lookAgain, WATCH_MS).unref();
      const socket = new HostSocket(lead);
      return socket.once("close", (hadError) => {
        sockets.delete(socket);
        if (hadError) isDoubtful = true;
      });
    },
    /** What was found last may not hold any more. */
    doubt(): void {
      forget();
      lookAgain();
    },
    /** Looks no more; sockets that are open stay. Safe to call twice. */
    close(): void {
      isClosed = true;
      clearInterval(watch);
    },
  };
}

/** One host in a word. */
export interface HostReport {
  readonly host: string;
  readonly is: "writable" | "standby" | "read-only" | "away";
  /** Why it is away. */
  readonly why?: string;
  /** Of one that is writable: the same for two ways to one database. */
  readonly history?: string;
  /** Its commits wait for a standby. */
  readonly isSynchronous?: boolean;
}

function reportOf(one: Looked): HostReport {
  const host = describeHost(one.host);
  if ("error" in one) return { host, is: "away", why: errorMessage(one.error) };
  if (one.state.isStandby) return { host, is: "standby" };
  const { isReadOnly, isSynchronous, history } = one.state;
  const is = isReadOnly ? "read-only" : "writable";
  return { host, is, isSynchronous, history: `${history?.system}/${history?.timeline}` };
}

export type Hosts = ReturnType<typeof createHosts>;

/** All that answer; once one of them is fit, those that take long are not waited for. In the order of the looks. */
async function lookAround(looks: readonly Promise<Looked>[], isFit: (one: Looked) => boolean): Promise<Looked[]> {
  const found: Looked[] = [];
  const { promise: enough, resolve } = Promise.withResolvers<void>();
  let timer: Timer | undefined;
  const noted = looks.map(async (looking, at) => {
    const one = await looking;
    found[at] = one;
    if (isFit(one)) timer ??= setTimeout(resolve, OTHERS_MS);
  });
  await Promise.race([Promise.all(noted), enough]);
  clearTimeout(timer);
  return found.filter((one) => one !== undefined);
}

/** Both drivers tell a socket of `net` where to connect, and wait for its word that it is. */
class HostSocket extends Socket {
  readonly #lead: (socket: HostSocket) => Promise<void>;

  constructor(lead: (socket: HostSocket) => Promise<void>) {
    super();
    this.#lead = lead;
  }

  override connect(..._: unknown[]): this {
    void this.#lead(this);
    return this;
  }

  connectTo({ host, port }: DatabaseHost): void {
    if (host.startsWith("/")) super.connect(`${host}/.s.PGSQL.${port}`);
    else super.connect(port, host);
  }
}
