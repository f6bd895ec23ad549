import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../../lib/log.ts";
import { publish, removeContent, syncFileSystem } from "./durable.ts";
import { findPack, POSTGRES_VERSION } from "./pack.ts";
import { cannotCreate, isDiskFull } from "./start-failures.ts";

/**
 * Unpacks PostgreSQL into the data directory unless it is there. Returns the directory that has `bin/`. Only for while no
 * postmaster runs: other releases are removed.
 */
export async function ensureBinaries(dataDir: string, log: Log): Promise<string> {
  const parent = join(dataDir, "postgres");
  const home = join(parent, POSTGRES_VERSION);
  if (existsSync(home)) return home;
  log.info({ version: POSTGRES_VERSION }, "unpacking PostgreSQL");
  mkdirSync(parent, { recursive: true });
  chmodSync(parent, 0o755);
  const pack = await findPack();
  removeContent(parent);
  const temporary = join(parent, `.new-${process.pid}`);
  try {
    await new Bun.Archive(Bun.zstdDecompressSync(pack)).extract(temporary);
    settle(temporary);
    syncFileSystem(temporary);
    publish(temporary, home);
  } catch (error) {
    // The archive's own error does not say it.
    const isFull = isDiskFull(dataDir);
    rmSync(temporary, { recursive: true, force: true });
    throw isFull ? cannotCreate(`PostgreSQL cannot be unpacked to ${parent}: the disk is full`, error) : error;
  }
  return home;
}

/** Readable for the user that PostgreSQL runs as, whatever the umask. */
function settle(directory: string): void {
  chmodSync(directory, 0o755);
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) settle(path);
    if (entry.isFile()) {
      chmodSync(path, isProgram(path) ? 0o755 : 0o644);
    }
  }
}

function isProgram(path: string): boolean {
  return /\/bin\/[^/]+$|\.so[.\d]*$/.test(path);
}
