import { describe, expect, test } from "bun:test";
import { isOutdated, versionOf } from "../../src/fleet/versions.ts";

/** What an agent of ours tells, as far as it matters here. */
const ours = (version: unknown) => ({ meta: { version, spool: { waiting: 0, dropped_repeats: 0 } } });

describe("an agent's version", () => {
  test.each<[unknown, string, boolean]>([
    ["0.1.0", "0.1.0", false],
    ["0.1.0", "0.1.1", true],
    ["0.9.0", "0.10.0", true],
    ["1.0.0", "0.10.0", false],
    ["1.0.0-rc.1", "1.0.0", true],
    ["1.0.0", "1.0.0-rc.1", false],
    ["soon", "1.0.0", false],
    ["1.0", "2.0.0", false],
    [7, "8.0.0", false],
    [undefined, "1.0.0", false],
  ])("%p is judged by a server of %s", (version, server, isOld) => {
    expect(isOutdated(ours(version), server)).toBe(isOld);
  });

  test("is not judged where it is another program's, but shown", () => {
    for (const meta of [
      { version: "0.0.1" },
      { version: "0.0.1", spool: { waiting: 3 } },
      { version: "0.0.1", spool: 5 },
    ]) {
      expect(isOutdated({ meta }, "9.0.0")).toBe(false);
      expect(versionOf({ meta })).toBe("0.0.1");
    }
    expect(versionOf({ meta: null })).toBeNull();
  });
});
