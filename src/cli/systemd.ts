import { PATHS } from "../agent/install/unit.ts";
import { isExecutable } from "../config/environment.ts";
import { HARDENING } from "../lib/hardening.ts";

/** Prints the unit. */
export function systemd(): number {
  process.stdout.write(unitFile(isExecutable() ? process.execPath : PATHS.executable));
  return 0;
}

/** A unit for the server. KillMode=mixed: only the server is asked to stop, and it stops its database, after the last write. */
export function unitFile(executable: string): string {
  return `# ${executable} systemd > /etc/systemd/system/opspilot.service
# useradd --system --home-dir /var/lib/opspilot --shell /usr/sbin/nologin opspilot
# Settings belong into /etc/opspilot/opspilot.env (NAME=value; root:root, mode 0600).
# systemctl daemon-reload && systemctl enable --now opspilot

[Unit]
Description=OpsPilot
Wants=network-online.target
After=network-online.target postgresql.service

[Service]
Type=exec
User=opspilot
Group=opspilot
Environment=OPSPILOT_DATA_DIR=/var/lib/opspilot
EnvironmentFile=-/etc/opspilot/opspilot.env
ExecStart=${executable} serve
WorkingDirectory=/var/lib/opspilot
StateDirectory=opspilot
StateDirectoryMode=0700
UMask=0077
KillMode=mixed
TimeoutStopSec=60
Restart=on-failure
RestartSec=2
# Mistakes in the settings do not go away by trying again.
RestartPreventExitStatus=64 78
LimitNOFILE=65536

${HARDENING}
ProtectHostname=yes
ProtectHome=yes
ProtectProc=invisible
ProtectKernelTunables=yes
ProtectControlGroups=yes

[Install]
WantedBy=multi-user.target
`;
}
