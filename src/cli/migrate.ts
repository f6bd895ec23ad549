import type { Flags } from "../config/sources.ts";
import { loadConfig } from "../config.ts";
import { migrate as migrateDatabase } from "../db/migrate.ts";
import { migrateJobs } from "../jobs/jobs.ts";
import { ExitCode } from "../lib/errors.ts";
import { withDatabase } from "./with-database.ts";

/** Brings the tables up to date, and says so. */
export async function migrate(flags: Flags): Promise<number> {
  await withDatabase(loadConfig(flags), async (database, log) => {
    await migrateDatabase(database, log);
    await migrateJobs(database, log);
  });
  process.stdout.write("The database is up to date.\n");
  return ExitCode.ok;
}
