import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { DatabaseTarget } from "../target.ts";
import { APPLICATION_NAME } from "./cluster.ts";
import { peekPostmaster } from "./postmaster.ts";
import { POSTGRES_PORT } from "./settings.ts";

/**
 * The built-in PostgreSQL of this data directory, if it runs and takes connections. Nothing is started, made, locked or
 * cleared. Throws where this user may not look.
 */
export function findRunning(dataDir: string): DatabaseTarget | undefined {
  const path = resolve(dataDir);
  const running = peekPostmaster(path);
  if (!running) return undefined;
  return embeddedTarget(running.socketDirectory, readFileSync(join(path, "postgres.password"), "utf8").trim());
}

/** The application's role, which is no superuser, over a Unix socket. */
export function embeddedTarget(socketDirectory: string, password: string): DatabaseTarget {
  return {
    host: socketDirectory,
    port: POSTGRES_PORT,
    user: APPLICATION_NAME,
    password,
    database: APPLICATION_NAME,
    tls: false,
  };
}
