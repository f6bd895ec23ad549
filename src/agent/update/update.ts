import { existsSync, lstatSync } from "node:fs";
import { chmod, copyFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../lib/clock.ts";
import { syncPath } from "../../lib/durable.ts";
import { ExitCode, errorMessage, StartupError } from "../../lib/errors.ts";
import type { FileLock } from "../../lib/file-lock.ts";
import { sha256OfFile } from "../../lib/hash.ts";
import { fieldsOf, jsonOf } from "../../lib/json.ts";
import { isOlder, isVersion } from "../../lib/versions.ts";
import type { Platform } from "../../protocol/platforms.ts";
import { readIfThere, refuseUnfitHost } from "../install/installed.ts";
import { PATHS } from "../install/unit.ts";
import type { RunProcess } from "../run-process.ts";
import { AGENT_UNIT } from "../service-commands.ts";
import type { createDownload } from "./download.ts";
import {
  beginTrial,
  endTrial,
  hadWelcome,
  holdUpdates,
  putBack,
  type Settled,
  settleHeld,
  type Trial,
  type UpdatePaths,
  updatePaths,
} from "./trial.ts";

/** So long a new version has for reaching the server. */
const TRIAL_MS = 60_000;
const LOOK_EVERY_MS = 200;
const VERSION_LIMIT_MS = 60_000;
const INSTALL_LIMIT_MS = 180_000;
const RESTART_LIMIT_MS = 90_000;

/** What is asked for. */
export interface UpdateRequest {
  /** The new executable; undefined: what the server hands out. */
  readonly file: string | undefined;
  /** Also an older version, and also where a server runs the same executable. */
  readonly isForced: boolean;
  /** Before every path; empty for this host. */
  readonly root: string;
}

export interface UpdateDeps {
  readonly run: RunProcess;
  readonly download: ReturnType<typeof createDownload>;
  /** Where the agent tells how its connection is. */
  readonly statusPath: string;
  readonly platform: Platform;
  /** A line for the person. */
  readonly tell: (line: string) => void;
  readonly clock: Clock;
  readonly uid: number;
  readonly stop: AbortSignal;
}

/**
 * Puts a new executable in the place of the service's, and the former one back where the new one does not reach the server (see trial.ts).
 * Throws a StartupError that says why nothing is new.
 */
export async function updateService(request: UpdateRequest, deps: UpdateDeps): Promise<void> {
  const { root } = request;
  refuseUnfitHost({ root, isThisSystem: true, isDryRun: false }, deps.uid);
  const paths = updatePaths(join(root, PATHS.executable));
  refuseOddPlace(request, paths);
  const lock = holdUpdates(paths);
  if (lock === undefined) throw new StartupError("another update is under way on this host", ExitCode.failure);
  try {
    await settleFormer(paths, lock, deps);
    const versions = await stage(request, paths, deps);
    if (versions === undefined) return deps.tell("nothing to do: this is what the server hands out");
    await tryOut(paths, lock, versions, deps);
  } finally {
    await rm(paths.next, { force: true });
    lock.release();
  }
}

function refuseOddPlace({ root, isForced }: UpdateRequest, { executable }: UpdatePaths): void {
  if (!existsSync(join(root, PATHS.unit)) || !existsSync(executable))
    throw new StartupError(
      "the agent is not installed as a service of this host (opspilot agent install): put the new executable where it is started from",
      ExitCode.failure,
    );
  if (!lstatSync(executable).isFile())
    throw new StartupError(`${executable} is a link: what put it there has to update it`, ExitCode.failure);
  if (existsSync(join(root, PATHS.serverUnit)) && !isForced)
    throw new StartupError(
      `a server on this host uses ${executable}, too: update that, or say --force`,
      ExitCode.failure,
    );
}

/** An update that was killed, and no start of the service since. */
async function settleFormer(paths: UpdatePaths, lock: FileLock, { statusPath, run, tell }: UpdateDeps): Promise<void> {
  const settled = await settleHeld(paths, lock, statusPath);
  const words = settledWords(settled);
  if (words !== undefined) tell(words);
  if (settled === "put back") await restart(run);
}

/** For a person; undefined where there is nothing to tell. */
export function settledWords(settled: Settled): string | undefined {
  if (settled === "kept") return "an update that was interrupted has succeeded: the new version stays";
  if (settled === "put back") return "an update that was interrupted is undone: the former version is back";
  return undefined;
}

type Versions = Omit<Trial, "id">;

/** Has the new executable ready beside the present one, and makes sure that it is one; undefined where it is the same. */
async function stage(request: UpdateRequest, paths: UpdatePaths, deps: UpdateDeps): Promise<Versions | undefined> {
  const { download, tell } = deps;
  await rm(paths.next, { force: true });
  const present = await sha256OfFile(paths.executable);
  if (request.file === undefined) {
    const checksum = await download.checksum();
    if (checksum === present) return undefined;
    tell(`downloading ${download.url}`);
    await download.save(paths.next, checksum);
  } else if (await takeFile(request.file, paths.next, present)) return undefined;
  await chmod(paths.next, 0o755);
  await syncPath(paths.next);
  const from = await versionOf(paths.executable, deps).catch(() => "an unknown version");
  const to = await versionOf(paths.next, deps);
  if (isOlder(to, from) && !request.isForced)
    throw new StartupError(`${to} is older than ${from}, which is installed; --force installs it`, ExitCode.failure);
  return { from, to };
}

/** Resolves with whether it is what is installed already. */
async function takeFile(file: string, next: string, present: string): Promise<boolean> {
  const checksum = /^[0-9a-f]{64}\b/i.exec(readIfThere(`${file}.sha256`))?.[0].toLowerCase();
  await copyFile(file, next).catch((error) => {
    throw new StartupError(`${file} cannot be copied (${error.code})`, ExitCode.failure, { cause: error });
  });
  const digest = await sha256OfFile(next);
  if (checksum !== undefined && checksum !== digest)
    throw new StartupError(`${file} is damaged: its checksum is not that of ${file}.sha256`, ExitCode.failure);
  return digest === present;
}

/** What an executable says of itself. Throws a StartupError when it is none of ours, or not for this host. */
async function versionOf(path: string, { run, platform }: UpdateDeps): Promise<string> {
  const words = [path, "version", "--json"];
  const { exitCode, stdout, stderr } = await run(words, { limitMs: VERSION_LIMIT_MS }).catch((error) => {
    // The system takes it for no program.
    return { exitCode: 126, stdout: "", stderr: errorMessage(error) };
  });
  const { version, platform: itsOwn } = fieldsOf(jsonOf(stdout));
  if (exitCode !== 0 || typeof version !== "string" || !isVersion(version)) {
    const why = stderr.trim().split("\n")[0] || `exit status ${exitCode}`;
    throw new StartupError(
      `the new executable does not run on this host, or is no OpsPilot (${why})`,
      ExitCode.failure,
    );
  }
  if (itsOwn !== platform)
    throw new StartupError(`the new executable is for ${itsOwn}, and this host has ${platform}`, ExitCode.failure);
  return version;
}

async function tryOut(paths: UpdatePaths, lock: FileLock, versions: Versions, deps: UpdateDeps): Promise<void> {
  const { statusPath, clock, run, tell, stop } = deps;
  const trial = { id: crypto.randomUUID(), ...versions };
  await beginTrial(paths, lock, trial);
  tell(`${trial.to} is in place of ${trial.from}, and has ${TRIAL_MS / 1000} s for reaching the server`);
  let why = "it did not reach the server in time";
  try {
    await setUp(paths, run);
    if (await isWelcomed()) {
      endTrial(paths, lock);
      return tell(`updated: ${trial.from} → ${trial.to}; the former executable is kept as ${paths.previous}`);
    }
    if (stop.aborted) why = "it was interrupted";
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    why = error.message;
  }
  await putBack(paths);
  endTrial(paths, lock);
  await setUp(paths, run);
  throw new StartupError(`not updated: ${why}; ${trial.from} is back, and runs`, ExitCode.failure);

  async function isWelcomed(): Promise<boolean> {
    const endMs = clock.monotonicMs() + TRIAL_MS;
    while (clock.monotonicMs() < endMs && !stop.aborted) {
      if (hadWelcome(statusPath, trial)) return true;
      await clock.sleep(LOOK_EVERY_MS, stop);
    }
    return false;
  }
}

/** Each version writes its own unit. */
async function setUp({ executable }: UpdatePaths, run: RunProcess): Promise<void> {
  await succeed(run, [executable, "agent", "install"], INSTALL_LIMIT_MS);
  await restart(run);
}

async function restart(run: RunProcess): Promise<void> {
  await succeed(run, ["systemctl", "restart", AGENT_UNIT], RESTART_LIMIT_MS);
}

async function succeed(run: RunProcess, words: readonly string[], limitMs: number): Promise<void> {
  const { exitCode, stderr, ended } = await run(words, { limitMs });
  if (exitCode === 0) return;
  const reason = ended === "time limit" ? "it did not end in time" : stderr.trim() || `exit status ${exitCode}`;
  throw new StartupError(`${words.join(" ")}: ${reason}`, ExitCode.failure);
}
