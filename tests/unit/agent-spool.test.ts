import { describe, expect, test } from "bun:test";
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { SpoolFrame } from "../../src/agent/spool-segments.ts";
import { createLog } from "../../src/lib/log.ts";
import { spoolFrame, spoolIn, takeAll, withDirectory } from "../support/spool.ts";
import { until } from "../support/until.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const ids = (count: number, prefix = "a") => Array.from({ length: count }, (_, n) => `${prefix}-${n}`);
const files = (dir: string) => readdirSync(dir).sort();
const diskBytes = (dir: string) => files(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);

/** A spool that a process left behind with these frames. */
async function leave(dir: string, frames: readonly SpoolFrame[]): Promise<void> {
  const spool = spoolIn(dir);
  for (const frame of frames) await spool.add(frame);
}

describe("the spool", () => {
  test("gives each frame as it was put in, in order, and keeps it until it is done", () =>
    withDirectory(async (dir) => {
      const frames = [
        spoolFrame("a-1", { data: "H4sIA==", compression: "gzip", key: 4_294_967_295 }),
        spoolFrame("r-2", { type: "result", data: 'line\nbreak "quote" \u2028 ü', key: 0 }),
      ];
      await leave(dir, frames);
      for (let start = 0; start < 2; start++) {
        const spool = spoolIn(dir);
        expect(spool.status()).toMatchObject({ waiting: 2, damaged: 0 });
        expect([spool.take(), spool.take(), spool.take()]).toEqual([...frames, undefined]);
      }
      const spool = spoolIn(dir);
      takeAll(spool);
      spool.done("a-1");
      await spool.close();
      const next = spoolIn(dir);
      expect(takeAll(next)).toEqual(["r-2"]);
      next.done("r-2");
      expect(files(dir)).toEqual([]);
    }));

  test("has what is in flight wait again in its old place, when a connection ended", () =>
    withDirectory(async (dir) => {
      const spool = spoolIn(dir);
      for (const id of ids(5)) await spool.add(spoolFrame(id));
      expect([spool.take()?.id, spool.take()?.id, spool.take()?.id]).toEqual(["a-0", "a-1", "a-2"]);
      spool.done("a-1");
      spool.putBack();
      expect(takeAll(spool)).toEqual(["a-0", "a-2", "a-3", "a-4"]);
      spool.defer("a-2");
      spool.putBack();
      expect(takeAll(spool)).toEqual(["a-0", "a-3", "a-4", "a-2"]);
    }));

  test("leaves nothing on disk once all is done, however much went through", () =>
    withDirectory(async (dir) => {
      const spool = spoolIn(dir);
      for (let round = 0; round < 20; round++) {
        await Promise.all(ids(100, `r${round}`).map((id) => spool.add(spoolFrame(id, { data: "x".repeat(5 * KIB) }))));
        for (const id of takeAll(spool)) spool.done(id);
        expect(spool.status()).toMatchObject({ waiting: 0, bytes: 0, unwritten: 0 });
      }
      expect(files(dir)).toEqual([]);
      await spool.add(spoolFrame("last"));
      expect(takeAll(spoolIn(dir))).toEqual(["last"]);
    }));

  test("knows which results it holds, also from before", () =>
    withDirectory(async (dir) => {
      await leave(dir, [spoolFrame("result-1", { type: "result" })]);
      const spool = spoolIn(dir);
      expect([spool.has("result-1"), spool.has("result-2")]).toEqual([true, false]);
      takeAll(spool);
      spool.done("result-1");
      expect(spool.has("result-1")).toBeFalse();
    }));
});

describe("after a crash the spool", () => {
  test("has every frame that was written to its end, wherever the last write was torn", () =>
    withDirectory(async (dir) => {
      await leave(
        dir,
        ids(4).map((id) => spoolFrame(id)),
      );
      const [name = ""] = files(dir);
      const whole = readFileSync(join(dir, name));
      const ends = [...whole.entries()].flatMap(([at, byte]) => (byte === 0x0a ? [at + 1] : []));
      expect(ends.length).toBe(4);
      for (let length = 0; length <= whole.length; length++) {
        rmSync(dir, { recursive: true });
        await leave(dir, []);
        writeFileSync(join(dir, name), whole.subarray(0, length));
        const spool = spoolIn(dir);
        await spool.add(spoolFrame("new"));
        const complete = ids(ends.filter((end) => end <= length).length);
        expect(takeAll(spool)).toEqual([...complete, "new"]);
        await spool.close();
        expect(takeAll(spoolIn(dir))).toEqual([...complete, "new"]);
      }
    }));

  test.each([
    ["a flipped bit", (bytes: Buffer) => (bytes[20] = (bytes[20] ?? 0) ^ 1)],
    ["zeros", (bytes: Buffer) => bytes.fill(0, 5, 40)],
    ["a lost newline", (bytes: Buffer) => (bytes[bytes.indexOf("\n")] = 0x20)],
  ])("does without what %s has damaged, says so, and has the rest", (_, damage) =>
    withDirectory(async (dir) => {
      await leave(
        dir,
        ids(5).map((id) => spoolFrame(id)),
      );
      const [name = ""] = files(dir);
      const bytes = readFileSync(join(dir, name));
      damage(bytes);
      writeFileSync(join(dir, name), bytes);
      const lines: string[] = [];
      const destination = { write: (line: string) => void lines.push(line) };
      const spool = spoolIn(dir, MIB, createLog({ level: "warn", readable: false, destination }));
      expect(takeAll(spool).slice(-3)).toEqual(["a-2", "a-3", "a-4"]);
      expect(spool.status().damaged).toBe(1);
      expect(lines.join("")).toContain("damaged");
    }),
  );

  test("pays no attention to files that are none of its own", () =>
    withDirectory(async (dir) => {
      await leave(dir, [spoolFrame("a-0")]);
      appendFileSync(join(dir, "000000000001.spool.new"), "half a rewrite");
      appendFileSync(join(dir, "notes.txt"), "somebody's");
      expect(takeAll(spoolIn(dir))).toEqual(["a-0"]);
      expect(files(dir)).toEqual(["000000000001.spool", "notes.txt"]);
    }));

  test(
    "has every frame whose writing was reported, when the process was killed in the middle",
    () =>
      withDirectory(async (dir) => {
        const reported: string[] = [];
        for (const prefix of ["first", "second", "third"]) {
          const child = Bun.spawn(
            [process.execPath, join(import.meta.dir, "../support/spool-writer.ts"), dir, prefix],
            {
              stdout: "pipe",
              stderr: "inherit",
            },
          );
          let output = "";
          const reading = (async () => {
            for await (const chunk of child.stdout) output += Buffer.from(chunk).toString();
          })();
          await until(() => output.split("\n").length > 100, { ms: 20_000, what: "a hundred frames" });
          child.kill("SIGKILL");
          await child.exited;
          await reading;
          reported.push(...output.split("\n").slice(0, -1));
        }
        const found = takeAll(spoolIn(dir));
        expect(reported.filter((id) => !found.includes(id))).toEqual([]);
        expect(new Set(found).size).toBe(found.length);
      }),
    180_000,
  );
});

describe("a full spool", () => {
  test("stays within its bound, and gives up repeats first: the first and the last of each kind are kept", () =>
    withDirectory(async (dir) => {
      const spool = spoolIn(dir, MIB);
      const data = "x".repeat(2 * KIB);
      for (const id of ids(50, "rare")) await spool.add(spoolFrame(id, { data }));
      for (const id of ids(2_000, "often")) {
        await spool.add(spoolFrame(id, { data, key: 7 }));
        expect(diskBytes(dir)).toBeLessThanOrEqual(MIB);
      }
      const { droppedRepeats, droppedOthers, waiting } = spool.status();
      expect(droppedOthers).toBe(0);
      expect(droppedRepeats + waiting).toBe(2_050);
      const left = takeAll(spool);
      expect(left.slice(0, 51)).toEqual([...ids(50, "rare"), "often-0"]);
      expect(left.at(-1)).toBe("often-1999");
      expect(takeAll(spoolIn(dir, MIB))).toEqual(left);
    }));

  test("without repeats gives up the oldest alerts, and results of commands last", () =>
    withDirectory(async (dir) => {
      const spool = spoolIn(dir, MIB);
      const data = "x".repeat(8 * KIB);
      await spool.add(spoolFrame("result-1", { type: "result", data }));
      for (const id of ids(300)) await spool.add(spoolFrame(id, { data }));
      const { droppedRepeats, droppedOthers, waiting } = spool.status();
      expect(droppedRepeats).toBe(0);
      expect(droppedOthers).toBe(301 - waiting);
      expect(takeAll(spool)).toEqual(["result-1", ...ids(300).slice(-(waiting - 1))]);
    }));

  test("does not give up what is in flight", () =>
    withDirectory(async (dir) => {
      const spool = spoolIn(dir, MIB);
      const data = "x".repeat(8 * KIB);
      for (const id of ids(3)) await spool.add(spoolFrame(id, { data, key: 7 }));
      takeAll(spool);
      for (const id of ids(300, "later")) await spool.add(spoolFrame(id, { data, key: 7 }));
      spool.putBack();
      expect(takeAll(spool).slice(0, 3)).toEqual(ids(3));
    }));
});

describe("a disk that takes nothing", () => {
  /** The directory's name is given to a file: nothing can be made in it, whoever runs this. */
  const breakDisk = (dir: string) => {
    rmSync(dir, { recursive: true });
    writeFileSync(dir, "");
  };

  test("does not stop alerts: they are kept in memory, sent, and written once that is possible", () =>
    withDirectory(async (dir) => {
      const lines: string[] = [];
      const destination = { write: (line: string) => void lines.push(line) };
      const spool = spoolIn(dir, MIB, createLog({ level: "info", readable: false, destination }));
      breakDisk(dir);
      for (const id of ids(20)) await spool.add(spoolFrame(id));
      expect(spool.status()).toMatchObject({ waiting: 20, unwritten: 20, bytes: 0 });
      expect(lines.filter((line) => line.includes("cannot be written"))).toHaveLength(1);
      expect(takeAll(spool)).toEqual(ids(20));
      for (const id of ids(5)) spool.done(id);

      rmSync(dir);
      await leave(dir, []);
      await spool.retry();
      expect(spool.status()).toMatchObject({ waiting: 15, unwritten: 0 });
      await spool.close();
      expect(takeAll(spoolIn(dir))).toEqual(ids(20).slice(5));
    }));

  test("does not stop what is done from being forgotten", () =>
    withDirectory(async (dir) => {
      const spool = spoolIn(dir);
      for (const id of ids(3)) await spool.add(spoolFrame(id));
      takeAll(spool);
      const [name = ""] = files(dir);
      rmSync(join(dir, name));
      mkdirSync(join(dir, name));
      for (const id of ids(3)) spool.done(id);
      expect(spool.status()).toMatchObject({ waiting: 0 });
      rmdirSync(join(dir, name));
      await spool.add(spoolFrame("next"));
      expect(takeAll(spool)).toEqual(["next"]);
      expect(files(dir)).toHaveLength(1);
    }));

  test("costs no more memory than a few MiB", () =>
    withDirectory(async (dir) => {
      const spool = spoolIn(dir);
      breakDisk(dir);
      for (const id of ids(200)) await spool.add(spoolFrame(id, { data: "x".repeat(100 * KIB) }));
      const { waiting, unwritten, droppedOthers } = spool.status();
      expect(unwritten).toBe(waiting);
      expect(waiting * 100 * KIB).toBeLessThan(5 * MIB);
      expect(waiting + droppedOthers).toBe(200);
      expect(takeAll(spool).at(-1)).toBe("a-199");
    }));
});
