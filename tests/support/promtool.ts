import { test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Whether Prometheus' own tool is there; where all must be tested (`CI=true`) it has to be. */
export function hasPromtool(): boolean {
  return Bun.which("promtool") !== null || Bun.env.CI === "true";
}

/** A test that needs it. Where there is none it says so and is over, but fails where all must be tested. */
export function promtoolTest(name: string, run: () => Promise<void>): void {
  const tell = () => process.stdout.write(`not tested, there is no promtool (apt-get install prometheus): ${name}\n`);
  test(name, hasPromtool() ? run : () => void tell(), 60_000);
}

/** What it says of these files, which it finds in a directory of their own; the name of one of them, or `-` for `input`, is its last argument. */
export async function promtool(
  args: readonly string[],
  { files = {}, input = "" }: { files?: Record<string, string>; input?: string } = {},
): Promise<{ status: number; text: string }> {
  const directory = await mkdtemp(join(tmpdir(), "promtool-"));
  try {
    for (const [name, text] of Object.entries(files)) await Bun.write(join(directory, name), text);
    const child = Bun.spawn(["promtool", ...args], {
      cwd: directory,
      stdin: new Blob([input]),
      stdout: "pipe",
      stderr: "pipe",
    });
    const [status, out, error] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
    return { status, text: out + error };
  } finally {
    await rm(directory, { recursive: true });
  }
}
