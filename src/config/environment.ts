import { userInfo } from "node:os";

/** What surrounds the process. A value, so that a test can make one up. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly uid: number;
  /** The user's home directory, by the system's user database where HOME is not set. */
  readonly home: string | undefined;
}

/** What really surrounds this process. */
export function readSurroundings(): Surroundings {
  const { env } = process;
  return { env, cwd: process.cwd(), uid: process.getuid?.() ?? 0, home: env.HOME || homeByUserDatabase() };
}

function homeByUserDatabase(): string | undefined {
  try {
    return userInfo().homedir || undefined;
  } catch (error) {
    // A uid without an entry, as in a container: then there is no home.
    if (error instanceof Error) return undefined;
    throw error;
  }
}

/** Where Bun keeps the modules of an executable. */
const EMBEDDED = "/$bunfs/";

/** Whether this is the built executable, not a source checkout. */
export function isExecutable(): boolean {
  return Bun.main.startsWith(EMBEDDED);
}

/** Libraries take any other value, and none, for a developer's machine. To be called before they are loaded. */
export function defaultToProduction(): void {
  process.env.NODE_ENV ??= "production";
}

/**
 * Settings of Bun and of its allocator, which they take from the environment before any of our code runs. By default the
 * collector's timer ticks each second, and the allocator looks for pages to give back whenever the event loop sleeps (at most
 * each 100 ms): half of what a server takes at rest. A minute, in milliseconds, is enough for both: the engine collects by
 * what is allocated, too (Bun's GarbageCollectionController; oven-sh/mimalloc, src/scavenger.c).
 */
const BUN_SETTINGS = { BUN_GC_TIMER_INTERVAL: "60000", MIMALLOC_PURGE_HOLES_MIN_INTERVAL: "60000" } as const;

/**
 * Starts the executable anew with these settings, in the process that it is (execve: same pid, same descriptors), unless it
 * has them. Where that cannot be done, as when the file was moved away meanwhile, it runs on without them, at a higher cost.
 */
export function startWithBunSettings(words: readonly string[]): void {
  const { env, execPath } = process;
  const hasAll = Object.keys(BUN_SETTINGS).every((name) => env[name] !== undefined);
  if (hasAll || process.execve === undefined) return;
  try {
    process.execve(execPath, [execPath, ...words], { ...BUN_SETTINGS, ...env } as NodeJS.ProcessEnv);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}
