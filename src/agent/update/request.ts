import { writeFileSync } from "node:fs";
import { type CommandTools, done, failed, type Outcome } from "../command-model.ts";
import { UPDATE_UNIT, UPDATE_WATCH } from "../install/update-units.ts";

const LOOK_LIMIT_MS = 20_000;

/**
 * Asks for an update of this very agent. Its user may not do that: a unit of systemd watches the file, and does as root what a person
 * would. What comes of it is told by that unit's log, and by the version of the agent that runs then.
 */
export async function requestUpdate({ run, updateRequest, now }: CommandTools): Promise<Outcome> {
  const words = ["systemctl", "is-active", "--quiet", "--", UPDATE_WATCH];
  const { exitCode } = await run(words, { limitMs: LOOK_LIMIT_MS });
  if (exitCode !== 0) {
    return failed(
      `${UPDATE_WATCH} does not run on this host: \`opspilot agent install\` there sets it up where OPSPILOT_ALLOW has update_agent`,
    );
  }
  writeFileSync(updateRequest, `${new Date(now()).toISOString()}\n`, { mode: 0o600 });
  return done(`an update is under way; get_logs of ${UPDATE_UNIT} tells what comes of it`);
}
