/**
 * Watches the watcher: somebody else's URL is called each minute while this server does its work, so that it is heard elsewhere when
 * the calls stop. One node calls; where that one cannot work, nobody does in its place: somebody is to look.
 */
import type { Sql } from "postgres";
import { Counter, type Registry } from "prom-client";
import { type LeaderDeps, startLeader } from "../announcements/leader-store.ts";
import type { Readiness } from "../http/system.ts";
import { createFetch, type ProxyOf } from "../lib/bounded-fetch.ts";
import { type Clock, whenAborted } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Loops, Running } from "../lib/loops.ts";

const INTERVAL_MS = 60_000;
const CALL_LIMIT_MS = 10_000;
const TURN_LIMIT_MS = 30_000;
/** Among the leads of outlets, whose names have no spaces. */
const LEAD = "the heartbeat";

interface HeartbeatDeps {
  url: string;
  proxyOf: ProxyOf;
  sql: Sql;
  createSession: LeaderDeps["createSession"];
  readiness: () => Promise<Readiness>;
  /** Why alerts are not taken as they come; null while they are. */
  ingestTrouble: () => string | null;
  /** Why people may not be told; null while they are. */
  outletTrouble: () => Promise<string | null>;
  registry: Registry;
  loops: Loops;
  clock: Clock;
  log: Log;
}

/** Begins to call. */
export function startHeartbeat(deps: HeartbeatDeps): Running {
  const { sql, createSession, loops, clock, log } = deps;
  const calls = new Counter({
    name: "opspilot_heartbeats_total",
    help: "Calls of HEARTBEAT_URL: sent, failed, or withheld because something does not work",
    labelNames: ["outcome"],
    registers: [deps.registry],
  });
  for (const outcome of ["sent", "failed", "withheld"]) calls.inc({ outcome }, 0);

  async function beat(signal: AbortSignal): Promise<undefined> {
    const trouble = await troubleOf(deps);
    if (trouble !== null) {
      calls.inc({ outcome: "withheld" });
      log.warn({ why: trouble }, "the heartbeat is withheld");
      return;
    }
    const failure = await call(deps, signal);
    calls.inc({ outcome: failure === null ? "sent" : "failed" });
    if (failure !== null) log.warn({ error: failure }, "the heartbeat could not be sent");
  }

  async function lead(_: number, lost: AbortSignal, stopping: AbortSignal): Promise<void> {
    const loop = loops.start({
      name: "heartbeat",
      everyMs: INTERVAL_MS,
      turnLimitMs: TURN_LIMIT_MS,
      failed: "the heartbeat could not be looked after",
      turn: beat,
    });
    await whenAborted(AbortSignal.any([lost, stopping]));
    await loop.stop();
  }

  return startLeader({ outlet: LEAD, sql, createSession, lead, clock, log });
}

async function troubleOf(deps: HeartbeatDeps): Promise<string | null> {
  const { ready, checks } = await deps.readiness();
  if (!ready) {
    const wrong = Object.entries(checks).filter(([, word]) => word !== "ok");
    return wrong.map(([name, word]) => `${name}: ${word}`).join("; ");
  }
  return deps.ingestTrouble() ?? (await deps.outletTrouble());
}

/** Why it was not taken; null when it was. What the URL is stands nowhere: who has it can say that all is well. */
async function call({ url, proxyOf }: HeartbeatDeps, signal: AbortSignal): Promise<string | null> {
  try {
    const response = await createFetch(proxyOf)(url, {
      headers: { "user-agent": "opspilot" },
      redirect: "manual",
      signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_LIMIT_MS)]),
    });
    await response.body?.cancel();
    if (response.ok) return null;
    const isRedirect = response.status >= 300 && response.status < 400;
    return `it was answered with ${response.status}${isRedirect ? ": redirects are not followed" : ""}`;
  } catch (error) {
    return errorMessage(error).replaceAll(url, "HEARTBEAT_URL");
  }
}
