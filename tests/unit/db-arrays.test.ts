import { describe, expect, test } from "bun:test";
import { readArray, writeArray } from "../../src/db/arrays.ts";

const same = (value: unknown) => value;

describe("PostgreSQL's arrays", () => {
  test.each([
    [[], "{}"],
    [["a", 'b"c\\d', ""], '{"a","b\\"c\\\\d",""}'],
    [["NULL", null, "{x,y}"], '{"NULL",NULL,"{x,y}"}'],
    [
      [
        ["a", null],
        ["c\nd", "é"],
      ],
      '{{"a",NULL},{"c\nd","é"}}',
    ],
  ])("%j is written and read", (value, text) => {
    expect(writeArray(value, same)).toBe(text);
    expect(readArray(text, same)).toEqual(value);
  });

  test.each([
    ["{1,2,NULL}", ["1", "2", null]],
    ["{a b,c}", ["a b", "c"]],
    ["[0:1]={1,2}", ["1", "2"]],
    ["{{1},{2}}", [["1"], ["2"]]],
  ])("%p is read", (text, value) => {
    expect(readArray(text, same)).toEqual(value);
  });

  test("elements go through their type's own form", () => {
    expect(writeArray([true, false], (value) => (value ? "t" : "f"))).toBe('{"t","f"}');
    expect(readArray("{t,f}", (text) => text === "t")).toEqual([true, false]);
  });
});
