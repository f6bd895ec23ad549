import fc from "fast-check";

/** Looks like SQL, markup, paths, options of programs, headers, templates; and what text itself can do to who reads it. */
export const HOSTILE_TEXTS: readonly string[] = [
  "'; drop table agents; --",
  "1 or 1=1",
  "\\'; select pg_sleep(9); --",
  "$1",
  "%s%n%_",
  "<script>alert(1)</script>",
  "<!channel> <@U0ANA00001> @everyone",
  "../../../../etc/passwd",
  "..\\..\\windows",
  "--help",
  "-o/tmp/x",
  "a\r\nx-injected: yes\r\n\r\n",
  "a\nb",
  "\u0000",
  "nginx\u0000.service",
  "\ud800",
  "\udfff and more",
  "\u202egnp.exe\u202c",
  "ｎｇｉｎｘ",
  "nɡinx",
  "a\u0301\u0301\u0301\u0301\u0301\u0301",
  "\ufeff\u200b",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: that is what a template looks like
  "${7*7}{{7*7}}#{7*7}",
  "__proto__",
  "constructor",
  "null",
  "NaN",
  "1e309",
  "-0",
  "0x10",
  "9999999999999999999999",
  "2026-02-30T25:61:61Z",
  "+275760-09-13T00:00:00.001Z",
  "0000-01-01T00:00:00Z",
  "00000000-0000-0000-0000-000000000000",
  "💥".repeat(300),
];

/** Any text, short or long, or one of those. */
export const hostileText = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...HOSTILE_TEXTS) },
  { weight: 3, arbitrary: fc.string({ unit: "binary", maxLength: 40 }) },
  { weight: 1, arbitrary: fc.string({ maxLength: 40 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 255, 256, 8_000, 70_000).map((length) => "x".repeat(length)) },
);

/** What no schema asks for: bombs of nesting and of width, numbers at the ends of types, names of what objects inherit. */
export const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  hostileText,
  fc.jsonValue({ stringUnit: "binary", maxDepth: 3 }),
  fc.constantFrom(null, true, -1, 0, 0.5, -0, 1e308, 2 ** 31, 2 ** 53, -(2 ** 63), [], {}, [[]], [null]),
  fc.integer({ min: 1, max: 6_000 }).map(nested),
  fc.integer({ min: 1, max: 9_000 }).map((length) => Array.from({ length }, () => 1)),
  hostileText.map((text) => JSON.parse(`{"__proto__":{"role":"admin"},"constructor":${JSON.stringify(text)}}`)),
);

function nested(levels: number): unknown {
  let value: unknown = "deep";
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}
