#!/usr/bin/env bash
# Bun 1.4.5, Linux.
#
# `expect(x).toMatchObject({ a: expect.any(String) })` passes and changes the object that was looked at: x.a, a string before, is the
# matcher afterwards, at any depth and in arrays, too. One would expect an assertion to leave alone what it is given, as `toEqual` with the
# same matchers does. A test that goes on with the object (an id from an answer, say) then sends an empty object, or compares with it.
#
# Seen: "before: string, after toEqual: string, after toMatchObject: object"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund bun@1.4.5 >/dev/null
cat >look.test.mjs <<'JS'
import { expect, test } from "bun:test";
test("a value stays what it was", () => {
  const answer = { item: { id: "one" } };
  const types = [typeof answer.item.id];
  expect(answer).toEqual({ item: { id: expect.any(String) } });
  types.push(typeof answer.item.id);
  expect(answer).toMatchObject({ item: { id: expect.any(String) } });
  types.push(typeof answer.item.id);
  console.log(`before: ${types[0]}, after toEqual: ${types[1]}, after toMatchObject: ${types[2]}`);
});
JS
seen=$(npx bun test look.test.mjs 2>/dev/null | grep '^before')
echo "$seen"
if [ "$seen" = "before: string, after toEqual: string, after toMatchObject: object" ]; then
  echo "holds"
else
  echo "changed"
  exit 1
fi
