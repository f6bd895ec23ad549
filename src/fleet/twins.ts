/**
 * Tokens that several hosts use: a cloned machine, a playbook that gave one token to two. They throw each other off the server by
 * turns, so each is there half of the time, and nobody knows which one an incident or a command is about.
 *
 *   two have each come back after another (A, B, A, B)  → shared: an incident of the server's, type host, source token
 *   one of them is not heard of any more                → dark: an incident of its own, source token:<its name>
 *   it is back, lives on under another process id, or has come with a token of its own → that incident's recovery
 *   only one is left, the token was rotated, or a person resolved the incident         → shared no more: the recovery
 *
 * Rows say since when, and the alerts' ids are made of that, so that whoever tells them again, after a crash or on another node,
 * tells them once; only when a recovery is stored does the row forget. Who resolves the incident though the hosts go on is told
 * anew when they have taken turns anew. While no token is shared, one look a minute is all that this costs.
 */
import type { TransactionSql } from "postgres";
import type { IngestService } from "../ingest/model.ts";
import type { Clock } from "../lib/clock.ts";
import { sha256Hex } from "../lib/hash.ts";
import type { Log } from "../lib/log.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import type { AlertPayload } from "../protocol/frames.ts";
import { lostAfterMsOf } from "./lost.ts";
import { createTeller, type Told } from "./teller.ts";
import type { SharedToken, TokenHost, TwinStore } from "./twin-store.ts";

const LOOK_INTERVAL_MS = 60_000;
const LOOK_REST_MS = 250;
/** While any token is shared. */
const SHARED_LOOK_MS = 5_000;
/** Another node looks just now. */
const LOOK_AGAIN_MS = 1_000;
/** How long after its start a node has noted whether there was an outage: the watch for lost agents does so after ten seconds. */
const KNOWS_OUTAGE_MS = 20_000;
/** An agent that is thrown out stays away for up to a minute, and may need a second try. */
const DARK_AFTER_MS_MIN = 120_000;
/** Who does not say which process it is may be an agent of the first release, which stays away for up to ten minutes. */
const NAMED_DARK_AFTER_MS_MIN = 900_000;

const SOURCE_CHARS_MAX = 255;

interface TwinWatchDeps {
  twinStore: TwinStore;
  ingest: Pick<IngestService, "accept" | "uuidOf">;
  nodeId: string;
  heartbeatTimeoutMs: number;
  /** An alert is stored for at least this long: what is older was told. */
  retentionMs: number;
  /** Tells that several hosts use one token from now on. */
  onSharing: (listener: () => void) => void;
  clock: Clock;
  loops: Loops;
  log: Log;
}

/** Tells of tokens that are shared, of hosts that are missed among those, and of the end of both. */
export function createTwinWatch(deps: TwinWatchDeps) {
  const { twinStore: store, ingest, nodeId, retentionMs, clock, log } = deps;
  const lostAfterMs = lostAfterMsOf(deps.heartbeatTimeoutMs);
  const limits = {
    darkAfterMs: Math.max(lostAfterMs, DARK_AFTER_MS_MIN),
    namedDarkAfterMs: Math.max(lostAfterMs, NAMED_DARK_AFTER_MS_MIN),
  };
  let looking: Loop | undefined;
  const settled = () => looking?.wake();
  const teller = createTeller({ ingest, log, failed: "a shared token could not be told", settled });

  /** One look; the other nodes' looks meanwhile see nothing. Milliseconds until the next, where it is not the usual time. */
  async function look(): Promise<number | undefined> {
    if (!(await store.isAnyShared())) return undefined;
    // Only what is committed is told.
    const untold = await store.alone(nodeId, lookAlone);
    for (const told of untold ?? []) teller.tell(told);
    return untold === undefined ? LOOK_AGAIN_MS : SHARED_LOOK_MS;
  }

  async function lookAlone(tx: TransactionSql): Promise<Told[]> {
    await store.end(tx, await findDone(tx));
    const dark = await store.declareDark(tx, limits);
    if (dark > 0) log.warn({ hosts: dark }, "hosts that share a token are missed");
    const tokens = await store.find(tx);
    const hosts = Map.groupBy(await store.findHosts(tx, tokens.map(agentOf)), agentOf);
    const all = tokens.map((token) => tellingOf(token, hosts.get(token.agentId) ?? []));
    const told = all.flatMap((one) => one.told);
    await teller.refresh(told, (some) => store.findStored(tx, some));
    await forget(tx, all);
    return told.filter((one) => !teller.isStored(one));
  }

  /** Whose incident is resolved: by a person, since nobody else does so before the recovery. */
  async function findDone(tx: TransactionSql): Promise<string[]> {
    const tokens = (await store.find(tx)).filter(({ endedMs }) => endedMs === null);
    const uuids = new Map(tokens.map((token) => [sharingOf(token, []).uuid, token.agentId]));
    const resolved = await store.findResolved(tx, [...uuids.keys()]);
    return [...resolved].flatMap((uuid) => uuids.get(uuid) ?? []);
  }

  /** What is to be told of one token, and what is over once it is stored. */
  function tellingOf(token: SharedToken, hosts: readonly TokenHost[]) {
    const turning = hosts.filter(({ isTurning }) => isTurning);
    const dark = hosts.filter(({ darkSince }) => darkSince !== null);
    const back = dark.filter(({ backMs }) => backMs !== null).map((host) => ({ host, recovery: returnOf(host) }));
    const ends = token.endedMs === null ? [] : [endOf(token)];
    const told = [
      ...(token.sharedMs < retentionMs ? [sharingOf(token, turning)] : []),
      ...dark.filter(({ darkMs }) => darkMs < retentionMs).map((host) => darknessOf(host, turning)),
      ...back.map(({ recovery }) => recovery),
      ...ends,
    ];
    return { token, back, ends, told };
  }

  async function forget(tx: TransactionSql, all: readonly ReturnType<typeof tellingOf>[]): Promise<void> {
    const back = all.flatMap((one) => one.back).filter(({ recovery }) => teller.isStored(recovery));
    const over = all.filter(({ ends, back }) => {
      return ends.length > 0 && [...ends, ...back.map(({ recovery }) => recovery)].every(teller.isStored);
    });
    const missedNoMore = back.map(({ host }) => host);
    if (back.length > 0) await store.clearDark(tx, missedNoMore);
    const sharedNoMore = over.map(({ token }) => token.agentId);
    if (over.length > 0) await store.clear(tx, sharedNoMore);
  }

  function sharingOf({ agentId, sharedSince, sharedMs }: SharedToken, hosts: readonly TokenHost[]): Told {
    const message =
      `${sharingInWords(hosts)}. Each throws the other off the server, so they are there by turns, and commands would reach ` +
      "whichever is there: nothing is restarted, started or stopped on them. Give each a token of its own: " +
      "`opspilot token create` on the server, then `opspilot agent install --token` on the host";
    const alert: AlertPayload = { type: "host", source: "token", message, severity: "warning", state: "firing" };
    return toldOf(agentId, `shared:${sharedSince.getTime()}`, alert, sharedMs);
  }

  function endOf({ agentId, sharedSince, endedMs }: SharedToken): Told {
    const alert: AlertPayload = {
      type: "host",
      source: "token",
      message: "One host uses the token",
      state: "resolved",
    };
    return toldOf(agentId, `own:${sharedSince.getTime()}`, alert, endedMs ?? 0);
  }

  function darknessOf(host: TokenHost, hosts: readonly TokenHost[]): Told {
    const others = hosts.filter(({ instance }) => instance !== host.instance);
    const message = `No sign of life from ${nameOf(host)}, which uses one token with ${listed(namesOf(others)) || "others"}`;
    const alert: AlertPayload = { ...subjectOf(host), message, severity: "critical", state: "firing" };
    return toldOf(host.agentId, `dark:${idOf(host)}`, alert, host.darkMs);
  }

  function returnOf(host: TokenHost): Told {
    const message = `${nameOf(host)} is missed no more`;
    const alert: AlertPayload = { ...subjectOf(host), message, state: "resolved" };
    return toldOf(host.agentId, `light:${idOf(host)}`, alert, host.backMs ?? 0);
  }

  function toldOf(agentId: string, id: string, alert: AlertPayload, ageMs: number): Told {
    const messageId = `opspilot:${id}`;
    return { agentId, messageId, uuid: ingest.uuidOf({ origin: "server", agentId, messageId }), alert, ageMs };
  }

  /** Until the other nodes are known there may have been an outage that nobody has noted. */
  async function turn(startedMs: number): Promise<number | undefined> {
    const earlyMs = startedMs + KNOWS_OUTAGE_MS - clock.monotonicMs();
    return earlyMs > 0 ? earlyMs : look();
  }

  function start(): void {
    const startedMs = clock.monotonicMs();
    deps.onSharing(() => looking?.wake());
    looking = deps.loops.start({
      name: "shared tokens",
      everyMs: LOOK_INTERVAL_MS,
      restMs: LOOK_REST_MS,
      failed: "shared tokens could not be looked after",
      turn: () => turn(startedMs),
    });
  }

  return { look, start, stop: async () => looking?.stop() };
}

const agentOf = ({ agentId }: { agentId: string }) => agentId;

/** Two may be missed since the same moment: the end of an outage. */
function idOf({ instance, darkSince }: TokenHost): string {
  return `${darkSince?.getTime()}:${sha256Hex(instance).slice(0, 16)}`;
}

function subjectOf(host: TokenHost): { type: string; source: string } {
  return { type: "host", source: `token:${nameOf(host)}`.slice(0, SOURCE_CHARS_MAX) };
}

function sharingInWords(hosts: readonly TokenHost[]): string {
  const names = namesOf(hosts);
  const [name = "one host"] = names;
  if (names.length > 1) return `${names.length > 2 ? "Several" : "Two"} hosts use one token: ${listed(names)}`;
  const boots = new Set(hosts.map(({ boot }) => boot));
  if (boots.size === 1 && !boots.has(null)) return `Two agents on ${name} use one token`;
  return `Two hosts that are both named ${name} use one token`;
}

function namesOf(hosts: readonly TokenHost[]): string[] {
  return [...new Set(hosts.map(nameOf))].sort();
}

function nameOf({ hostname }: TokenHost): string {
  return hostname ?? "a host without a name";
}

/** "a", "a and b", "a, b and c". */
function listed(names: readonly string[]): string {
  const head = names.slice(0, -1).join(", ");
  const last = names.at(-1) ?? "";
  return head === "" ? last : `${head} and ${last}`;
}
