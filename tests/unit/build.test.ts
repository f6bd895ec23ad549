import { describe, expect, test } from "bun:test";
import { join } from "node:path";

const BUILD = join(import.meta.dir, "../../src/build/build.ts");

describe("the build", () => {
  test.each([
    [["--target", "windows-x64"], "build: unknown target windows-x64; expected one of linux-x64, "],
    [["--colour"], "build: Unknown option '--colour'"],
  ])("%p is refused in one line", async (words, message) => {
    const child = Bun.spawn([process.execPath, BUILD, ...words], { stdout: "pipe", stderr: "pipe" });
    const [errors, status] = await Promise.all([child.stderr.text(), child.exited]);
    expect(status).toBe(1);
    expect(errors).toStartWith(message);
    expect(errors.trim()).not.toContain("\n");
  });
});
