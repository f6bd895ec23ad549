import type { Database } from "../db/client.ts";
import { embeddedMigrations, migrate, readLastMigration } from "../db/migrate.ts";
import { migrateJobs } from "../jobs/jobs.ts";
import { ExitCode, StartupError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { readArchive } from "./archive.ts";
import { createLoader, fits, hasRows } from "./load-store.ts";
import { ArchiveError, type Manifest, type Preface, type TableEntry } from "./model.ts";
import type { Place } from "./place.ts";

/** An archive that was read to its end and found good. */
export interface CheckedArchive {
  readonly place: Place;
  readonly preface: Preface;
  readonly manifest: Manifest;
}

/** Reads all of it, changes nothing. Throws an ArchiveError where it is damaged, or newer than this executable. */
export async function checkArchive(place: Place): Promise<CheckedArchive> {
  const { preface, manifest } = await readArchive(place.read(), { preface: refuseNewer });
  return { place, preface, manifest };
}

async function refuseNewer({ migration, opspilot }: Preface): Promise<void> {
  const all = embeddedMigrations().map(({ folderMillis }) => folderMillis);
  if (all.includes(migration)) return;
  const isNewer = migration > (all.at(-1) ?? 0);
  throw new ArchiveError(
    isNewer
      ? `it was made by OpsPilot ${opspilot}, which is newer: restore it with that version`
      : `its tables are of no version that this OpsPilot knows (it was made by ${opspilot})`,
  );
}

/** Throws a StartupError where the database is not empty, or was made for a later version than that of the archive. */
export async function requireEmpty({ sql, layout }: Database, { preface }: CheckedArchive): Promise<void> {
  const last = await readLastMigration(sql, layout);
  if (last === 0) return;
  if (await hasRows(sql, layout))
    throw new StartupError(
      "the database is not empty: nothing was changed; restore into an empty one",
      ExitCode.config,
    );
  if (last > preface.migration)
    throw new StartupError(
      "the database has empty tables of a newer version than the backup: nothing was changed; restore into an empty one",
      ExitCode.config,
    );
}

/**
 * Fills an empty database: its tables are brought to the archive's version, filled in one transaction, and brought up to date. The
 * archive is checked once more on the way, and nothing is committed unless it is good. Gives the tables that had to be left out:
 * jobs of another version of pg-boss.
 */
export async function restore(database: Database, archive: CheckedArchive, log: Log): Promise<TableEntry[]> {
  await migrate(database, log, { upTo: archive.preface.migration });
  await migrateJobs(database, log);
  const leftOut = await load(database, archive);
  await migrate(database, log);
  return leftOut;
}

async function load(database: Database, { place, manifest }: CheckedArchive): Promise<TableEntry[]> {
  const { layout } = database;
  const session = database.createSession({ applicationName: "opspilot restore", statementLimitMs: 0 });
  try {
    return await session.begin(async (tx) => {
      const fitting = await Promise.all(manifest.tables.map((table) => fits(tx, layout, table)));
      const taken = manifest.tables.filter((_, at) => fitting[at]);
      const leftOut = manifest.tables.filter((_, at) => !fitting[at]);
      const missing = leftOut.find(({ kind }) => kind === "tables");
      if (missing) throw new ArchiveError(`${missing.name} in it has columns that this OpsPilot does not know`);
      const loader = await createLoader(
        tx,
        layout,
        leftOut.length > 0 ? taken.filter(({ kind }) => kind === "tables") : taken,
      );
      const { manifest: read } = await readArchive(place.read(), { piece: loader.add });
      await loader.finish(read);
      return leftOut;
    });
  } finally {
    await session.end({ timeout: 1 });
  }
}
