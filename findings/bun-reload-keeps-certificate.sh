#!/usr/bin/env bash
# Bun 1.4.5, Linux.
#
# `server.reload()` takes a whole set of options of `Bun.serve`, `tls` among them, without an error. Handlers are exchanged; the certificate is
# not: whoever connects after the reload is still shown the first one. One would expect an option that is taken to hold, or to be refused.
# Who renews certificates without a restart has to let a second listener take the port over.
#
# Seen: "handler: second, certificate: first.example"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund bun@1.4.5 >/dev/null
for name in first second; do
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$name.example" \
    -keyout "$name.key" -out "$name.pem" 2>/dev/null
done
cat >look.mjs <<'JS'
import { connect } from "node:tls";
const optionsOf = (name) => ({
  port: 0,
  hostname: "127.0.0.1",
  tls: { cert: Bun.file(`${name}.pem`), key: Bun.file(`${name}.key`) },
  fetch: () => new Response(name),
});
const server = Bun.serve(optionsOf("first"));
server.reload(optionsOf("second"));
const answer = await fetch(server.url, { tls: { rejectUnauthorized: false }, keepalive: false });
const handler = await answer.text();
const socket = connect({ host: "127.0.0.1", port: server.port, rejectUnauthorized: false }, () => {
  console.log(`handler: ${handler}, certificate: ${socket.getPeerCertificate().subject.CN}`);
  socket.destroy();
  server.stop(true);
});
JS
seen=$(npx bun look.mjs)
echo "$seen"
if [ "$seen" = "handler: second, certificate: first.example" ]; then
  echo "holds"
else
  echo "changed"
  exit 1
fi
