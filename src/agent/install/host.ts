import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { codeOf } from "../../config/env-file.ts";
import { ExitCode, StartupError } from "../../lib/errors.ts";
import type { StepsOptions } from "./steps.ts";

/** Made by systemd when it has started the machine (see sd_booted(3)). */
const SYSTEMD_RUNS = "/run/systemd/system";

/** What a file holds; nothing when it is not there. Throws a StartupError when it is, but cannot be read. */
export function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "";
    throw new StartupError(`${path} cannot be read (${codeOf(error)})`, ExitCode.failure, { cause: error });
  }
}

/** Refuses where the rest could only fail: another user than root, or a host without systemd. */
export function refuseUnfitHost(place: Omit<StepsOptions, "run" | "tell">, uid: number): void {
  if (!place.isThisSystem || place.isDryRun) return;
  if (uid !== 0)
    throw new StartupError("this changes the system: run it as root (sudo opspilot agent …)", ExitCode.failure);
  if (!existsSync(join(place.root, SYSTEMD_RUNS))) {
    throw new StartupError(
      `this host was not started by systemd (there is no ${SYSTEMD_RUNS}), so there is nothing to install a unit into. ` +
        "Have whatever starts services here run `opspilot agent` with OPSPILOT_SERVER and OPSPILOT_TOKEN set",
      ExitCode.unavailable,
    );
  }
}

/** Whether the name stands in the user list, or the group list, of the system under `root`. */
export function isListed(list: "passwd" | "group", name: string, root: string): boolean {
  return readIfThere(join(root, "/etc", list))
    .split("\n")
    .some((line) => line.startsWith(`${name}:`));
}
