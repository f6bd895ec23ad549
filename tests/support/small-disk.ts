import { test } from "bun:test";
import { mkdtemp, open, rm, rmdir, statfs, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errorCode } from "../../src/lib/errors.ts";

/** A file system of its own, so small that a test can fill it. */
export interface SmallDisk {
  readonly path: string;
  freeBytes(): Promise<number>;
  /** Fills it so far that this much is left; 0: until nothing more can be written. */
  fill(leftBytes: number): Promise<void>;
  /** Gives the room back. */
  empty(): Promise<void>;
  unmount(): Promise<void>;
}

const CHUNK = new Uint8Array(64 * 1024);

/** Mounts one in memory. Rejects where that is not allowed. */
export async function mountSmallDisk(sizeBytes: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), "opspilot-disk-"));
  await mount(["-t", "tmpfs", "-o", `size=${sizeBytes},mode=0755`, "tmpfs", path]).catch(async (error) => {
    await rmdir(path);
    throw error;
  });
  const filler = join(path, "filler");
  const freeBytes = async () => {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  };
  return {
    path,
    freeBytes,
    async fill(leftBytes) {
      const file = await open(filler, "a");
      try {
        // What the database writes meanwhile counts, too.
        while ((await freeBytes()) > leftBytes) await file.write(CHUNK);
      } catch (error) {
        if (errorCode(error) !== "ENOSPC") throw error;
      } finally {
        await file.close();
      }
    },
    empty: () => truncate(filler, 0),
    async unmount() {
      await run(["umount", path]);
      await rm(path, { recursive: true });
    },
  };
}

async function mount(args: readonly string[]): Promise<void> {
  await run(["mount", ...args]);
}

async function run(command: readonly string[]): Promise<void> {
  const child = Bun.spawn([...command], { stdout: "ignore", stderr: "pipe" });
  const [status, error] = await Promise.all([child.exited, child.stderr.text()]);
  if (status !== 0) throw new Error(`${command.join(" ")}: ${error}`);
}

/** Whether one can be mounted here. */
async function mayMount(): Promise<boolean> {
  const disk = await mountSmallDisk(65_536).catch(() => undefined);
  await disk?.unmount();
  return disk !== undefined;
}

/** A test that needs one. Where nothing may be mounted it says so and is over. */
export async function smallDiskTest(name: string, run: () => Promise<void>, limitMs: number): Promise<void> {
  const tell = () => process.stdout.write(`not tested, no file system may be mounted here (be root): ${name}\n`);
  test(name, (await mayMount()) ? run : () => void tell(), limitMs);
}
