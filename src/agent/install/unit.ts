import { HARDENING } from "../../lib/hardening.ts";
import { updatePaths } from "../update/trial.ts";

interface UnitOptions {
  readonly user: string;
  /** Beside the user's own. */
  readonly groups: readonly string[];
  /** What `uninstall` may remove again, since it was not there before the first installation. */
  readonly made: ReturnType<typeof madeBy>;
}

const MADE_EXECUTABLE = "X-OpsPilot-Made-Executable=yes";
const MADE_USER = "X-OpsPilot-Made-User=yes";

/** Reads back what an earlier installation noted in its unit. */
export function madeBy(unit: string) {
  const lines = unit.split("\n");
  return { executable: lines.includes(MADE_EXECUTABLE), user: lines.includes(MADE_USER) };
}

/**
 * The agent's unit. It is asked to stop alone (KillMode=mixed): a restart that it has asked for is systemd's work and goes
 * on. ProtectHome is read-only and processes stay visible, since disks and processes are what it reports about; the journal
 * is read by group, units are restarted by a polkit rule. ProtectHostname would keep the name that the host had at the start.
 */
export function agentUnit({ user, groups, made }: UnitOptions): string {
  const { trial, previous } = updatePaths(PATHS.executable);
  return `# Written by \`opspilot agent install\`, which writes it anew: put changes into a drop-in (systemctl edit opspilot-agent).

[Unit]
Description=OpsPilot agent
Wants=network-online.target
After=network-online.target
# It goes on trying, whatever happens.
StartLimitIntervalSec=0
${[...(made.executable ? [MADE_EXECUTABLE] : []), ...(made.user ? [MADE_USER] : [])].map((line) => `${line}\n`).join("")}
[Service]
Type=exec
User=${user}
${groups.length > 0 ? `SupplementaryGroups=${groups.join(" ")}\n` : ""}EnvironmentFile=${PATHS.settings}
Environment=OPSPILOT_DATA_DIR=${PATHS.state}
# An update that was killed is ended here, by the former executable, as root.
ExecStartPre=-+/bin/sh -c 'test ! -s ${trial} || exec ${previous} agent update --settle'
ExecStart=${PATHS.executable} agent
WorkingDirectory=${PATHS.state}
StateDirectory=opspilot-agent
StateDirectoryMode=0700
UMask=0077
KillMode=mixed
TimeoutStopSec=20
Restart=always
RestartSec=5
# Mistakes in the settings do not go away by trying again.
RestartPreventExitStatus=64 78

# Never a burden: it needs less than half of this.
MemoryMax=256M
MemorySwapMax=0
TasksMax=64
CPUWeight=20
LimitCORE=0

${HARDENING}
ProtectHome=read-only

[Install]
WantedBy=multi-user.target
`;
}

/** The user that an earlier unit names. */
export function userIn(unit: string): string | undefined {
  return /^User=(.+)$/m.exec(unit)?.[1];
}

/** The groups that an earlier unit names. */
export function groupsIn(unit: string): string[] {
  return /^SupplementaryGroups=(.+)$/m.exec(unit)?.[1]?.split(" ") ?? [];
}

/** Where things lie on a host with the agent. */
export const PATHS = {
  executable: "/usr/local/bin/opspilot",
  settings: "/etc/opspilot/agent.env",
  ca: "/etc/opspilot/agent-ca.pem",
  settingsDir: "/etc/opspilot",
  unit: "/etc/systemd/system/opspilot-agent.service",
  updateUnit: "/etc/systemd/system/opspilot-agent-update.service",
  updateWatch: "/etc/systemd/system/opspilot-agent-update.path",
  polkitRule: "/etc/polkit-1/rules.d/50-opspilot-agent.rules",
  state: "/var/lib/opspilot-agent",
  /** A server on the same host runs the same executable. */
  serverUnit: "/etc/systemd/system/opspilot.service",
} as const;

/** Whom the agent runs as, unless told otherwise. */
export const AGENT_USER = "opspilot-agent";
/** Who may read the whole journal. */
export const JOURNAL_GROUP = "systemd-journal";
/** Who may use Docker, and so may do anything. */
export const DOCKER_GROUP = "docker";
