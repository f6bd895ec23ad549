import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FIXTURES = join(import.meta.dir, "../fixtures");

/** An entry of the journal, as journalctl writes it. */
export type Entry = Record<string, unknown>;

/** Stand-ins for journalctl and systemctl, earlier on the path than the system's, with a journal and units of their own. */
export class FakeSystemd {
  readonly searchPath: string;
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
    this.searchPath = `${this.#folder}:/usr/bin:/bin`;
  }

  /** Writes entries as if they happened now, whatever their time and their place were. */
  write(...entries: Entry[]): void {
    const lines = entries.map((entry) => {
      const cursor = `s=1;i=${++this.#count}`;
      return JSON.stringify({ ...entry, __CURSOR: cursor, __REALTIME_TIMESTAMP: String(Date.now() * 1000) });
    });
    appendFileSync(join(this.#folder, "journal.jsonl"), `${lines.join("\n")}\n`);
  }

  /** What a unit's own process wrote. */
  writeAs(unit: string, message: string): void {
    this.write({ MESSAGE: message, _SYSTEMD_UNIT: unit, _PID: "4711", _TRANSPORT: "stdout" });
  }

  /** `properties` as `systemctl show` would print them; null takes the unit away. */
  setUnit(name: string, properties: Record<string, string> | null): void {
    if (properties === null) delete this.#units[name];
    else this.#units[name] = { LoadState: "loaded", ...properties };
    this.#save(this.#units);
  }

  /** The whole of systemd does not answer. */
  setAway(isAway: boolean): void {
    this.#save(isAway ? "away" : this.#units);
  }

  #save(value: unknown): void {
    writeFileSync(join(this.#folder, "units.new"), JSON.stringify(value));
    rmSync(join(this.#folder, "units.json"), { force: true });
    writeFileSync(join(this.#folder, "units.json"), JSON.stringify(value));
  }

  /** Takes a program away, as on a host that has none. */
  remove(name: "journalctl" | "systemctl"): void {
    rmSync(join(this.#folder, name));
  }

  /** How a program was called so far. */
  calls(name: "journalctl" | "systemctl"): { pid: number; words: string[] }[] {
    const path = join(this.#folder, `${name}.calls`);
    const lines = existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
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

/** Recorded entries of the journal, those of one unit when it is named. */
export function recordedEntries(file: "units" | "loop" | "kernel" | "fields", unit?: string): Entry[] {
  const lines = readFileSync(join(FIXTURES, "journal", `${file}.jsonl`), "utf8")
    .trim()
    .split("\n");
  return lines.map((line) => JSON.parse(line)).filter((entry) => unit === undefined || entry.UNIT === unit);
}
