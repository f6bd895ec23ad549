#!/usr/bin/env bash
# Bun 1.4.5, Linux.
#
# What `Bun.spawn` gives a child for `stdout: "pipe"` is one end of a socket pair and no pipe. A program that writes to its inherited
# descriptor never notices, and one that opens it anew by its name, as scripts do with `>/dev/stderr` or `tee /dev/stdout`, is refused by the
# system ("No such device or address"): sockets cannot be opened by a path. In a shell's own pipeline the same script works. Who wraps other
# people's programs and captures what they print hands them pipes that the system made.
#
# Seen: "by descriptor: 0", "by name: 1", "by name, in a pipeline: 0"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund bun@1.4.5 >/dev/null
cat >look.mjs <<'JS'
async function status(script) {
  const child = Bun.spawn(["bash", "-c", script], { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  await child.stdout.text();
  return child.exited;
}
console.log(`by descriptor: ${await status("echo hello >&1")}`);
console.log(`by name: ${await status("echo hello >/dev/stdout")}`);
console.log(`by name, in a pipeline: ${await status("set -o pipefail; (echo hello >/dev/stdout) | cat")}`);
JS
seen=$(npx bun look.mjs)
echo "$seen"
if [ "$seen" = "by descriptor: 0
by name: 1
by name, in a pipeline: 0" ]; then
  echo "holds"
else
  echo "changed"
  exit 1
fi
