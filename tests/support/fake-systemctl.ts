// Stands in for systemctl: units.json beside it holds the properties of each unit.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const here = dirname(process.argv[1] ?? "");
const words = process.argv.slice(2);
appendFileSync(join(here, "systemctl.calls"), `${JSON.stringify({ pid: process.pid, words })}\n`);

const path = join(here, "units.json");
const units: "away" | Record<string, Record<string, string>> = existsSync(path)
  ? JSON.parse(readFileSync(path, "utf8"))
  : {};
if (units === "away") {
  process.stderr.write("Failed to connect to bus: No such file or directory\n");
  process.exit(1);
} else if (words.includes("--failed")) {
  for (const [name, unit] of Object.entries(units))
    if (unit.ActiveState === "failed") process.stdout.write(`${name} loaded failed failed ${name}\n`);
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
