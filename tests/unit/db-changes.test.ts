import { expect, test } from "bun:test";
import { readCursor, readNotice } from "../../src/db/changes.ts";

test.each([
  ["1700000000.10:10:", "10:10:"],
  ["1700000000.10:20:10,12,19", "10:20:10,12,19"],
  ["1.18446744073709:18446744073710:", "18446744073709:18446744073710:"],
])("%s is a cursor", (text, snapshot) => {
  expect(readCursor(text)?.snapshot).toBe(snapshot);
});

test.each([
  "",
  "10:10:",
  "1.0:1:",
  "1.10:9:",
  "1.10:20:9",
  "1.10:20:20",
  "1.10:20:12,12",
  "1.10:20:12,11",
  "1.10:20:,",
  "1.-1:2:",
  "a.1:2:",
  `1.1:99999:${"5,".repeat(5_000)}6`,
])("%s is none", (text) => expect(readCursor(text)).toBeUndefined());

test.each([
  ["incidents 1,2", { what: "incidents", ids: ["1", "2"] }],
  ["timeline", undefined],
  ["", undefined],
  ["machines 1", undefined],
])("the notice %s", (payload, expected) => {
  expect(readNotice(payload)).toEqual(expected as ReturnType<typeof readNotice>);
});
