// Stands in for journalctl: reads entries as JSON lines from journal.jsonl beside it. Its path is its only setting, since
// whoever starts it gives it no environment.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const here = dirname(process.argv[1] ?? "");
const words = process.argv.slice(2);
const option = (name: string) => words.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3);
/** Fields and their values; `+` stands between alternatives. */
const matches: [string, string][][] = [[]];
for (const word of words) {
  if (word === "+") matches.push([]);
  if (/^[A-Z_]+=/.test(word)) matches.at(-1)?.push([word.split("=")[0] ?? "", word.slice(word.indexOf("=") + 1)]);
}
appendFileSync(join(here, "journalctl.calls"), `${JSON.stringify({ pid: process.pid, words })}\n`);

if (existsSync(join(here, "journalctl.old")) && option("output-fields") !== undefined) {
  process.stderr.write("journalctl: unrecognized option '--output-fields=MESSAGE'\n");
  process.exit(1);
}

const read = () => (existsSync(join(here, "journal.jsonl")) ? readFileSync(join(here, "journal.jsonl"), "utf8") : "");
const entries = () =>
  read()
    .split("\n")
    .slice(0, -1)
    .map((line) => ({ line, entry: JSON.parse(line) }));
// Matches of one field are alternatives, those of different fields must all hold.
const fitsAll = (entry: Record<string, unknown>, all: [string, string][]) =>
  all.every(([field]) => all.some(([name, value]) => name === field && entry[name] === value));
const fits = (entry: Record<string, unknown>) => matches.some((all) => fitsAll(entry, all));

const until = Number(option("until")?.slice(1) ?? Number.POSITIVE_INFINITY) * 1e6;
const unit = option("unit");
const cursor = option("cursor") ?? option("after-cursor");
if (cursor === "broken") {
  process.stderr.write("Failed to seek to cursor: Invalid argument\n");
  process.exit(1);
} else if (words.includes("--show-cursor")) {
  const last = entries().at(-1);
  if (last) process.stdout.write(`-- cursor: ${last.entry.__CURSOR}\n`);
} else if (unit !== undefined) {
  const sinceS = Number(option("since")?.slice(1, -1) ?? Number.POSITIVE_INFINITY);
  const isYoung = ({ __REALTIME_TIMESTAMP: us }: Record<string, unknown>) =>
    Date.now() - Number(us) / 1000 <= sinceS * 1000;
  const ofUnit = entries().filter(({ entry }) => entry.UNIT === unit || entry._SYSTEMD_UNIT === unit);
  const own = ofUnit.filter(({ entry }) => isYoung(entry));
  for (const { entry } of own.slice(-Number(option("lines")))) process.stdout.write(`${entry.MESSAGE}\n`);
} else if (words.includes("--reverse")) {
  const own = entries().filter(({ entry }) => fits(entry) && Number(entry.__REALTIME_TIMESTAMP) <= until);
  for (const { line } of own.slice(-Number(option("lines"))).reverse()) process.stdout.write(`${line}\n`);
} else if (!words.includes("--follow") && option("lines") === "1") {
  if (entries().some(({ entry }) => fits(entry))) process.stdout.write("an entry\n");
} else {
  const place = entries().findIndex(({ entry }) => entry.__CURSOR === cursor);
  let at = cursor === undefined ? entries().length : Math.max(0, place);
  // As version 252 does: without the first entry that fits, whether or not it is the cursor's own.
  if (option("after-cursor") !== undefined)
    while (at < entries().length && !fits(entries()[at++]?.entry ?? {})) if (at === entries().length) break;
  const write = () => {
    const all = entries();
    for (const { line, entry } of all.slice(at)) if (fits(entry)) process.stdout.write(`${line}\n`);
    at = all.length;
  };
  write();
  if (words.includes("--follow")) setInterval(write, 10);
}
