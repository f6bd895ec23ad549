// Stands in for systemctl, and for what systemd does then: units.json beside it holds the properties of each unit, and
// journal.jsonl what systemd writes of them.
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const here = dirname(process.argv[1] ?? "");
const words = process.argv.slice(2);
appendFileSync(join(here, "systemctl.calls"), `${JSON.stringify({ pid: process.pid, words })}\n`);

const path = join(here, "units.json");
const units: "away" | Record<string, Record<string, string>> = existsSync(path)
  ? JSON.parse(readFileSync(path, "utf8"))
  : {};

type Entry = Record<string, unknown>;

/** Writes recorded entries as if they were of this run of the unit, and as if they happened now. */
function write(entries: Entry[], unit: string, invocation: string | undefined): void {
  const lines = entries.map((entry) => {
    const MESSAGE = String(entry.MESSAGE).replaceAll(String(entry.UNIT), unit);
    const nowUs = String(Date.now() * 1000);
    const now = { __REALTIME_TIMESTAMP: nowUs, _SOURCE_REALTIME_TIMESTAMP: nowUs };
    const place = { __CURSOR: `s=2;i=${crypto.randomUUID()}` };
    return `${JSON.stringify({ ...entry, UNIT: unit, INVOCATION_ID: invocation, MESSAGE, ...now, ...place })}\n`;
  });
  appendFileSync(join(here, "journal.jsonl"), lines.join(""));
}

/** Changes the unit as the verb says, and gives the exit status. */
function change(verb: string, name: string, known: Record<string, Record<string, string>>): number {
  const unit = known[name];
  if (unit === undefined) {
    process.stderr.write(`Failed to ${verb} ${name}: Unit ${name} not found.\n`);
    return 5;
  }
  const { stopped, started, failed } = JSON.parse(readFileSync(join(here, "recorded.json"), "utf8"));
  const nowUs = String(Math.round(Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1e6));
  const isActive = unit.ActiveState === "active";
  const isStart = verb !== "stop";
  if (isActive && verb !== "start") write(stopped, name, unit.InvocationID);
  if (isActive && verb === "start") return 0;
  const invocation = crypto.randomUUID().replaceAll("-", "");
  Object.assign(unit, {
    ActiveState: isStart ? "active" : "inactive",
    SubState: isStart ? "running" : "dead",
    Result: "success",
    NRestarts: "0",
    StateChangeTimestampMonotonic: nowUs,
    ...(isStart ? { ActiveEnterTimestampMonotonic: nowUs, InvocationID: invocation } : {}),
  });
  const isBroken = isStart && unit.BreaksWhenStarted !== undefined;
  if (isBroken) Object.assign(unit, { ActiveState: "failed", SubState: "failed", Result: "exit-code" });
  writeFileSync(`${path}.new`, JSON.stringify(known));
  renameSync(`${path}.new`, path);
  if (isStart) write([...started, ...(isBroken ? failed : [])], name, invocation);
  return 0;
}

const verb = words.find((word) => !word.startsWith("-")) ?? "";
if (units === "away") {
  process.stderr.write("Failed to connect to bus: No such file or directory\n");
  process.exit(1);
} else if (words.includes("--failed")) {
  for (const [name, unit] of Object.entries(units))
    if (unit.ActiveState === "failed") process.stdout.write(`${name} loaded failed failed ${name}\n`);
} else if (words.includes("list-units")) {
  for (const [name, unit] of Object.entries(units))
    process.stdout.write(`${name}  ${unit.LoadState ?? "loaded"} ${unit.ActiveState} ${unit.SubState} ${name}\n`);
} else if (["restart", "start", "stop"].includes(verb)) {
  process.exitCode = change(verb, words.at(-1) ?? "", units);
} else {
  const properties = words.find((word) => word.startsWith("--property="));
  const wanted = (properties ?? "").slice("--property=".length).split(",");
  const missing: Record<string, string> = {
    LoadState: "not-found",
    ActiveState: "inactive",
    SubState: "dead",
    Result: "success",
  };
  const blocks = words.slice(words.indexOf("--") + 1).map((name) => {
    const unit: Record<string, string> = { Id: name, ...(units[name] ?? missing) };
    return wanted
      .filter((key) => key in unit)
      .map((key) => `${key}=${unit[key]}\n`)
      .join("");
  });
  process.stdout.write(blocks.join("\n"));
}
