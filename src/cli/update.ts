import { existsSync, realpathSync } from "node:fs";
import { resolve } from "node:path";
import { PATHS } from "../agent/install/unit.ts";
import { isExecutable } from "../config/environment.ts";
import type { Flags } from "../config/sources.ts";
import { type Config, loadConfig } from "../config.ts";
import { findOpsPilot } from "../doctor/checks.ts";
import { createSystemClock } from "../lib/clock.ts";
import { ExitCode, StartupError } from "../lib/errors.ts";
import { backup } from "./backup.ts";
import { durationFlag } from "./token-services.ts";
import { discard, putBack, type Staged, stage, swap } from "./update-executable.ts";

/** As the printed unit has them. */
const UNIT = "opspilot.service";
const UNIT_SETTINGS = "/etc/opspilot/opspilot.env";
const WAIT = { defaultMs: 120_000, minMs: 1_000, maxMs: 86_400_000, words: "a duration such as 2m, from 1s to 1d" };
const LOOK_MS = 250;

/** Flags of `update`. */
export interface UpdateFlags extends Flags {
  readonly sha256?: string;
  readonly executable?: string;
  readonly restart?: string;
  readonly wait?: string;
  readonly backup?: string;
}

/**
 * Puts a new executable in the server's place, starts the server anew, and puts the former one back when the new one does not get
 * ready in time.
 */
export async function update(file: string, given: UpdateFlags, stop: AbortSignal): Promise<number> {
  const flags = withUnitSettings(given);
  const config = loadConfig(flags);
  const waitMs = flags.wait === undefined ? WAIT.defaultMs : durationFlag("--wait", flags.wait, WAIT);
  const executable = executableOf(flags);
  const restart = await findRestart(flags.restart);
  const staged = await stage(file, executable, flags.sha256);
  try {
    if (staged.isSame) return tell(`Nothing to do: ${executable} is that file already.`);
    if (flags.backup !== undefined) await backup(flags.backup, flags, stop);
    if (stop.aborted) throw new StartupError("stopped: nothing was changed", ExitCode.failure);
    await swap(executable);
  } finally {
    await discard(executable);
  }
  tell(`${executable} is ${staged.to} now; ${staged.from} is kept as ${executable}.previous.`);
  if (restart === undefined)
    return tell("No service of systemd's runs it: restart the server for the change to count.");
  return tryOut(staged, { config, restart, waitMs, stop });
}

/** What a trial needs. */
interface Trial {
  readonly config: Config;
  readonly restart: readonly string[];
  readonly waitMs: number;
  readonly stop: AbortSignal;
}

async function tryOut({ executable, from, to }: Staged, trial: Trial): Promise<number> {
  if ((await run(trial.restart)) && (await isReady(to, trial))) return tell(`OpsPilot ${to} is ready.`);
  const why = trial.stop.aborted ? "stopped" : `${to} was not ready within ${trial.waitMs / 1_000} s`;
  await putBack(executable);
  const isBack = (await run(trial.restart)) && (await isReady(from, { ...trial, stop: new AbortController().signal }));
  throw new StartupError(
    isBack
      ? `${why}: ${from} is back, and ready`
      : `${why}: ${from} is put back, but does not get ready either; look at the server's log. Where it says that the ` +
          "database was migrated by a newer version, restore the backup, or run the new version",
    ExitCode.failure,
  );
}

/** The service has its settings in a file that systemd reads. */
function withUnitSettings(flags: UpdateFlags): UpdateFlags {
  return flags.envFile === undefined && existsSync(UNIT_SETTINGS) ? { ...flags, envFile: UNIT_SETTINGS } : flags;
}

/** A link stays one: what it leads to is replaced. */
function executableOf({ executable }: UpdateFlags): string {
  const path = resolve(executable ?? (isExecutable() ? process.execPath : PATHS.executable));
  if (!existsSync(path))
    throw new StartupError(`${path} is not there: name the server's by --executable`, ExitCode.usage);
  return realpathSync(path);
}

/** How the server is started anew; undefined where nothing is known that runs it. */
async function findRestart(command: string | undefined): Promise<readonly string[] | undefined> {
  if (command !== undefined) return ["/bin/sh", "-c", command];
  if (Bun.which("systemctl") === null) return undefined;
  const isActive = await run(["systemctl", "is-active", "--quiet", UNIT]);
  return isActive ? ["systemctl", "restart", UNIT] : undefined;
}

/** Whether it ended well; what it says is for the person. */
async function run(words: readonly string[]): Promise<boolean> {
  const child = Bun.spawn([...words], { stdin: "ignore", stdout: "inherit", stderr: "inherit" });
  return (await child.exited) === 0;
}

/** Waits until the server answers as that version, and is ready. */
async function isReady(version: string, { config, waitMs, stop }: Trial): Promise<boolean> {
  const clock = createSystemClock();
  const endMs = clock.monotonicMs() + waitMs;
  while (clock.monotonicMs() < endMs && !stop.aborted) {
    const found = await findOpsPilot(config);
    if (found?.version === version && found.isReady) return true;
    await clock.sleep(LOOK_MS, stop);
  }
  return false;
}

function tell(line: string): number {
  process.stdout.write(`${line}\n`);
  return ExitCode.ok;
}
