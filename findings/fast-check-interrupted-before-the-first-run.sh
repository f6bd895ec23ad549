#!/usr/bin/env bash
# fast-check 4.10.2 on Node.
#
# `interruptAfterTimeLimit` ends a check early, and an interruption counts as passed (`markInterruptAsFailure` is off by default), as long as one run
# is over by then. If the first run takes longer than the limit, as on a busy machine, the check fails, though no property was found to be
# broken. One would expect the default to hold however few runs there were.
#
# Seen: "after 1 run or more: passed", "before the first: Property interrupted after 0 tests"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund fast-check@4.10.2 >/dev/null
cat >look.mjs <<'JS'
import fc from "fast-check";
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function look(name, runMs, limitMs) {
  const property = fc.asyncProperty(fc.integer(), async () => pause(runMs));
  const how = await fc.assert(property, { interruptAfterTimeLimit: limitMs, numRuns: 1_000_000 }).then(
    () => "passed",
    (error) => error.message.split("\n")[0],
  );
  console.log(`${name}: ${how}`);
}
await look("after 1 run or more", 10, 1_000);
await look("before the first", 2_000, 200);
JS
seen=$(node look.mjs)
echo "$seen"
if [ "$seen" = "after 1 run or more: passed
before the first: Property interrupted after 0 tests" ]; then
  echo "holds"
else
  echo "changed"
  exit 1
fi
