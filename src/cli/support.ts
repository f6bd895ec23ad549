import { open, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { showSettings } from "../config/shown.ts";
import type { Flags } from "../config/sources.ts";
import { syncPath } from "../lib/durable.ts";
import { createLog } from "../lib/log.ts";
import { findAll, readConfig } from "./doctor.ts";
import { versionFacts } from "./version.ts";

/** What the command line says of a report. */
export interface SupportFlags extends Flags {
  withNames?: true;
  log?: string;
}

/** For its owner alone. */
const MODE = 0o600;

/** Writes all that a report of a fault should have into one archive, without secrets. */
export async function support(file: string, flags: SupportFlags): Promise<number> {
  const { collectSupport } = await import("../doctor/support.ts");
  const withNames = flags.withNames === true;
  const texts = await collectSupport({
    config: readConfig(flags),
    shown: showSettings(flags, { withNames }),
    version: versionFacts(),
    findings: await findAll(flags),
    logPath: flags.log === undefined ? null : resolve(flags.log),
    withNames,
    log: createLog({ level: "silent", readable: false }),
  });
  const path = resolve(file);
  await writeWhole(path, await pack(path, texts));
  process.stdout.write(`${path}\n`);
  return 0;
}

/** By the name's end: zstd, or gzip. */
async function pack(path: string, texts: Record<string, string>): Promise<Uint8Array> {
  const inFolder = Object.fromEntries(Object.entries(texts).map(([name, text]) => [`opspilot-support/${name}`, text]));
  if (!path.endsWith(".zst")) return new Bun.Archive(inFolder, { compress: "gzip" }).bytes();
  return Bun.zstdCompressSync(await new Bun.Archive(inFolder).bytes());
}

/** There is all of it, or what was there before. */
async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const part = `${path}.${process.pid}.part`;
  try {
    const file = await open(part, "wx", MODE);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path);
    await syncPath(dirname(path));
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}
