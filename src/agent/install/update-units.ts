import { type AllowEntry, isAllowed } from "../../protocol/commands.ts";
import { statePaths } from "../state-dir.ts";
import type { Step } from "./steps.ts";
import { PATHS } from "./unit.ts";

/** What updates the agent, as root. */
export const UPDATE_UNIT = "opspilot-agent-update.service";
/** What waits for the agent to ask for it. */
export const UPDATE_WATCH = "opspilot-agent-update.path";

const SERVICE = `# Written by \`opspilot agent install\`.

[Unit]
Description=Update of the OpsPilot agent
# Somebody asks again when something was mended.
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=${PATHS.executable} agent update
TimeoutStartSec=1h
ProtectHome=yes
PrivateTmp=yes
`;

const WATCH = `# Written by \`opspilot agent install\`, since OPSPILOT_ALLOW has update_agent.

[Unit]
Description=Waits for an update of the OpsPilot agent to be asked for

[Path]
PathChanged=${statePaths(`${PATHS.state}/agent`).updateRequest}
Unit=${UPDATE_UNIT}

[Install]
WantedBy=multi-user.target
`;

/** Whether the server may have the agent updated. */
export function mayUpdate(allow: readonly AllowEntry[]): boolean {
  return isAllowed(allow, "update_agent", "");
}

/** The two units, where the server may ask. */
export function updateUnitSteps(): Step[] {
  return [
    { kind: "file", path: PATHS.updateUnit, mode: 0o644, text: SERVICE },
    { kind: "file", path: PATHS.updateWatch, mode: 0o644, text: WATCH },
  ];
}

/** Makes it wait, once systemd knows it. */
export function startUpdateWatch(): Step {
  return { kind: "run", words: ["systemctl", "enable", "--now", UPDATE_WATCH], why: "updates cannot be asked for" };
}

/** Takes them away, where they are. */
export function updateUnitRemoval(isThere: boolean): Step[] {
  const words = ["systemctl", "disable", "--now", UPDATE_WATCH];
  return [
    ...(isThere ? [{ kind: "run", words, why: "updates can still be asked for", mayFail: true } as const] : []),
    { kind: "remove", path: PATHS.updateWatch },
    { kind: "remove", path: PATHS.updateUnit },
  ];
}
