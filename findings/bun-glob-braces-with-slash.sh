#!/usr/bin/env bash
# Bun 1.4.5, Linux.
#
# A pattern of `Bun.Glob` whose braces hold a slash, such as "{src/web,docs}/*.txt", matches "src/web/a.txt" by `match`, and yet `scanSync`
# over the very folder finds no file at all, without an error. Braces within one part of the path, as in "src/{web,api}/*.txt", are found by
# both. One would expect `scan` to yield what `match` accepts. Who lists files by several folders gives one pattern for each.
#
# Seen: "slash in braces: match true, scan 0 files", "no slash in braces: match true, scan 1 files"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund bun@1.4.5 >/dev/null
mkdir -p tree/src/web tree/docs
touch tree/src/web/a.txt
cat >look.mjs <<'JS'
const look = (name, pattern) => {
  const glob = new Bun.Glob(pattern);
  const found = [...glob.scanSync({ cwd: "tree" })];
  console.log(`${name}: match ${glob.match("src/web/a.txt")}, scan ${found.length} files`);
};
look("slash in braces", "{src/web,docs}/*.txt");
look("no slash in braces", "src/{web,api}/*.txt");
JS
seen=$(npx bun look.mjs)
echo "$seen"
if [ "$seen" = "slash in braces: match true, scan 0 files
no slash in braces: match true, scan 1 files" ]; then
  echo "holds"
else
  echo "changed"
  exit 1
fi
