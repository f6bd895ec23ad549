import { join } from "node:path";

const MAIN = join(import.meta.dir, "../../src/main.ts");

/** What a command left behind. */
export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** Starts the command line as `runOpspilot` does, and does not wait for its end. */
export function spawnOpspilot(
  words: readonly string[],
  { cwd, env = {} }: { cwd: string; env?: Readonly<Record<string, string>> },
) {
  const command = [process.execPath, "--no-env-file", MAIN, ...words];
  return Bun.spawn(command, { cwd, env: { HOME: cwd, ...env }, stdout: "pipe", stderr: "pipe" });
}

/** Runs the command line from its sources as a process of its own, in this folder, with these settings alone. */
export async function runOpspilot(
  words: readonly string[],
  { cwd, env = {} }: { cwd: string; env?: Readonly<Record<string, string>> },
): Promise<Finished> {
  const child = spawnOpspilot(words, { cwd, env });
  const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { stdout, stderr, exitCode };
}
