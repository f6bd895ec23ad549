import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { CloseCode, type FrameErrorReason, type ResultPayload, type ServerFrame } from "../protocol/frames.ts";
import { alertFrame, frameText, resultFrame, resultId } from "./frames.ts";
import type { HostAlert } from "./model.ts";
import { createMoments } from "./moments.ts";
import type { Spool } from "./spool.ts";
import type { SpoolFrame } from "./spool-segments.ts";

/** Sent and not yet acknowledged, at most: enough to keep a slow line busy, little to send again. */
const WINDOW_FRAMES = 64;
const WINDOW_BYTES = 1024 * 1024;
/** Where the server does not say how long to wait. */
const RETRY_AFTER_SECONDS = 5;
/** So often in a row a connection may break off over the same frames before they are sent one by one. */
const ENDS_MAX = 3;
/** So often it may break off over a single frame before that one is given up, or has to wait behind all others. */
const LONELY_ENDS_MAX = 5;

/** These close codes mean: with what you sent something is wrong. */
const BLAMING_CODES: readonly number[] = [1002, 1003, 1007, CloseCode.tooLarge, CloseCode.internal];
/** These have nothing to do with what was sent. */
const INNOCENT_CODES: readonly number[] = [
  1000,
  CloseCode.shutdown,
  CloseCode.unauthorized,
  CloseCode.overloaded,
  CloseCode.deleted,
  CloseCode.superseded,
];

export interface DeliveryDeps {
  readonly spool: Spool;
  readonly clock: Clock;
  readonly log: Log;
  /** The server has the frame, or has refused it for good, and said why. */
  readonly settled: (frameId: string, refusal?: string) => void;
}

type Refusal = Extract<ServerFrame, { type: "error" }>;

/**
 * Brings the spool to the server: in order, with a window of frames under way. Where something is wrong and it is not
 * said with which frame, they are sent again one by one, so that the culprit is found: it is dropped when the server
 * refuses it, and has to wait behind all others when the network breaks off over it. One bad frame so holds up none of
 * the others.
 */
export function createDelivery({ spool, clock, log, settled }: DeliveryDeps) {
  const moments = createMoments(clock);
  /** Bytes by id. */
  const underWay = new Map<string, number>();
  let send: ((text: string) => void) | undefined;
  let waitUntilMs: number | undefined;
  /** So many frames are still to be sent one by one. */
  let suspects = 0;
  /** Connections that ended in a row without an acknowledgement between. */
  let barrenEnds = 0;
  let refusedCount = 0;

  function pump(): void {
    while (send && waitUntilMs === undefined && hasRoom()) {
      const frame = spool.take();
      if (!frame) return;
      const text = frameText(frame, sentAtMs(frame));
      underWay.set(frame.id, text.length);
      send(text);
    }
  }

  /** By the clock that gave what is in it its moment: what lies between is right then, though the clock was set meanwhile. */
  function sentAtMs({ noted }: SpoolFrame): number {
    return clock.now() - (noted ? moments.stepMs(noted) : 0);
  }

  function hasRoom(): boolean {
    if (suspects > 0) return underWay.size === 0;
    const bytes = underWay.values().reduce((sum, one) => sum + one, 0);
    return underWay.size < WINDOW_FRAMES && bytes < WINDOW_BYTES;
  }

  function finish(frameId: string, refusal?: string): void {
    underWay.delete(frameId);
    // Told before it is forgotten: who is killed between the two sends it once more, and tells it again.
    settled(frameId, refusal);
    spool.done(frameId);
    suspects = Math.max(0, suspects - 1);
    barrenEnds = 0;
  }

  function refuse(frameId: string, code: FrameErrorReason | number, message: string): void {
    refusedCount++;
    log.error({ frame: frameId, code, message }, "the server refuses a frame for good; it is dropped");
    finish(frameId, `${code}: ${message}`);
  }

  function takeBack(): void {
    underWay.clear();
    spool.putBack();
  }

  function wait(seconds: number): void {
    if (waitUntilMs === undefined) log.warn({ seconds }, "the server asks to wait");
    waitUntilMs = Math.max(waitUntilMs ?? 0, clock.monotonicMs() + seconds * 1000);
  }

  function sendOneByOne(): void {
    suspects = Math.max(suspects, underWay.size);
    takeBack();
  }

  /** What is under way all alone. */
  function lonely(): string | undefined {
    return underWay.size === 1 ? underWay.keys().next().value : undefined;
  }

  function refusedForGood({ code, message, id }: Refusal): void {
    const culprit = id ?? lonely();
    if (culprit !== undefined && underWay.has(culprit)) refuse(culprit, code, message);
    else if (id === undefined && underWay.size > 0) sendOneByOne();
    else log.warn({ code, message, frame: id }, "the server refuses something");
    pump();
  }

  function investigate(code: number): void {
    if (underWay.size === 0 || INNOCENT_CODES.includes(code)) return;
    barrenEnds++;
    const culprit = lonely();
    if (culprit === undefined || suspects === 0) {
      if (BLAMING_CODES.includes(code) || barrenEnds >= ENDS_MAX) sendOneByOne();
    } else if (code === CloseCode.tooLarge) {
      refuse(culprit, code, "it is too large for the server, or for something before it");
    } else if (barrenEnds < LONELY_ENDS_MAX) {
      return;
    } else if (BLAMING_CODES.includes(code)) {
      refuse(culprit, code, "the server breaks off over it each time");
    } else {
      barrenEnds = 0;
      underWay.delete(culprit);
      spool.defer(culprit);
      log.error({ frame: culprit, code }, "connections break off over a frame; it has to wait behind all others");
    }
  }

  return {
    /** A connection stands: from now on frames are sent on it. */
    begin(sendText: (text: string) => void): void {
      send = sendText;
      pump();
    },
    acknowledged(frameId: string): void {
      if (underWay.has(frameId)) finish(frameId);
      pump();
    },
    refused(error: Refusal): void {
      switch (error.code) {
        case "rate_limited":
        case "overloaded":
          wait(error.retry_after_s ?? RETRY_AFTER_SECONDS);
          break;
        case "unauthorized":
          // All of it is for later: when the token is good again.
          break;
        default:
          refusedForGood(error);
      }
    },
    /** The connection is gone; what was under way waits again. */
    end(code: number): void {
      send = undefined;
      waitUntilMs = undefined;
      investigate(code);
      takeBack();
    },
    /** There is something new in the spool. */
    wake: pump,
    /** To be called every second or so: ends a wait that the server asked for. */
    tick(): void {
      if (waitUntilMs === undefined || clock.monotonicMs() < waitUntilMs) return;
      waitUntilMs = undefined;
      takeBack();
      pump();
    },
    /** Whether a connection stands on which frames are sent. */
    isOpen: () => send !== undefined,
    /** How many frames the server has refused for good. */
    refusedCount: () => refusedCount,
  };
}

export type Delivery = ReturnType<typeof createDelivery>;

interface OutboxDeps extends Pick<DeliveryDeps, "spool" | "clock" | "log"> {
  readonly delivery: Delivery;
}

/** What the agent has to say goes through here: into the spool, and from there to the server. */
export function createOutbox({ spool, delivery, clock, log }: OutboxDeps) {
  const moments = createMoments(clock);

  /** It may be on its way while it is still being written. */
  async function send(frame: SpoolFrame): Promise<void> {
    const saved = spool.add({ ...frame, noted: moments.now() });
    delivery.wake();
    await saved;
  }

  return {
    /** On disk when it resolves. */
    send,
    /** The same for what a collector saw. Never rejects. */
    async report(alert: HostAlert): Promise<void> {
      log.info({ type: alert.type, source: alert.source, state: alert.state }, "alert");
      try {
        // What a clock said before it was put back is not later than now.
        await send(alertFrame({ ...alert, atMs: Math.min(alert.atMs, clock.now()) }));
      } catch (error) {
        log.error({ error, source: alert.source }, "an alert could not be kept");
      }
    },
    /** The same for what became of a command; a result that is on its way already is not sent twice. */
    async result(result: ResultPayload): Promise<void> {
      if (!spool.has(resultId(result.command_id))) await send(resultFrame(result));
    },
  };
}

export type Outbox = ReturnType<typeof createOutbox>;
