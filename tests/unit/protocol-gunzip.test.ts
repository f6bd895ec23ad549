import { describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { gunzip, gunzipBounded } from "../../src/protocol/gunzip.ts";
import { GZIP_RATIO_MAX } from "../../src/protocol/limits.ts";

const LIMIT = 1024 * 1024;
/** The largest input of the quick way. */
const SWITCH_OVER = Math.floor(LIMIT / GZIP_RATIO_MAX);
const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes));
const concat = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

/** One member of exactly `bytes` bytes, and what is in it. */
function memberOf(bytes: number): { member: Uint8Array<ArrayBuffer>; content: Uint8Array } {
  for (let size = bytes - 18; size > 0; size--) {
    const content = random(size);
    const member = new Uint8Array(gzipSync(content));
    if (member.length === bytes) return { member, content };
  }
  throw new Error(`no member has ${bytes} bytes`);
}

function flipped(bytes: Uint8Array, fromEnd: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  const at = copy.length - fromEnd;
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

describe.each([
  ["just under the switch-over", SWITCH_OVER - 64],
  ["at the switch-over", SWITCH_OVER],
  ["just over the switch-over", SWITCH_OVER + 1],
])("a payload %s", (_, total) => {
  test("is what was compressed", () => {
    const { member, content } = memberOf(total);
    expect(gunzip(member, LIMIT)).toEqual(content as never);
  });

  test("of several members is joined", () => {
    const first = memberOf(100);
    const second = memberOf(total - 100);
    expect(Buffer.from(gunzip(concat(first.member, second.member), LIMIT) as Uint8Array)).toEqual(
      Buffer.concat([first.content, second.content]),
    );
  });

  const { member } = memberOf(total - 20);
  const bad: [string, Uint8Array][] = [
    ["junk after it", concat(member, random(20).fill(0x55))],
    ["a zero byte after it", concat(member, new Uint8Array(1))],
    ["twenty zero bytes after it", concat(member, new Uint8Array(20))],
    ["zero bytes and junk after it", concat(member, new Uint8Array(4), random(16))],
    ["its own trailer again after it", concat(member, random(12), member.subarray(-8))],
    ["half a member after it", concat(member, member.subarray(0, 20))],
    ["a lying CRC", flipped(member, 8)],
    ["a lying length", flipped(member, 4)],
    ["a length of 256 MiB", concat(member.subarray(0, -4), new Uint8Array([0xff, 0xff, 0xff, 0x0f]))],
    ["its last byte missing", member.slice(0, -1)],
    ["junk before it", concat(new Uint8Array([1, 2, 3]), member)],
  ];
  test.each(bad)("with %s is bad_gzip", (_name, bytes) => {
    expect(gunzip(new Uint8Array(bytes), LIMIT)).toBe("bad_gzip");
  });
});

describe("bombs", () => {
  test("up to the limit pass, one byte more is too_large", () => {
    for (const limit of [LIMIT, 8 * LIMIT]) {
      expect(gunzip(new Uint8Array(gzipSync(Buffer.alloc(limit), { level: 9 })), limit)).toHaveLength(limit);
      expect(gunzip(new Uint8Array(gzipSync(Buffer.alloc(limit + 1), { level: 9 })), limit)).toBe("too_large");
    }
  });

  test("of many members are too_large together", () => {
    const half = new Uint8Array(gzipSync(Buffer.alloc(LIMIT / 2 + 1)));
    expect(gunzip(concat(half, half), LIMIT)).toBe("too_large");
  });

  test("cost no more memory than the limit", () => {
    const bomb = new Uint8Array(gzipSync(Buffer.alloc(512 * LIMIT), { level: 9 }));
    Bun.gc(true);
    const beforeBytes = process.memoryUsage.rss();
    for (let round = 0; round < 5; round++) expect(gunzip(bomb, LIMIT)).toBe("too_large");
    expect(process.memoryUsage.rss() - beforeBytes).toBeLessThan(64 * LIMIT);
  });
});

test("nothing is not gzip, and an empty member is nothing", () => {
  expect(gunzip(new Uint8Array(0), LIMIT)).toBe("bad_gzip");
  expect(gunzip(new Uint8Array(gzipSync("")), LIMIT)).toHaveLength(0);
  expect(gunzip(concat(gzipSync(""), new Uint8Array(8)), LIMIT)).toBe("bad_gzip");
});

test("a header with a lying checksum of its own is bad_gzip both ways", () => {
  const plain = gzipSync("hello");
  const lying = concat(
    plain.subarray(0, 3),
    new Uint8Array([2]),
    plain.subarray(4, 10),
    new Uint8Array(2),
    plain.subarray(10),
  );
  expect(gunzip(lying, LIMIT)).toBe("bad_gzip");
  expect(gunzipBounded(lying, LIMIT)).toBe("bad_gzip");
});

test("both ways agree on anything that is almost gzip", () => {
  const parts = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((content) => new Uint8Array(gzipSync(content))),
      fc.uint8Array({ maxLength: 10 }),
      fc.constant(new Uint8Array([0x1f, 0x8b, 8, 0])),
      fc.constant(new Uint8Array(8)),
    ),
    { maxLength: 4 },
  );
  const change = fc.option(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })));
  fc.assert(
    fc.property(parts, change, (pieces, flip) => {
      const bytes = concat(...pieces);
      if (flip && bytes.length > 0) bytes[flip[0] % bytes.length] = flip[1];
      const quick = gunzip(bytes, LIMIT);
      const bounded = gunzipBounded(bytes, LIMIT);
      expect(typeof quick === "string" ? quick : Buffer.from(quick)).toEqual(
        typeof bounded === "string" ? bounded : Buffer.from(bounded),
      );
    }),
    { numRuns: 2_000 },
  );
});
