#!/usr/bin/env bash
# Bun 1.4.5, Linux.
#
# `await Bun.write(Bun.stdout, Bun.file(path))` copies a file to standard output, and waits for a pipe whose reader is slow: all of it
# arrives. Once the same process has used `process.stdout` before, the pipe does not block any more, and the same call rejects with
# EAGAIN (sendfile) as soon as the pipe is full: what fitted is written, the rest is not, and nothing says how much that was. One
# would expect both ways to standard output to go together. Who mixes them reads the file and writes its text with `process.stdout.write`.
#
# Seen: "alone: wrote 1000000, arrived 1000000", "after process.stdout: EAGAIN, arrived less"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund bun@1.4.5 >/dev/null
head -c 1000000 /dev/zero | tr '\0' x >file
cat >look.mjs <<'JS'
if (process.argv[2] === "after") process.stdout.write("x");
await Bun.write(Bun.stdout, Bun.file("file")).then(
  (bytes) => console.error(`wrote ${bytes}`),
  (error) => console.error(error.code),
);
JS

# The reader begins after the pipe (64 KiB) is full for sure.
alone=$(npx bun look.mjs alone 2>said | (sleep 2; wc -c))
said_alone=$(cat said)
after=$(npx bun look.mjs after 2>said | (sleep 2; wc -c))
said_after=$(cat said)
echo "alone: $said_alone, arrived $alone"
echo "after process.stdout: $said_after, arrived $after"
if [ "$said_alone" = "wrote 1000000" ] && [ "$alone" = 1000000 ] && [ "$said_after" = EAGAIN ] && [ "$after" -lt 1000000 ]; then
  echo "holds"
else
  echo "changed"
  exit 1
fi
