import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { decodeRecord, encodeRecord, openSegments, type Position, type SpoolFrame } from "./spool-segments.ts";

/** Memory is bounded too: what is known of each record takes about 100 bytes. */
const RECORDS_MAX = 100_000;
/** A full spool is brought down by this part of its bound at once, so that not every further alert makes it full again. */
const ROOM_PART = 1 / 8;
/** What the disk does not take is kept in memory up to here. */
const UNWRITTEN_BYTES_MAX = 4 * 1024 * 1024;
/** A disk that is full is told of once in this time. */
const COMPLAINT_MS = 10 * 60_000;
/** One write, and one wait for the disk, is for so much. */
const BATCH_BYTES_MAX = 256 * 1024;
/** Records that are done are forgotten by so many at once. */
const SWEEP_AT = 500;
/** No segment has this number. */
const NOWHERE = 0;

/**
 * What is to reach the server, on disk until it has: waiting → in flight → done, in order of age. What was in flight
 * when a connection ended waits again. After a crash some that were done are sent once more, which the server knows by
 * their ids. The directory is made when it is not there, and used by one process at a time; throws what the system says
 * when it cannot be used.
 */
export function openSpool(options: { dir: string; bytesMax: number; clock: Clock; log: Log }) {
  const { dir, bytesMax, clock, log } = options;
  const segments = openSegments(dir);
  /** In order of age; those at the beginning that are done are cut off now and then. */
  const entries: Entry[] = [];
  const inFlight = new Map<string, Entry>();
  const resultIds = new Set<string>();
  /** How many records of each segment are still wanted, and which segments have others too. */
  const wanted = new Map<number, number>();
  const littered = new Set<number>();
  /** Frames that the server has not acknowledged; given up: repeats of what is still told, others, and what was damaged. */
  const counts = { waiting: 0, droppedRepeats: 0, droppedOthers: 0, damaged: 0 };
  let cursor = 0;
  let unwritten: Entry[] = [];
  let lastWrite = Promise.resolve();
  let complainedMs = Number.NEGATIVE_INFINITY;

  counts.damaged = segments.scan((position, frame) => place(remember(frame, undefined), position));
  if (counts.damaged > 0) log.warn({ records: counts.damaged }, "the spool had records that were damaged or cut off");

  function remember(frame: SpoolFrame, line: string | undefined): Entry {
    const { type, key } = frame;
    const bytes = line === undefined ? 0 : Buffer.byteLength(line);
    const entry: Entry = { type, key, bytes, state: "waiting", line, segment: NOWHERE, offset: 0 };
    entries.push(entry);
    counts.waiting++;
    if (type === "result") resultIds.add(frame.id);
    return entry;
  }

  /** It is on disk; who was done with it meanwhile leaves litter there. */
  function place(entry: Entry, { segment, offset, bytes }: Position): void {
    entry.line = undefined;
    Object.assign(entry, { segment, offset, bytes });
    if (entry.state === "done") litter(segment);
    else wanted.set(segment, (wanted.get(segment) ?? 0) + 1);
  }

  async function writeAll(): Promise<void> {
    for (let batch = nextBatch(); batch.length > 0; batch = nextBatch()) {
      try {
        await makeRoom(sumOf(batch));
        const positions = await segments.append(batch.map(({ line }) => line ?? ""));
        for (const [at, position] of positions.entries()) place(batch[at] as Entry, position);
        sweep();
      } catch (error) {
        unwritten = [...batch, ...unwritten];
        complain(error);
        spareMemory();
        return;
      }
    }
  }

  function nextBatch(): Entry[] {
    unwritten = unwritten.filter(({ state }) => state !== "done");
    let bytes = 0;
    const end = unwritten.findIndex((entry) => {
      bytes += entry.bytes;
      return bytes > BATCH_BYTES_MAX;
    });
    return unwritten.splice(0, end < 0 ? unwritten.length : Math.max(end, 1));
  }

  function complain(error: unknown): void {
    if (clock.monotonicMs() - complainedMs < COMPLAINT_MS) return;
    complainedMs = clock.monotonicMs();
    log.error({ error: errorMessage(error), dir }, "the spool cannot be written; what happens now is kept in memory");
  }

  function spareMemory(): void {
    const excess = sumOf(unwritten) - UNWRITTEN_BYTES_MAX;
    if (excess <= 0) return;
    drop(unwritten, excess);
    unwritten = unwritten.filter(({ state }) => state !== "done");
  }

  /** Gives up records so that so many bytes more fit into the bound. */
  async function makeRoom(neededBytes: number): Promise<void> {
    const excess = () => segments.totalBytes() + neededBytes - bytesMax;
    if (excess() <= 0 && counts.waiting <= RECORDS_MAX) return;
    // Where this fails for lack of space, nothing is given up in vain.
    await tidyUp();
    if (excess() <= 0 && counts.waiting <= RECORDS_MAX) return;
    drop(
      entries.filter(({ line }) => line === undefined),
      Math.max(excess(), 0) + bytesMax * ROOM_PART,
    );
    await tidyUp();
  }

  function drop(candidates: readonly Entry[], bytes: number): void {
    const { repeats, others } = chooseDrops(
      candidates.filter(({ state }) => state === "waiting"),
      bytes,
    );
    for (const entry of [...repeats, ...others]) finish(entry);
    counts.droppedRepeats += repeats.length;
    counts.droppedOthers += others.length;
    log.warn({ repeats: repeats.length, others: others.length }, "the spool is full: the oldest alerts were given up");
  }

  function finish(entry: Entry): void {
    if (entry.state === "done") return;
    entry.state = "done";
    counts.waiting--;
    if (entry.line !== undefined) return;
    wanted.set(entry.segment, (wanted.get(entry.segment) ?? 1) - 1);
    litter(entry.segment);
  }

  function litter(segment: number): void {
    littered.add(segment);
    removeIfUnwanted(segment);
  }

  function removeIfUnwanted(segment: number): void {
    if ((wanted.get(segment) ?? 0) > 0 || segment === segments.appending()) return;
    try {
      segments.remove(segment);
      wanted.delete(segment);
      littered.delete(segment);
    } catch (error) {
      // It stays littered, and is tried again; what is in it is known to be done.
      complain(error);
    }
  }

  /** Forgets what is done, on disk (whole files) and in memory. */
  function sweep(): void {
    for (const segment of littered) removeIfUnwanted(segment);
    const end = entries.findIndex(({ state }) => state !== "done");
    const doneCount = end < 0 ? entries.length : end;
    entries.splice(0, doneCount);
    cursor = Math.max(0, cursor - doneCount);
  }

  /** Rewrites the files that have litter among what is wanted, one at a time so that nobody waits for long. */
  async function tidyUp(): Promise<void> {
    const kept = Map.groupBy(entries, ({ segment }) => segment);
    for (const segment of [...littered]) {
      if (segment === segments.appending() || !littered.has(segment)) continue;
      const records = (kept.get(segment) ?? []).filter(({ state }) => state !== "done");
      const positions = segments.rewrite(segment, records);
      for (const [at, { offset }] of positions.entries()) (records[at] as Entry).offset = offset;
      littered.delete(segment);
      await new Promise((resolve) => setImmediate(resolve));
    }
    sweep();
  }

  function write(): Promise<void> {
    lastWrite = lastWrite.then(writeAll);
    return lastWrite;
  }

  function readEntry(entry: Entry): SpoolFrame | undefined {
    return entry.line === undefined ? segments.read(entry) : decodeRecord(entry.line.slice(0, -1));
  }

  return {
    /** On disk when it resolves, or, where the disk is full, in memory. Never rejects. */
    add(frame: SpoolFrame): Promise<void> {
      unwritten.push(remember(frame, encodeRecord(frame)));
      return write();
    },
    /** Whether a frame of this id is here. */
    has: (id: string) => resultIds.has(id),
    /** The oldest that waits; it is in flight from then on. */
    take(): SpoolFrame | undefined {
      for (; cursor < entries.length; cursor++) {
        const entry = entries[cursor];
        if (entry?.state !== "waiting") continue;
        const frame = readEntry(entry);
        if (frame === undefined) counts.damaged++;
        // The same frame twice: a write that seemed to have failed had not.
        if (frame === undefined || inFlight.has(frame.id)) {
          finish(entry);
          continue;
        }
        entry.state = "in flight";
        inFlight.set(frame.id, entry);
        cursor++;
        return frame;
      }
      return undefined;
    },
    /** The server has it, or never will: it is not kept any longer. */
    done(id: string): void {
      const entry = inFlight.get(id);
      if (!entry) return;
      inFlight.delete(id);
      resultIds.delete(id);
      finish(entry);
      if (entries.length > SWEEP_AT && entries[SWEEP_AT]?.state === "done") sweep();
    },
    /** The frame, which is in flight, waits again, behind all others. */
    defer(id: string): void {
      const entry = inFlight.get(id);
      if (!entry) return;
      inFlight.delete(id);
      entries.splice(entries.indexOf(entry), 1);
      cursor = 0;
      entry.state = "waiting";
      entries.push(entry);
    },
    /** All that is in flight waits again. */
    putBack(): void {
      for (const entry of inFlight.values()) entry.state = "waiting";
      inFlight.clear();
      cursor = 0;
    },
    /** What a heartbeat and a person want to know: `bytes` are on disk, the `unwritten` in memory alone. */
    status: () => ({ ...counts, bytes: segments.totalBytes(), unwritten: unwritten.length }),
    /** Writes what the disk refused before. To be called now and then. */
    retry: write,
    /** Writes what there is, and leaves on disk only what still waits. */
    async close(): Promise<void> {
      await write();
      if (unwritten.length > 0) log.error({ frames: unwritten.length }, "the disk does not take these: they are lost");
      try {
        await tidyUp();
      } catch (error) {
        log.warn({ error: errorMessage(error) }, "the spool could not be tidied up: some of it is sent once more");
      }
      segments.close();
    },
  };
}

export type Spool = ReturnType<typeof openSpool>;

/** What is known of a record in memory. Kept small: there may be many. The frame itself is on disk. */
export interface Entry {
  readonly type: SpoolFrame["type"];
  /** Alerts of the same key say the same. */
  readonly key: number;
  bytes: number;
  state: "waiting" | "in flight" | "done";
  /** Until it is on disk. */
  line: string | undefined;
  /** Where it is on disk. */
  segment: number;
  offset: number;
}

/** How much they take on disk. */
function sumOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { bytes }) => sum + bytes, 0);
}

/**
 * Which records a full spool gives up to win `neededBytes`, from a list in order of age. First repeats, the oldest first:
 * those that have the same both before and after them, so that when a thing began and how it stands now is still told; then
 * those that have the same after them. Only then the oldest alerts, and the results of commands last.
 */
function chooseDrops(records: readonly Entry[], neededBytes: number): { repeats: Entry[]; others: Entry[] } {
  const chosen = new Set<Entry>();
  let wonBytes = 0;
  const take = (candidates: Iterable<Entry>) => {
    for (const record of candidates) {
      if (wonBytes >= neededBytes) return;
      if (chosen.has(record)) continue;
      chosen.add(record);
      wonBytes += record.bytes;
    }
  };
  const alerts = records.filter(({ type }) => type === "alert");
  const newest = lastOfEach(alerts);
  const oldest = lastOfEach(alerts.toReversed());
  take(alerts.filter((record) => newest.get(record.key) !== record && oldest.get(record.key) !== record));
  take(alerts.filter((record) => newest.get(record.key) !== record));
  const repeats = [...chosen];
  take(alerts);
  take(records);
  return { repeats, others: [...chosen].slice(repeats.length) };
}

function lastOfEach(records: readonly Entry[]): Map<number, Entry> {
  return new Map(records.map((record) => [record.key, record]));
}
