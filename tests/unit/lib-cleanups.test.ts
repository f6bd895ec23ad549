import { describe, expect, test } from "bun:test";
import { createCleanups } from "../../src/lib/cleanups.ts";
import { createLog } from "../../src/lib/log.ts";

function record() {
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  return { lines, cleanups: createCleanups(createLog({ level: "debug", readable: false, destination })) };
}

describe("what is undone at the end", () => {
  test("goes in reverse order, once, and each step says how long it took", async () => {
    const { lines, cleanups } = record();
    const done: string[] = [];
    for (const what of ["database", "queue", "sockets"]) cleanups.add(what, async () => void done.push(what));
    await Promise.all([cleanups.run(), cleanups.run()]);
    expect(done).toEqual(["sockets", "queue", "database"]);
    expect(lines.map(({ what, tookMs }) => [what, typeof tookMs])).toEqual(done.map((what) => [what, "number"]));
  });

  test("holds up nothing else when it fails, or takes longer than it may", async () => {
    const { lines, cleanups } = record();
    let isClosed = false;
    cleanups.add("database", async () => {
      isClosed = true;
    });
    cleanups.add("retention", () => new Promise(() => undefined), 10);
    cleanups.add("outlets", async () => {
      throw new Error("for once");
    });
    await cleanups.run();
    expect(isClosed).toBe(true);
    expect(lines.map(({ level, what, msg }) => [level, what, msg])).toEqual([
      ["error", "outlets", "stopping failed"],
      ["error", "retention", "stopping took too long, and is left"],
      ["info", "database", "stopped"],
    ]);
  });
});
