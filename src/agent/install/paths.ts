/** Where things lie on a host with the agent. */
export const PATHS = {
  executable: "/usr/local/bin/opspilot",
  settings: "/etc/opspilot/agent.env",
  ca: "/etc/opspilot/agent-ca.pem",
  settingsDir: "/etc/opspilot",
  unit: "/etc/systemd/system/opspilot-agent.service",
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
