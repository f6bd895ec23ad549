import { describe, expect, test } from "bun:test";
import { parseEntry } from "../../src/agent/collectors/journal-entry.ts";
import { readRun } from "../../src/agent/collectors/journal-run.ts";
import { recordedEntries } from "../support/fake-systemd.ts";

/** The entries of a unit as systemd 252 has recorded them, the newest first. */
async function* newestFirst(unit: string) {
  const entries = recordedEntries("runs").filter((one) => one.UNIT === unit || one._SYSTEMD_UNIT === unit);
  for (const fields of entries.reverse()) {
    const entry = parseEntry(JSON.stringify(fields));
    if (entry) yield entry;
  }
}

/** The runs of a unit in the order in which systemd began them. */
function runsOf(unit: string): string[] {
  const said = recordedEntries("runs", unit).filter((one) => one._PID === "1");
  return [...new Set(said.map((one) => String(one.INVOCATION_ID)))];
}

async function textsOf(unit: string, invocation: string | undefined): Promise<string[]> {
  const { text } = await readRun(newestFirst(unit), { unit, invocation });
  return text.split("\n").map((line) => line.replace(/^\S+ \S+ [^:]*\[\d+\]: /, "").slice(0, 60));
}

const endOf = (unit: string) =>
  ["Main process exited, code=exited, status=1/FAILURE", "Failed with result 'exit-code'."].map((text) =>
    `${unit}: ${text}`.slice(0, 60),
  );

describe("the log of one run, as systemd 252 has recorded it", () => {
  test("of a unit that was mended, stopped, and fails otherwise now", async () => {
    const [first, second, third, fourth] = runsOf("shop.service");
    const ended = endOf("shop.service");
    const started = "Started shop.service.";
    const port = "Error: listen EADDRINUSE: address already in use :::3000";
    expect(await textsOf("shop.service", first)).toEqual([started, port, ...ended]);
    expect((await textsOf("shop.service", second))[1]).toBe("listening on 3000");
    expect((await textsOf("shop.service", third))[1]).toBe("up");
    const odd = ["Error: cannot open file caf\ufffd.txt", "ERROR Error: connect ECONNREFUSED", "x".repeat(60)];
    expect(await textsOf("shop.service", fourth)).toEqual([started, ...odd, ...ended]);
  });

  test("of a user that is missing, whose reason stands before the start", async () => {
    const [, second] = runsOf("nouser.service");
    const texts = await textsOf("nouser.service", second);
    expect(texts).toHaveLength(5);
    expect(texts[0]).toBe("nouser.service: Failed to determine user credentials: No suc");
  });

  test("of programs that ended before the journal could see them: no line is another run's", async () => {
    const runs = runsOf("sock.service");
    expect(runs).toHaveLength(5);
    for (const run of runs) {
      const texts = await textsOf("sock.service", run);
      expect(texts.filter((text) => text === "Error: cannot read config")).toHaveLength(1);
      expect(texts.filter((text) => text === "Started sock.service.")).toHaveLength(1);
    }
  });

  test("of a run whose lines came after the next one had begun: what is not known is not told", async () => {
    const [first, second] = runsOf("late@1.service");
    expect(await textsOf("late@1.service", first)).toEqual(["Started late@1.service.", ...endOf("late@1.service")]);
    expect((await textsOf("late@1.service", second)).at(-1)).toBe("last-1");
  });

  test("without names of runs, from before systemd had them: from the last start on", async () => {
    const unnamed = async function* () {
      for await (const entry of newestFirst("shop.service")) {
        const field = (name: string) => (name.includes("INVOCATION_ID") ? undefined : entry.field(name));
        const { cursor, atMs, moment, message } = entry;
        yield { cursor, atMs, moment, message, field, mayHold: () => true, isOneLine: () => false };
      }
    };
    const { text } = await readRun(unnamed(), { unit: "shop.service", invocation: undefined });
    expect(text).toContain("ECONNREFUSED");
    expect(text).not.toContain("EADDRINUSE");
  });
});
