import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { type Running, repeat } from "../lib/repeat.ts";
import type { FrameErrorReason, ServerFrame } from "../protocol/frames.ts";
import type { HeartbeatPayload } from "../protocol/payloads.ts";
import type { Delivery } from "./delivery.ts";
import { heartbeatText } from "./frames.ts";
import { DEFAULT_HEARTBEAT_SECONDS, decodeServerFrame } from "./server-frame.ts";
import type { OpenSocket, Socket, SocketEnd } from "./socket.ts";

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

export interface SessionDeps {
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
export function runSession(deps: SessionDeps, stop: AbortSignal): Promise<SessionEnd> {
  return new Promise((resolve) => startSession(deps, stop, resolve));
}

function startSession(deps: SessionDeps, stop: AbortSignal, finished: (end: SessionEnd) => void): void {
  const { delivery, clock, log } = deps;
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
    const result = { ...end, reason: brokenFor ?? end.reason, welcomeMs, acknowledged, refusal };
    if (ticking) void ticking.stop();
    finished(result);
  }
}
