#!/usr/bin/env bash
# Bun 1.4.5, Linux.
#
# A program that only waits for a small timer has a second thread that wakes as often as its own, or twice as often: each time the event
# loop goes to sleep, Bun hands its heap to the allocator's thread "mi-scavenger", which looks for pages to give back to the system. One
# would expect a program with a small timer to wake one thread; a server at rest spends about as much CPU in the allocator's thread as in
# its own. The only way to have it look more rarely is a variable in the environment of the process when it starts,
# MIMALLOC_PURGE_HOLES_MIN_INTERVAL (milliseconds, 100 by default); setting it in process.env comes too late.
#
# Counted here: how often that thread ran (the third figure of its schedstat) while a timer of 200 ms ticked for 12 s, some 60 times. Seen:
# "by default: 122 times; in process.env: 125 times; from the environment: 30 times"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund bun@1.4.5 >/dev/null
cat >wait.mjs <<'JS'
import { readdirSync, readFileSync } from "node:fs";
if (process.argv[2] === "late") process.env.MIMALLOC_PURGE_HOLES_MIN_INTERVAL = "60000";
const runs = () => {
  const tasks = readdirSync("/proc/self/task").map((task) => `/proc/self/task/${task}`);
  const thread = tasks.find((task) => readFileSync(`${task}/comm`, "utf8").trim() === "mi-scavenger");
  return thread === undefined ? 0 : Number(readFileSync(`${thread}/schedstat`, "utf8").trim().split(" ")[2]);
};
const kept = [];
setInterval(() => kept.push(new Array(100).fill(kept.length)), 200);
setTimeout(() => {
  const before = runs();
  setTimeout(() => {
    console.log(runs() - before);
    process.exit(0);
  }, 12_000);
}, 3_000);
JS
default=$(env -u MIMALLOC_PURGE_HOLES_MIN_INTERVAL npx bun wait.mjs)
late=$(env -u MIMALLOC_PURGE_HOLES_MIN_INTERVAL npx bun wait.mjs late)
early=$(MIMALLOC_PURGE_HOLES_MIN_INTERVAL=60000 npx bun wait.mjs)
echo "by default: $default times; in process.env: $late times; from the environment: $early times"
if [ "$default" -ge 60 ] && [ "$late" -ge 60 ] && [ "$early" -le $((default / 2)) ]; then
  echo "holds"
else
  echo "changed"
  exit 1
fi
