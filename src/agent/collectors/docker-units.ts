import { errorMessage, OpsPilotError } from "../../lib/errors.ts";
import type { CollectorDeps } from "./collector-model.ts";
import { showUnits } from "./systemctl.ts";

/**
 * Podman notes for which of systemd's units it runs a container. Its end is that of the unit's run, which is told of with the unit's
 * name, and which the unit may take for well.
 */
export function createUnitContainers({ run, settings, log }: Pick<CollectorDeps, "run" | "settings" | "log">) {
  return {
    /** Whether the unit is told of, as those of the system are; those of a user's own are not. */
    async areToldAs(unit: string): Promise<boolean> {
      if (unit === "" || !settings.enabled.includes("systemd")) return false;
      try {
        return (await showUnits([unit], run)).get(unit)?.LoadState === "loaded";
      } catch (error) {
        if (!(error instanceof OpsPilotError)) throw error;
        log.debug({ unit, error: errorMessage(error) }, "it cannot be asked for a container's unit");
        return false;
      }
    },
  };
}
