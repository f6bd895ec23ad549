import { backoffMs, type Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { type Running, repeat } from "../lib/loops.ts";
import { CloseCode, type FrameErrorReason, type HeartbeatPayload, type ServerFrame } from "../protocol/frames.ts";
import type { Delivery } from "./delivery.ts";
import { DEFAULT_HEARTBEAT_SECONDS, decodeServerFrame, heartbeatText } from "./frames.ts";
import type { OpenSocket, Socket, SocketEnd } from "./socket.ts";
import type { ConnectionStatusFile } from "./state-dir.ts";

/** The same trouble again and again is told once in this time. */
const REMINDER_MS = 15 * 60_000;

interface ConnectionDeps extends Omit<SessionDeps, "welcomed"> {
  /** For people: where the server is. */
  readonly serverUrl: string;
  /** For `opspilot agent check`. */
  readonly status?: ConnectionStatusFile;
  /** The server has accepted us; the signal aborts when the agent stops. */
  readonly welcomed: (signal: AbortSignal) => void;
}

/** Keeps a connection to the server for as long as the agent runs. */
export function keepConnected(deps: ConnectionDeps): Running {
  const { clock, log, serverUrl: server } = deps;
  const stopping = new AbortController();
  const tell = createTelling(clock, log, server);
  const nextTry = createReconnectPolicy(clock);
  const sessionDeps: SessionDeps = {
    ...deps,
    welcomed(agentId) {
      tell.connected(agentId);
      deps.status?.connected();
      deps.welcomed(stopping.signal);
    },
  };

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const end = await runSession(sessionDeps, stopping.signal);
      if (stopping.signal.aborted) return;
      const next = nextTry(end);
      tell.ended(end, next);
      deps.status?.ended(`${next.message} (${end.refusal?.message || end.reason || end.code})`);
      await clock.sleep(next.waitMs, stopping.signal);
    }
  }

  const done = run();
  return {
    stop() {
      stopping.abort();
      return done;
    },
  };
}

/** A server that is away for days fills no log. */
function createTelling(clock: Clock, log: Log, server: string) {
  let last = { text: "", ms: Number.NEGATIVE_INFINITY };

  return {
    connected(agentId: string): void {
      last = { text: "", ms: Number.NEGATIVE_INFINITY };
      log.info({ server, agent: agentId }, "connected");
    },
    ended({ code, reason, refusal, wasOpen }: SessionEnd, { level, message, waitMs }: NextTry): void {
      const why = refusal?.message || reason;
      const text = `${message} ${why}`;
      const isNews = text !== last.text || clock.monotonicMs() - last.ms >= REMINDER_MS;
      if (isNews) last = { text, ms: clock.monotonicMs() };
      const fields = { server, ...(why ? { reason: why } : {}), ...(wasOpen ? { code } : {}) };
      log[isNews ? level : "debug"]({ ...fields, again_in_s: Math.round(waitMs / 1000) }, message);
    },
  };
}

/** With its jitter, the wait is one to two seconds at first, and up to a quarter of a minute in the end: so soon all are back. */
export const RECONNECT_BACKOFF = { minMs: 2_000, maxMs: 15_000 };
/** A connection that lived for so long after the welcome was a good one, as was one on which the server took something. */
const GOOD_MS = 10_000;
/** A token that is refused may be made good on the server at any time. */
const REFUSED_WAIT_MS = 60_000;
/** Two agents with one token throw each other out: twice within this, which is longer than both may wait, is no accident. */
const CLONE_WINDOW_MS = 180_000;
/** Half a minute to a whole one: by turns both are of use, and neither is away for so long that it counts as lost. */
const CLONE_WAIT = { minMs: 30_000, maxMs: 60_000 };

/** What is done about the end of a connection, and what a person is told. */
interface NextTry {
  readonly waitMs: number;
  readonly level: "info" | "warn" | "error";
  readonly message: string;
}

/** Decides when to try again after a connection, or after the attempt at one. There is no end to it. */
export function createReconnectPolicy(clock: Clock): (end: SessionEnd) => NextTry {
  let attempt = 0;
  let supersededMs = Number.NEGATIVE_INFINITY;

  function usual(end: SessionEnd): NextTry {
    const askedMs = (end.refusal?.retryAfterS ?? 0) * 1000;
    const waitMs = Math.max(backoffMs(attempt++, RECONNECT_BACKOFF), askedMs);
    if (end.code === CloseCode.shutdown) return { waitMs, level: "info", message: "the server is shutting down" };
    if (end.code === CloseCode.overloaded)
      return { waitMs, level: "warn", message: "the server takes no connection now" };
    const message = end.wasOpen ? "the connection to the server is lost" : "the server cannot be reached";
    return { waitMs, level: "warn", message };
  }

  function superseded(end: SessionEnd): NextTry {
    const beforeMs = supersededMs;
    supersededMs = clock.monotonicMs();
    if (supersededMs - beforeMs > CLONE_WINDOW_MS) {
      return { ...usual(end), message: "another connection with this agent's token has taken over" };
    }
    return {
      waitMs: backoffMs(1, CLONE_WAIT),
      level: "error",
      message:
        "another agent uses this agent's token: was this host cloned? Give each host a token of its own " +
        "(`opspilot token create` on the server)",
    };
  }

  return (end) => {
    if ((end.welcomeMs ?? 0) >= GOOD_MS || end.acknowledged > 0) attempt = 0;
    if (end.code === CloseCode.superseded) return superseded(end);
    if (isRefusal(end)) return { waitMs: refusedWaitMs(), level: "error", message: REFUSED };
    if (end.refusal?.code === "unsupported_version") {
      return { waitMs: refusedWaitMs(), level: "error", message: "the server is too old for this agent" };
    }
    return usual(end);
  };
}

const REFUSED =
  "the server does not accept this agent's token: make one by `opspilot token create` on the server, and set OPSPILOT_TOKEN " +
  "(or OPSPILOT_ENROL_TOKEN to a new enrolment token)";

/** Whole minutes would bring the agents of a fleet back in step. */
function refusedWaitMs(): number {
  return REFUSED_WAIT_MS + Math.random() * (REFUSED_WAIT_MS / 10);
}

function isRefusal({ code, refusal }: SessionEnd): boolean {
  return refusal?.code === "unauthorized" || code === CloseCode.deleted || code === CloseCode.unauthorized;
}

const TICK_MS = 1_000;
/** Below the minute after which usual proxies and balancers cut off a connection on which nothing comes. */
const PING_AFTER_MS = 25_000;
/** Three pings without an answer, or anything else: the other side is gone, and nobody will tell us. */
const SILENT_MS_MAX = 75_000;
/** Something answers there, but it is no OpsPilot server. */
const WELCOME_LIMIT_MS = 60_000;

const HEARTBEAT_PREFIX = "heartbeat-";

/** How a connection went. */
export interface SessionEnd extends SocketEnd {
  /** For how long the server had accepted us; undefined when it never did. */
  readonly welcomeMs: number | undefined;
  /** How many of the spool's frames the server has acknowledged on it. */
  readonly acknowledged: number;
  /** What the server had against us. */
  readonly refusal: { code: FrameErrorReason; message: string; retryAfterS: number | undefined } | undefined;
}

interface SessionDeps {
  readonly openSocket: OpenSocket;
  readonly delivery: Delivery;
  readonly readFacts: () => Promise<HeartbeatPayload>;
  readonly command: (frame: Extract<ServerFrame, { type: "command" }>) => void;
  readonly welcomed: (agentId: string) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * One connection from its beginning to its end: open → first heartbeat → welcome → heartbeats, the spool's frames and
 * commands → end. It says goodbye when `stop` aborts. Never rejects.
 */
function runSession(deps: SessionDeps, stop: AbortSignal): Promise<SessionEnd> {
  const { delivery, clock, log } = deps;
  const { promise, resolve } = Promise.withResolvers<SessionEnd>();
  const openedAtMs = clock.monotonicMs();
  let ticking: Running | undefined;
  let isOver = false;
  let heardMs = openedAtMs;
  let pingedMs = openedAtMs;
  let heartbeatMs = DEFAULT_HEARTBEAT_SECONDS * 1000;
  let nextHeartbeatMs = 0;
  let heartbeats = 0;
  let acknowledged = 0;
  let welcomedMs: number | undefined;
  let refusal: SessionEnd["refusal"];
  let brokenFor: string | undefined;

  const socket: Socket = deps.openSocket({ opened, received, heard, ended });
  const goodbye = () => socket.close(1000, "goodbye");
  if (stop.aborted) goodbye();
  else stop.addEventListener("abort", goodbye, { once: true });

  function opened(): void {
    heard();
    nextHeartbeatMs = heardMs;
    const failed = (error: unknown) => log.error({ error: errorMessage(error) }, "a heartbeat could not be sent");
    ticking = repeat(clock, TICK_MS, tick, failed);
    tick().catch(failed);
  }

  async function tick(): Promise<void> {
    const nowMs = clock.monotonicMs();
    if (nowMs - heardMs >= SILENT_MS_MAX) return breakOff("the server has been silent for too long");
    if (welcomedMs === undefined && nowMs - openedAtMs >= WELCOME_LIMIT_MS) {
      return breakOff("what answers there does not welcome agents as an OpsPilot server does");
    }
    if (nowMs - Math.max(heardMs, pingedMs) >= PING_AFTER_MS) {
      pingedMs = nowMs;
      socket.ping();
    }
    delivery.tick();
    if (nowMs >= nextHeartbeatMs) await beat(nowMs);
  }

  async function beat(nowMs: number): Promise<void> {
    nextHeartbeatMs = nowMs + heartbeatMs;
    const facts = await deps.readFacts();
    if (!isOver) socket.send(heartbeatText(`${HEARTBEAT_PREFIX}${++heartbeats}`, facts, clock.now()));
  }

  function breakOff(why: string): void {
    brokenFor = why;
    socket.terminate();
  }

  function heard(): void {
    heardMs = clock.monotonicMs();
  }

  function received(text: string): void {
    const frame = decodeServerFrame(text);
    if (!frame || isOver) return;
    switch (frame.type) {
      case "welcome":
        welcome(frame.agent_id, frame.heartbeat_s);
        break;
      case "ack":
        if (frame.id.startsWith(HEARTBEAT_PREFIX)) break;
        acknowledged++;
        delivery.acknowledged(frame.id);
        break;
      case "error":
        refused(frame);
        break;
      case "command":
        deps.command(frame);
    }
  }

  function welcome(agentId: string, heartbeatSeconds: number): void {
    heartbeatMs = heartbeatSeconds * 1000;
    nextHeartbeatMs = clock.monotonicMs() + heartbeatMs;
    if (welcomedMs !== undefined) return;
    welcomedMs = clock.monotonicMs();
    refusal = undefined;
    deps.welcomed(agentId);
    delivery.begin((text) => socket.send(text));
  }

  function refused(error: Extract<ServerFrame, { type: "error" }>): void {
    const { code, message, retry_after_s: retryAfterS } = error;
    if (welcomedMs === undefined || code === "unauthorized") refusal = { code, message, retryAfterS };
    if (welcomedMs !== undefined) delivery.refused(error);
    // Who is not accepted yet asks again as soon as that is wanted.
    else nextHeartbeatMs = clock.monotonicMs() + (retryAfterS ?? DEFAULT_HEARTBEAT_SECONDS) * 1000;
  }

  function ended(end: SocketEnd): void {
    isOver = true;
    stop.removeEventListener("abort", goodbye);
    delivery.end(end.code);
    const welcomeMs = welcomedMs === undefined ? undefined : clock.monotonicMs() - welcomedMs;
    if (ticking) void ticking.stop();
    resolve({ ...end, reason: brokenFor ?? end.reason, welcomeMs, acknowledged, refusal });
  }
  return promise;
}
