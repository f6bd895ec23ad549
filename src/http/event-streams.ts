/**
 * Who listens to changes as they happen, on this node. A NOTIFY tells which rows changed, on whatever node; they are read once for all
 * streams, and only while there are any. Streams are told in batches: of a row that changes many times a second the last state.
 *
 * Each event's id is the cursor of the batch before its own. Whoever comes back with it is told that batch again, and misses nothing:
 * a row may be visible a moment before its notice is here.
 */
import { Counter, Gauge, type Registry } from "prom-client";
import { type Cursor, readCursor, readNotice } from "../db/changes.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import { CHANGES_MAX, type ChangeEvent, type ChangeSources, readChanges } from "./event-feed.ts";

/** One for each browser that shows the page. */
const STREAMS_MAX = 256;
/** Batches that come while a reader's missed ones are read. */
const HELD_BATCHES_MAX = 32;
/** What waits for a reader, beyond what its socket holds, before it is dropped. */
const UNREAD_BYTES_MAX = 2 * 1024 * 1024;
/** A longer batch is not sent: the lists are shorter. */
const BATCH_BYTES_MAX = 1024 * 1024;
/** Proxies, and Bun, end what is silent for a minute. */
const SIGN_INTERVAL_MS = 15_000;
/** Changes come many times a second in a storm. */
const BATCH_REST_MS = 200;
/** After so much that all are to read the lists anew. */
const RESET_REST_MS = 2_000;
/** Above the time in which it is noticed that the connection on which notices come is dead (db/notifications.ts). */
const NOTICED_WITHIN_MS = 60_000;
/** Where nobody listens there is nothing to do. */
const UNHEARD_MS = 3_600_000;
const RETRY_MS_MAX = 5_000;

export interface EventStreamDeps {
  sources: ChangeSources;
  loops: Loops;
  clock: Pick<Clock, "now" | "monotonicMs">;
  log: Log;
  registry: Registry;
  version: string;
  access: "open" | "token";
}

/** Who wants to listen. */
export interface Listener {
  /** The id of the last event that it has. */
  after: string | undefined;
  /** Whether it may still; asked from time to time. */
  isAllowed: () => boolean | Promise<boolean>;
  /** Aborts when it is gone. */
  signal: AbortSignal;
}

/** Streams of changes. */
export interface EventStreams {
  /** A new stream; undefined when there are too many, or the server is about to stop. Rejects when the database is away. */
  open(listener: Listener): Promise<ReadableStream<Uint8Array> | undefined>;
}

interface Reader {
  listener: Listener;
  controller: ReadableStreamDefaultController<Uint8Array>;
  /** Batches that came while what it missed is read; null once it is told at once. */
  held: Uint8Array[] | null;
}

/** What is to be told next. */
interface Pending {
  incidents: Set<number>;
  agents: Set<string>;
  commands: Set<string>;
  /** Notices may have been missed. */
  isMissed: boolean;
}

/** Makes the streams of this node. */
export function createEventStreams(deps: EventStreamDeps) {
  const { sources, loops, clock, log, registry } = deps;
  const readers = new Set<Reader>();
  const dropped = createMetrics(registry, () => readers.size);
  let pending = nothing();
  /** How far all streams were told; unknown while there are none. */
  let told: Promise<Cursor> | undefined;
  /** Where it was a while ago, and a while before that: until there no notice is missed that nobody has noticed yet. */
  let anchors: { atMs: number; cursor: Cursor }[] = [];
  let signDueMs = 0;
  let calmUntilMs = 0;
  let loop: Loop | undefined;
  let isStopped = false;

  function end(reader: Reader, why?: "slow"): void {
    if (!readers.delete(reader)) return;
    try {
      if (why === undefined) reader.controller.close();
      else reader.controller.error(new Error("the reader takes too little"));
    } catch (error) {
      log.debug({ error: errorMessage(error) }, "a stream was over already");
    }
  }

  /** The first reader finds nothing of those before: what happened since was not listened to. */
  function begin(): void {
    told = undefined;
    anchors = [];
    pending = nothing();
    signDueMs = clock.monotonicMs() + SIGN_INTERVAL_MS;
  }

  /** From the first reader on; asked for again where it did not come. */
  function position(): Promise<Cursor> {
    const asked = told ?? sources.now();
    told = asked;
    asked.catch(() => {
      if (told === asked) told = undefined;
    });
    return asked;
  }

  function send(reader: Reader, bytes: Uint8Array): void {
    const { held, controller } = reader;
    if (!readers.has(reader)) return;
    if (held !== null && held.length < HELD_BATCHES_MAX) held.push(bytes);
    else if (held === null && (controller.desiredSize ?? 0) > 0) controller.enqueue(bytes);
    else drop(reader);
  }

  function drop(reader: Reader): void {
    dropped.inc();
    log.info({ unreadBytesMax: UNREAD_BYTES_MAX }, "a stream's reader takes too little, and is dropped");
    end(reader, "slow");
  }

  function sendAll(text: string): void {
    if (text === "") return;
    const bytes = new TextEncoder().encode(text);
    for (const reader of [...readers]) send(reader, bytes);
  }

  /** All changes since the last look, to all. */
  async function look(): Promise<void> {
    const last = await position();
    if (anchors.length === 0) anchor(last);
    const taken = pending;
    pending = nothing();
    const since = taken.isMissed ? (anchors[0]?.cursor ?? last) : last;
    const changes = await readChanges(sources, since, taken.isMissed ? undefined : taken);
    const batch = changes && batchOf(changes.events, textOf(last));
    if (changes && batch !== undefined) {
      sendAll(batch);
      move(changes.cursor);
      return;
    }
    const now = changes?.cursor ?? (await sources.now());
    sendAll(block(textOf(now), "reset", {}));
    anchors = [];
    move(now);
    calmUntilMs = clock.monotonicMs() + RESET_REST_MS;
  }

  function move(cursor: Cursor): void {
    told = Promise.resolve(cursor);
    const isOld = clock.monotonicMs() - (anchors.at(-1)?.atMs ?? 0) >= NOTICED_WITHIN_MS;
    if (anchors.length === 0 || isOld) anchor(cursor);
  }

  function anchor(cursor: Cursor): void {
    anchors = [...anchors.slice(-1), { atMs: clock.monotonicMs(), cursor }];
  }

  /** A sign of life: a comment for whatever is between, and for the reader how new all is. Who may listen no more is told nothing. */
  async function sign(isFresh: boolean): Promise<void> {
    signDueMs = clock.monotonicMs() + SIGN_INTERVAL_MS;
    await Promise.all([...readers].map(askAgain));
    sendAll(isFresh ? `:\n${block(undefined, "alive", { at: instant() })}` : ":\n\n");
  }

  async function askAgain(reader: Reader): Promise<void> {
    try {
      if (!(await reader.listener.isAllowed())) end(reader);
    } catch (error) {
      log.debug({ error: errorMessage(error) }, "whether a stream may go on could not be asked");
    }
  }

  async function turn(): Promise<number | undefined> {
    if (readers.size === 0) return undefined;
    const isSignDue = clock.monotonicMs() >= signDueMs;
    try {
      await look();
    } catch (error) {
      pending.isMissed = true;
      if (isSignDue) await sign(false);
      throw error;
    }
    if (isSignDue) await sign(true);
    const nowMs = clock.monotonicMs();
    return Math.max(0, calmUntilMs > nowMs ? calmUntilMs - nowMs : signDueMs - nowMs);
  }

  /** What a reader that comes back has missed. */
  async function missedSince(text: string): Promise<string> {
    const since = readCursor(text);
    const changes = since && (await readChanges(sources, since, undefined));
    const last = changes && textOf(changes.cursor);
    const batch = changes && batchOf(changes.events, text, last);
    return batch ?? block(last ?? textOf(await sources.now()), "reset", {});
  }

  async function greet(reader: Reader): Promise<void> {
    const { after } = reader.listener;
    const cursor = textOf(await position());
    const isKnown = after !== undefined && readCursor(after) !== undefined;
    const missed = after === undefined ? "" : await missedSince(after);
    const { version, access } = deps;
    const hello = block(isKnown ? after : cursor, "hello", { version, at: instant(), access });
    const held = reader.held ?? [];
    reader.held = null;
    for (const bytes of [new TextEncoder().encode(hello + missed), ...held]) send(reader, bytes);
  }

  const instant = () => new Date(clock.now()).toISOString();

  return {
    async open(listener: Listener) {
      if (isStopped || readers.size >= STREAMS_MAX) return undefined;
      const { stream, reader } = createReader(listener, (gone) => end(gone));
      if (readers.size === 0) begin();
      readers.add(reader);
      try {
        await greet(reader);
      } catch (error) {
        end(reader);
        throw error;
      }
      loop?.wake();
      return stream;
    },
    /** A notice of CHANGES_CHANNEL. */
    onMessage(payload: string): void {
      if (readers.size === 0) return;
      const notice = readNotice(payload);
      if (notice) add(pending, notice);
      if (clock.monotonicMs() >= calmUntilMs) loop?.wake();
    },
    /** Notices come from now on; those before may have been missed. */
    onReady(): void {
      pending.isMissed = true;
      if (readers.size > 0) loop?.wake();
    },
    start(): void {
      loop ??= loops.start({
        name: "event streams",
        everyMs: UNHEARD_MS,
        restMs: BATCH_REST_MS,
        retryMsMax: RETRY_MS_MAX,
        restsFirst: true,
        failed: "changes could not be read for the streams, trying again",
        turn,
      });
    },
    /** Ends all streams; their readers come back to another node, or to this one once it is there again. */
    async stop(): Promise<void> {
      isStopped = true;
      for (const reader of [...readers]) end(reader);
      await loop?.stop();
    },
  } satisfies EventStreams & Record<string, unknown>;
}

function nothing(): Pending {
  return { incidents: new Set(), agents: new Set(), commands: new Set(), isMissed: false };
}

/** More than are told one by one need not be remembered. */
function add(pending: Pending, { what, ids }: NonNullable<ReturnType<typeof readNotice>>): void {
  if (pending[what].size > CHANGES_MAX) return;
  if (what === "incidents") for (const id of ids) pending.incidents.add(Number(id));
  else for (const id of ids) pending[what].add(id);
}

/** A stream that nobody reads yet, and its reader; `gone` hears when the client has left. */
function createReader(listener: Listener, gone: (reader: Reader) => void) {
  let made: Reader | undefined;
  const stream = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        made = { listener, controller, held: [] };
      },
      cancel: () => leave(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: UNREAD_BYTES_MAX }),
  );
  const reader = made as unknown as Reader;
  const leave = () => gone(reader);
  listener.signal.addEventListener("abort", leave, { once: true });
  return { stream, reader };
}

/** The events as text, undefined when that is too long. All have the id of what was told before; the last one may have another. */
function batchOf(events: readonly ChangeEvent[], id: string, lastId = id): string | undefined {
  const blocks = events.map(({ name, data }, at) => block(at === events.length - 1 ? lastId : id, name, data));
  const text = blocks.join("");
  return text.length > BATCH_BYTES_MAX ? undefined : text;
}

function block(id: string | undefined, name: string, data: object): string {
  const head = id === undefined ? "" : `id: ${id}\n`;
  return `${head}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

function textOf({ atS, snapshot }: Cursor): string {
  return `${atS}.${snapshot}`;
}

function createMetrics(registry: Registry, open: () => number) {
  new Gauge({
    name: "opspilot_event_streams",
    help: "Streams of changes (GET /v1/events) on this node",
    registers: [registry],
    collect() {
      this.set(open());
    },
  });
  return new Counter({
    name: "opspilot_event_streams_dropped_total",
    help: "Streams whose reader took too little",
    registers: [registry],
  });
}
