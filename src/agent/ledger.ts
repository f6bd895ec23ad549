/**
 * What became of each command, on disk: one file a command, whose name says how far it came.
 *
 * ID.started (before anything is run) → ID.result (it is over) → ID.settled (the server has the result). A command whose
 * `started` cannot be made durable is not run; one that is found `started` by a later process was interrupted. So none runs
 * twice, whenever the process ends, and none without a trace.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import type { Clock } from "../lib/clock.ts";
import { syncPath } from "../lib/durable.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { UUID } from "../lib/uuid.ts";
import { ResultPayload } from "../protocol/frames.ts";

const STATES = ["started", "result", "settled"] as const;
type State = (typeof STATES)[number];

/** A server repeats a command within seconds if at all; a result that nobody took for a week interests nobody: a week of this process. */
const AGE_MS_MAX = 7 * 24 * 3_600_000;
/** With outputs of 64 KiB at most, this bounds the disk to 32 MiB. */
const COMMANDS_MAX = 500;
const FILE_NAME = new RegExp(`^(${UUID})\\.(${STATES.join("|")})$`);
const INTERRUPTED =
  "interrupted: the agent ended while this was running; whether it took effect is not known, and it is not run again";

interface Entry {
  state: State;
  /** By the host's clock, for people. */
  atMs: number;
  /** By one that nobody sets: since when this process knows of it. */
  knownMs: number;
  /** The disk would not take it. */
  unwritten?: ResultPayload;
}

/**
 * The ledger of one agent. Its directory is made when it is not there, and used by one process at a time; throws what the
 * system says when it cannot be made or read.
 */
export function openLedger({ dir, clock, log }: { dir: string; clock: Clock; log: Log }) {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const entries = readEntries(dir, clock);
  /** Begun by this process and not over: they are not interrupted. */
  const running = new Set<string>();
  const pathOf = (id: string, state: State) => join(dir, `${id}.${state}`);
  prune();

  function prune(): void {
    const oldestMs = clock.monotonicMs() - AGE_MS_MAX;
    for (const [id, { knownMs }] of entries) if (knownMs < oldestMs) forget(id);
    const settled = [...entries].filter(([, { state }]) => state === "settled").map(([id]) => id);
    for (const id of [...settled, ...entries.keys()]) {
      if (entries.size <= COMMANDS_MAX) return;
      forget(id);
    }
  }

  function note(id: string, entry: Pick<Entry, "state" | "unwritten">): void {
    entries.set(id, { ...entry, atMs: clock.now(), knownMs: clock.monotonicMs() });
  }

  function forget(id: string): void {
    const entry = entries.get(id);
    if (entry === undefined || running.has(id)) return;
    entries.delete(id);
    rmSync(pathOf(id, entry.state), { force: true });
  }

  function resultOf(id: string, entry: Entry): ResultPayload {
    if (entry.unwritten) return entry.unwritten;
    return readResult(pathOf(id, entry.state)) ?? interrupted(id, entry.atMs);
  }

  async function advance(id: string, from: State, to: State): Promise<void> {
    await rename(pathOf(id, from), pathOf(id, to));
    await syncPath(dir);
  }

  return {
    /** The stored result of a command that was begun before, by this process or another; undefined for a new one. */
    find(id: string): ResultPayload | undefined {
      const entry = entries.get(id.toLowerCase());
      return entry && !running.has(id.toLowerCase()) ? resultOf(id.toLowerCase(), entry) : undefined;
    },
    /** Resolves once `started` is on disk; rejects when it cannot be, and then the command must not run. */
    async begin(commandId: string): Promise<void> {
      const id = commandId.toLowerCase();
      prune();
      await writeDurably(pathOf(id, "started"), "");
      await syncPath(dir);
      note(id, { state: "started" });
      running.add(id);
    },
    /** Keeps the result. Never rejects: what the disk does not take stays in memory. */
    async finish(result: ResultPayload): Promise<void> {
      const id = result.command_id.toLowerCase();
      running.delete(id);
      try {
        await writeDurably(pathOf(id, "started"), JSON.stringify(result));
        await advance(id, "started", "result");
        note(id, { state: "result" });
      } catch (error) {
        log.error({ error: errorMessage(error), command: id }, "a command's result cannot be kept on disk");
        note(id, { state: "started", unwritten: result });
      }
    },
    async settle(commandId: string): Promise<void> {
      const id = commandId.toLowerCase();
      const entry = entries.get(id);
      if (entry === undefined || entry.state === "settled" || running.has(id)) return;
      try {
        if (entry.state === "started") await writeDurably(pathOf(id, "started"), JSON.stringify(resultOf(id, entry)));
        await advance(id, entry.state, "settled");
        entries.set(id, { state: "settled", atMs: entry.atMs, knownMs: entry.knownMs });
      } catch (error) {
        log.warn({ error: errorMessage(error), command: id }, "a command's result is sent again after a restart");
      }
    },
    /** Results that the server may not have, about in the order of their ends; those that were interrupted among them. */
    unsettled: () =>
      [...entries]
        .filter(([id, { state }]) => state !== "settled" && !running.has(id))
        .map(([id, entry]) => resultOf(id, entry)),
  };
}

export type Ledger = ReturnType<typeof openLedger>;

/**
 * Oldest first; what is of a time that is still to come was written before the clock was put back. How old they are their files
 * say, by a clock that may have been put forward since: what the server does not have is not given up for that.
 */
function readEntries(dir: string, clock: Clock): Map<string, Entry> {
  const nowMs = clock.now();
  const found = readdirSync(dir).flatMap((name): [string, Entry][] => {
    const [, id, state] = FILE_NAME.exec(name) ?? [];
    if (id === undefined || state === undefined) return [];
    const atMs = statSync(join(dir, name)).mtimeMs;
    const ageMs = state === "settled" ? Math.max(0, nowMs - atMs) : 0;
    return [[id, { state: state as State, atMs, knownMs: clock.monotonicMs() - ageMs }]];
  });
  const isAhead = ({ atMs }: Entry) => Number(atMs > nowMs);
  return new Map(found.sort(([, one], [, other]) => isAhead(other) - isAhead(one) || one.atMs - other.atMs));
}

function readResult(path: string): ResultPayload | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    return Value.Check(ResultPayload, value) ? value : undefined;
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}

function interrupted(id: string, atMs: number): ResultPayload {
  return { command_id: id, status: "failed", error: INTERRUPTED, finished_at: atMs / 1000 };
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}
