import { statSync } from "node:fs";
import { backUp } from "../backup/backup.ts";
import { ArchiveError, type Manifest } from "../backup/model.ts";
import { filePlace, type Place } from "../backup/place.ts";
import { type CheckedArchive, checkArchive, requireEmpty, restore as restoreInto } from "../backup/restore.ts";
import { datedPath, deleteOldest } from "../backup/rotation.ts";
import { S3_ADDRESS, s3Place } from "../backup/s3-place.ts";
import type { Flags } from "../config/sources.ts";
import { type Config, loadConfig } from "../config.ts";
import type { Database } from "../db/client.ts";
import { createSystemClock } from "../lib/clock.ts";
import { ExitCode, errorCode, errorMessage, StartupError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { VERSION } from "./version.ts";
import { createCommandLog, withDatabase } from "./with-database.ts";

/** Flags of `backup`. */
export interface BackupFlags extends Flags {
  readonly keep?: string;
  readonly json?: true;
}

/** Flags of `restore`. */
export interface RestoreFlags extends Flags {
  readonly check?: true;
  readonly replace?: true;
}

/** Writes a backup of the database, and says what is in it. */
export async function backup(target: string, flags: BackupFlags, stop: AbortSignal): Promise<number> {
  const config = loadConfig(flags);
  const maker = { version: VERSION, nowMs: Date.now() };
  const isDirectory = !S3_ADDRESS.test(target) && statSync(target, { throwIfNoEntry: false })?.isDirectory() === true;
  const keep = keepOf(flags.keep, isDirectory);
  const place = placeOf(isDirectory ? datedPath(target, maker.nowMs) : target, config);
  const { manifest, bytes } = await withDatabase(config, (database) => backUp(database, maker, place, stop));
  const rows = rowsOf(manifest);
  const text = `${place.name}: ${rows} rows of ${manifest.tables.length} tables, ${bytes} bytes.`;
  process.stdout.write(`${flags.json ? JSON.stringify({ place: place.name, rows, bytes }) : text}\n`);
  if (keep !== undefined) await deleteOldest(target, keep);
  return ExitCode.ok;
}

function keepOf(text: string | undefined, isDirectory: boolean): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new StartupError("--keep: expected a number from 1 up", ExitCode.usage);
  if (!isDirectory)
    throw new StartupError("--keep: expected a directory, which is there, to keep them in", ExitCode.usage);
  return Number(text);
}

/** Reads a backup to its end, and, unless it is only to be looked at, makes a database of it. */
export async function restore(source: string, flags: RestoreFlags): Promise<number> {
  const config = loadConfig(flags);
  const archive = await check(placeOf(source, config));
  process.stdout.write(`${describe(archive)}\n`);
  if (flags.check) return ExitCode.ok;
  const log = createCommandLog(config);
  const aside =
    config.database === null
      ? await restoreEmbedded(config, archive, flags.replace === true, log)
      : await restoreExternal(config, archive);
  process.stdout.write("The database is restored.\n");
  if (aside !== null)
    process.stdout.write(`What was there before is in ${aside}: delete it when you do not need it.\n`);
  return ExitCode.ok;
}

function placeOf(text: string, { s3 }: Config): Place {
  return S3_ADDRESS.test(text) ? s3Place(text, s3) : filePlace(text);
}

async function check(place: Place): Promise<CheckedArchive> {
  try {
    return await checkArchive(place);
  } catch (error) {
    if (error instanceof ArchiveError)
      throw new StartupError(`${place.name}: ${error.message}; nothing was changed`, ExitCode.config, { cause: error });
    if (errorCode(error) === "ENOENT") throw new StartupError(`${place.name} is not there`, ExitCode.config);
    throw error;
  }
}

function describe({ place, preface, manifest }: CheckedArchive): string {
  const { opspilot, made_at } = preface;
  return `${place.name} is whole: ${rowsOf(manifest)} rows, made by OpsPilot ${opspilot} at ${made_at}.`;
}

async function restoreEmbedded(config: Config, archive: CheckedArchive, mayReplace: boolean, log: Log) {
  const { replaceEmbedded } = await import("../db/embedded/replace.ts");
  const options = { dataDir: config.dataDir, clock: createSystemClock(), log, mayReplace };
  return replaceEmbedded(options, (database) => fill(database, archive, log));
}

async function restoreExternal(config: Config, archive: CheckedArchive): Promise<null> {
  await withDatabase(config, async (database, log) => {
    await requireEmpty(database, archive);
    await fill(database, archive, log);
  });
  return null;
}

async function fill(database: Database, archive: CheckedArchive, log: Log): Promise<void> {
  try {
    const leftOut = await restoreInto(database, archive, log);
    for (const { name, rows } of leftOut) log.warn({ name, rows }, "jobs of another version could not be restored");
  } catch (error) {
    throw new StartupError(`${archive.place.name} cannot be restored: ${errorMessage(error)}`, ExitCode.failure, {
      cause: error,
    });
  }
}

function rowsOf({ tables }: Manifest): number {
  return tables.reduce((sum, { rows }) => sum + rows, 0);
}
