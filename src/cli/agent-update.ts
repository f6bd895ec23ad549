import { join, resolve } from "node:path";
import { readInstalledAgent } from "../agent/install/installed.ts";
import { PATHS } from "../agent/install/unit.ts";
import { createProcessRunner } from "../agent/run-process.ts";
import { statePaths } from "../agent/state-dir.ts";
import { createDownload } from "../agent/update/download.ts";
import { settle, updatePaths } from "../agent/update/trial.ts";
import { settledWords, updateService } from "../agent/update/update.ts";
import { loadAgentConfig } from "../config/agent.ts";
import { readSurroundings } from "../config/environment.ts";
import { createSystemClock } from "../lib/clock.ts";
import { ExitCode, StartupError } from "../lib/errors.ts";
import { SYSTEM_PATH } from "./agent-install.ts";
import { PLATFORM } from "./version.ts";

/** Flags of `agent update`. */
interface UpdateFlags {
  readonly force?: true;
  readonly settle?: true;
}

/** Updates the service's executable, from its server or from a file; or, for its unit, ends what a killed update has left. */
export async function updateAgent(file: string | undefined, flags: UpdateFlags, stop: AbortSignal): Promise<number> {
  if (flags.settle) return settleUpdate();
  const { cwd, uid } = readSurroundings();
  const { server, stateDir } = installedConfig(uid);
  const clock = createSystemClock();
  const platform = ownPlatform();
  const given = file === undefined ? undefined : resolve(cwd, file);
  await updateService(
    { file: given, isForced: flags.force === true, root: "" },
    {
      run: createProcessRunner({ searchPath: SYSTEM_PATH, clock }),
      download: createDownload({ server, platform, clock, stop }),
      statusPath: statePaths(stateDir).connection,
      platform,
      tell,
      clock,
      uid,
      stop,
    },
  );
  return ExitCode.ok;
}

async function settleUpdate(): Promise<number> {
  const dataDir = readInstalledAgent()?.env.OPSPILOT_DATA_DIR ?? PATHS.state;
  const statusPath = statePaths(join(dataDir, "agent")).connection;
  const words = settledWords(await settle(updatePaths(PATHS.executable), statusPath));
  if (words !== undefined) tell(words);
  return ExitCode.ok;
}

/** The settings of the service. */
function installedConfig(uid: number) {
  if (uid !== 0)
    throw new StartupError("this changes the system: run it as root (sudo opspilot agent update)", ExitCode.failure);
  const installed = readInstalledAgent();
  if (installed === undefined)
    throw new StartupError(
      "the agent is not installed as a service of this host (opspilot agent install): put the new executable where it is started from",
      ExitCode.failure,
    );
  return loadAgentConfig({}, { env: installed.env, cwd: "/", uid: 0, home: undefined });
}

function ownPlatform() {
  if (PLATFORM !== undefined) return PLATFORM;
  throw new StartupError("only an executable can be updated, and this is a source checkout", ExitCode.usage);
}

function tell(line: string): void {
  process.stdout.write(`${line}\n`);
}
