import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { readBootId } from "../../src/agent/moments.ts";
import type { Clock } from "../../src/lib/clock.ts";

/** This machine's start, as the journal writes it. */
const bootId = () => readBootId().replaceAll("-", "");

const FIXTURES = join(import.meta.dir, "../fixtures");

/** An entry of the journal, as journalctl writes it. */
export type Entry = Record<string, unknown>;

/** Stand-ins for journalctl and systemctl, earlier on the path than the system's, with a journal and units of their own. */
export class FakeSystemd {
  readonly searchPath: string;
  /** How far the journal is behind what is said. */
  lagMs = 0;
  /** The host's: with it entries have the times of both its clocks. */
  clock: Pick<Clock, "now" | "monotonicMs"> | undefined;
  readonly #folder: string;
  #units: Record<string, Record<string, string>> = {};
  #count = 0;

  constructor(folder: string) {
    this.#folder = join(folder, "systemd");
    const transpiler = new Bun.Transpiler({ loader: "ts", target: "bun" });
    mkdirSync(this.#folder, { recursive: true });
    for (const name of ["journalctl", "systemctl"]) {
      const source = readFileSync(join(import.meta.dir, `fake-${name}.ts`), "utf8");
      writeFileSync(join(this.#folder, name), `#!${process.execPath}\n${transpiler.transformSync(source)}`);
      chmodSync(join(this.#folder, name), 0o755);
    }
    writeFileSync(join(this.#folder, "recorded.json"), JSON.stringify(changes()));
    this.searchPath = `${this.#folder}:/usr/bin:/bin`;
  }

  /** Writes entries as if they happened now, whatever their time and their place were. */
  write(...entries: Entry[]): void {
    const lines = entries.map((entry) => {
      const nowMs = (this.clock ?? Date).now();
      const times = {
        ...(this.clock ? { __MONOTONIC_TIMESTAMP: String(this.clock.monotonicMs() * 1000), _BOOT_ID: bootId() } : {}),
        __REALTIME_TIMESTAMP: String(nowMs * 1000),
        ...("_SOURCE_REALTIME_TIMESTAMP" in entry
          ? { _SOURCE_REALTIME_TIMESTAMP: String((nowMs - this.lagMs) * 1000) }
          : {}),
      };
      return JSON.stringify({ ...entry, ...times, __CURSOR: `s=1;i=${++this.#count}` });
    });
    appendFileSync(join(this.#folder, "journal.jsonl"), `${lines.join("\n")}\n`);
  }

  /** What a unit's own process wrote, of this run when the journal still knew it. */
  writeAs(unit: string, message: string, invocation?: string): void {
    const run = invocation === undefined ? {} : { _SYSTEMD_INVOCATION_ID: invocation };
    this.write({ MESSAGE: message, _SYSTEMD_UNIT: unit, _PID: "4711", _TRANSPORT: "stdout", ...run });
  }

  /** What systemd says of a run of a unit: "started", "exited" (with 3), "failed", "stopping", "stopped". */
  say(unit: string, invocation: string, ...words: readonly SystemdWord[]): void {
    this.write(...words.map((word) => entryOf(recordedWord(word), { unit, invocation })));
  }

  /** The unit writes these lines and ends with exit code 3, as systemd has recorded it of one that is started once. */
  failUnit(unit: string, ...lines: string[]): void {
    this.#fail(unit, lines, {});
  }

  /** The same of one that will fail whenever it is started. */
  breakUnit(unit: string, ...lines: string[]): void {
    this.#fail(unit, lines, { BreaksWhenStarted: "yes" });
  }

  #fail(unit: string, lines: readonly string[], more: Record<string, string>): void {
    for (const line of lines) this.writeAs(unit, line);
    const run = { unit, invocation: crypto.randomUUID().replaceAll("-", "") };
    const failed = { ActiveState: "failed", SubState: "failed", Result: "exit-code", NRestarts: "0" };
    this.setUnit(unit, { ...failed, ...more, InvocationID: run.invocation, ExecMainCode: "1", ExecMainStatus: "3" });
    const entries = recordedEntries("units", "web.service").slice(0, 3);
    this.write(...entries.map((entry) => entryOf(entry, run)));
  }

  /** systemd starts the unit no more. */
  giveUp(unit: string): void {
    const invocation = crypto.randomUUID().replaceAll("-", "");
    const entries = recordedEntries("loop").filter(({ UNIT }) => UNIT === "loop.service");
    const at = entries.findIndex(({ MESSAGE }) => /repeated too quickly/.test(String(MESSAGE)));
    this.write(...entries.slice(at, at + 2).map((entry) => entryOf(entry, { unit, invocation })));
  }

  /** `properties` as `systemctl show` would print them; null takes the unit away. */
  setUnit(name: string, properties: Record<string, string> | null): void {
    this.#units = this.#current();
    if (properties === null) delete this.#units[name];
    else this.#units[name] = { LoadState: "loaded", ...properties };
    this.#save(this.#units);
  }

  /** The whole of systemd does not answer. */
  setAway(isAway: boolean): void {
    this.#units = this.#current();
    this.#save(isAway ? "away" : this.#units);
  }

  /** The units as systemctl has left them. */
  #current(): Record<string, Record<string, string>> {
    const path = join(this.#folder, "units.json");
    const value = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {};
    return value === "away" ? this.#units : value;
  }

  /** In one step: systemctl may read at any moment. */
  #save(value: unknown): void {
    writeFileSync(join(this.#folder, "units.new"), JSON.stringify(value));
    renameSync(join(this.#folder, "units.new"), join(this.#folder, "units.json"));
  }

  /** Takes a program away, as on a host that has none. */
  remove(name: "journalctl" | "systemctl"): void {
    rmSync(join(this.#folder, name));
  }

  /** How a program was called so far. */
  calls(name: "journalctl" | "systemctl"): { pid: number; words: string[] }[] {
    const path = join(this.#folder, `${name}.calls`);
    // The last line is still being written where it has no end.
    const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : [];
    return lines.map((line) => JSON.parse(line));
  }

  /** Processes that follow the journal now. */
  followers(): number[] {
    const follows = this.calls("journalctl").filter(({ words }) => words.includes("--follow"));
    return follows.map(({ pid }) => pid).filter((pid) => isAlive(pid));
  }
}

function isAlive(pid: number): boolean {
  const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "utf8") : "";
  return stat !== "" && !stat.slice(stat.lastIndexOf(")")).startsWith(") Z");
}

export type SystemdWord = "started" | "exited" | "failed" | "stopping" | "stopped";

function recordedWord(word: SystemdWord): Entry {
  const { started, failed, stopped } = changes();
  const [exited, failure] = failed;
  const [stopping] = stopped;
  const entry = { started: started[0], exited, failed: failure, stopping, stopped: stopped.at(-1) }[word];
  return { ...entry };
}

/** A recorded entry as it would be of this run of this unit. */
function entryOf(entry: Entry, { unit, invocation }: { unit: string; invocation: string }): Entry {
  const message = String(entry.MESSAGE).replaceAll(String(entry.UNIT), unit);
  return { ...entry, UNIT: unit, INVOCATION_ID: invocation, MESSAGE: message };
}

/** What systemd writes when a unit is stopped, when it is started, and when it ends with exit code 3. */
function changes(): { stopped: Entry[]; started: Entry[]; failed: Entry[] } {
  const entries = recordedEntries("units", "web.service");
  const from = entries.findIndex(({ MESSAGE }) => String(MESSAGE).startsWith("Stopping "));
  return {
    stopped: entries.slice(from, from + 3),
    started: entries.slice(from + 3, from + 4),
    failed: entries.slice(1, 3),
  };
}

/** Recorded entries of the journal, those of one unit when it is named. */
export function recordedEntries(file: "units" | "runs" | "loop" | "kernel" | "fields", unit?: string): Entry[] {
  const lines = readFileSync(join(FIXTURES, "journal", `${file}.jsonl`), "utf8")
    .trim()
    .split("\n");
  return lines.map((line) => JSON.parse(line)).filter((entry) => unit === undefined || entry.UNIT === unit);
}
