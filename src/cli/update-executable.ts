import { existsSync } from "node:fs";
import { chmod, copyFile, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { giveName, syncPath } from "../lib/durable.ts";
import { ExitCode, errorCode, errorMessage, StartupError } from "../lib/errors.ts";
import { sha256OfFile } from "../lib/hash.ts";
import { fieldsOf, jsonOf } from "../lib/json.ts";

const DIGEST = /^[0-9a-f]{64}\b/i;
const VERSION_LIMIT_MS = 60_000;

/** The names beside an executable that have to do with its update. */
const pathsOf = (executable: string) => ({ next: `${executable}.next`, previous: `${executable}.previous` });

/** A new executable that is known to be whole, and to run here. It lies beside the present one, under another name. */
export interface Staged {
  readonly executable: string;
  readonly from: string;
  readonly to: string;
  readonly isSame: boolean;
}

/**
 * Copies the file beside the executable, and makes sure that it is what its checksum says, and an OpsPilot for this platform. `digest` is
 * what was given by hand; without it `<file>.sha256` says it. Throws a StartupError, and then nothing is left.
 */
export async function stage(file: string, executable: string, digest: string | undefined): Promise<Staged> {
  const { next } = pathsOf(executable);
  const expected = digest === undefined ? await digestBeside(file) : digestIn(digest, "--sha256");
  try {
    // Another update may have begun with the same name: what it looks at stays as it is.
    await rm(next, { force: true });
    await copyFile(file, next).catch((error) => {
      throw new StartupError(`${file} cannot be copied to ${next} (${errorCode(error)})`, ExitCode.failure);
    });
    const is = await sha256OfFile(next);
    if (is !== expected)
      throw new StartupError(`${file} is damaged: its SHA-256 is ${is}, not ${expected}`, ExitCode.failure);
    await chmod(next, 0o755);
    await syncPath(next);
    const to = await versionOf(next, file);
    // One that does not run is what is to be mended.
    const from = await versionOf(executable, executable).catch(() => "an unknown version");
    return { executable, from, to, isSame: (await sha256OfFile(executable)) === is };
  } catch (error) {
    await discard(executable);
    throw error;
  }
}

/** Forgets what was staged. */
export async function discard(executable: string): Promise<void> {
  await rm(pathsOf(executable).next, { force: true });
}

/** Puts the staged one in place in one step; the present one is kept as `.previous`. */
export async function swap(executable: string): Promise<void> {
  const { next, previous } = pathsOf(executable);
  await giveName(executable, previous);
  await rename(next, executable);
  await syncPath(dirname(executable));
}

/** Puts the former one back. */
export async function putBack(executable: string): Promise<void> {
  await giveName(pathsOf(executable).previous, executable);
}

async function digestBeside(file: string): Promise<string> {
  const path = `${file}.sha256`;
  if (existsSync(path)) return digestIn(await readFile(path, "utf8"), path);
  const hint = `give its checksum by --sha256, or put it into ${path}`;
  throw new StartupError(`whether ${file} is whole cannot be told: ${hint}`, ExitCode.usage);
}

function digestIn(text: string, where: string): string {
  const digest = DIGEST.exec(text.trim())?.[0];
  if (digest === undefined) throw new StartupError(`${where} is no SHA-256 in hexadecimal`, ExitCode.usage);
  return digest.toLowerCase();
}

/** What an executable says of itself. Throws a StartupError when it is no OpsPilot, or none for this machine. */
async function versionOf(path: string, named: string): Promise<string> {
  const { output, why } = await ask(path);
  const { version, platform } = fieldsOf(jsonOf(output));
  if (typeof version !== "string" || typeof platform !== "string")
    throw new StartupError(`${named} is no OpsPilot, or does not run here (${why})`, ExitCode.failure);
  const own = `${process.platform}-${process.arch}`;
  // One for older processors of this kind runs here, too.
  if (platform === own || platform.startsWith(`${own}-`)) return version;
  throw new StartupError(`${named} is for ${platform}, and this machine is ${own}`, ExitCode.failure);
}

async function ask(path: string): Promise<{ output: string; why: string }> {
  try {
    const options = { stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: VERSION_LIMIT_MS } as const;
    const child = Bun.spawn([path, "version", "--json"], options);
    const [output, errors, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return { output: status === 0 ? output : "", why: errors.trim().split("\n")[0] || `exit status ${status}` };
  } catch (error) {
    // The system takes it for no program.
    return { output: "", why: errorMessage(error) };
  }
}
