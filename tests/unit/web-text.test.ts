import { describe, expect, test } from "bun:test";
import { commandsOf, firstSentence, globOf, partsOf, sizeWords, visibleText } from "../../src/web/lib/text.ts";
import { ageWords, durationWords, secondsWords } from "../../src/web/lib/time.ts";

describe("foreign text", () => {
  test("loses its colours, and shows marks that would turn its direction", () => {
    expect(visibleText("\u001b[31merror\u001b[0m: no")).toBe("error: no");
    expect(visibleText("\u001b]0;title\u0007text")).toBe("text");
    expect(visibleText("user\u202egpj.exe")).toBe("user⟨U+202E⟩gpj.exe");
    expect(visibleText("a\u0000b\u0008c")).toBe("a·b·c");
    expect(visibleText("two\nlines\tand a tab")).toBe("two\nlines\tand a tab");
  });

  test("has its commands between backticks, each once; single words are names, no commands", () => {
    const fix = "See `ss -ltnp`, stop `nginx`, then `ss -ltnp` again.";
    expect(partsOf(fix).filter(({ isCode }) => isCode)).toHaveLength(3);
    expect(commandsOf(fix)).toEqual(["ss -ltnp"]);
  });

  test("is cut after its first sentence, not after an abbreviation's few letters", () => {
    expect(firstSentence("Port 80 is taken by apache2. Stop it first.\n\nMore.")).toEqual({
      first: "Port 80 is taken by apache2.",
      rest: "Stop it first.\n\nMore.",
    });
    expect(firstSentence("No end here")).toEqual({ first: "No end here", rest: "" });
    expect(firstSentence("E.g. this one is long enough. Yes.").first).toBe("E.g. this one is long enough.");
  });

  test("fits patterns as the server's do", () => {
    expect(globOf("web-?").test("web-1")).toBe(true);
    expect(globOf("web-*").test("db-1")).toBe(false);
    expect(globOf("a.b").test("axb")).toBe(false);
    expect(globOf("WEB-*", "i").test("web-1")).toBe(true);
  });
});

test("durations, ages and sizes are said as people say them", () => {
  expect([0, 59, 60, 3_599, 3_600, 11_520, 90_000, 86_400 * 3].map(durationWords)).toEqual([
    "0 s",
    "59 s",
    "1 min",
    "59 min",
    "1 h",
    "3 h 12 min",
    "1 d 1 h",
    "3 d",
  ]);
  const nowMs = Date.parse("2026-01-02T00:00:00Z");
  expect(ageWords("2026-01-01T23:59:18Z", nowMs)).toBe("42 s");
  expect(ageWords("2026-01-01T01:00:00Z", nowMs)).toBe("23 h");
  expect(ageWords("2026-01-02T00:00:05Z", nowMs)).toBe("0 s");
  expect(ageWords(null, nowMs)).toBe("never");
  expect([40, 1_210, 75_000].map(secondsWords)).toEqual(["0.04 s", "1.2 s", "75 s"]);
  expect([0, 900, 1_024, 1.5 * 2 ** 30].map(sizeWords)).toEqual(["0 B", "900 B", "1.0 KiB", "1.5 GiB"]);
});
