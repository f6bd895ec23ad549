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

/** Libraries take any other value, and none, for a developer's machine. To be called before they are loaded. */
export function defaultToProduction(): void {
  process.env.NODE_ENV ??= "production";
}
