import type { CollectorName, CollectorSettings, IgnoreEntry } from "../../config/agent-collectors.ts";
import { stripControls } from "../../lib/controls.ts";
import { matchesGlob } from "../../lib/glob.ts";
import { unitName } from "../../protocol/commands.ts";
import type { Collector, HostAlert, ReportAlert } from "../model.ts";
import { createChecksCollector } from "./checks.ts";
import type { CollectorDeps } from "./collector-model.ts";
import { createDockerCollector } from "./docker.ts";
import { createHostCollector } from "./host.ts";
import { createKernelCollector } from "./kernel.ts";
import { createLogsCollector } from "./logs.ts";
import { createSystemdCollector } from "./systemd.ts";

export type CollectorsDeps = Omit<CollectorDeps, "settings">;

const MAKERS: Readonly<Record<CollectorName, (deps: CollectorDeps) => Collector>> = {
  systemd: createSystemdCollector,
  docker: createDockerCollector,
  host: createHostCollector,
  kernel: createKernelCollector,
  logs: createLogsCollector,
  checks: createChecksCollector,
};

/** Everything that watches this host, as far as it is switched on; what is to be ignored never leaves them. */
export function createCollectors(settings: CollectorSettings, deps: CollectorsDeps): Collector[] {
  return settings.enabled.map((name) => {
    const collector = MAKERS[name]({ ...deps, settings });
    return { ...collector, start: (report) => collector.start(plainly(ignoring(settings.ignore, report))) };
  });
}

/** Whoever reads an alert has no terminal. */
function plainly(report: ReportAlert): ReportAlert {
  return ({ message, logs, ...rest }) =>
    report({
      ...rest,
      message: stripControls(message),
      ...(logs === undefined ? {} : { logs: stripControls(logs) }),
    });
}

function ignoring(entries: readonly IgnoreEntry[], report: ReportAlert): ReportAlert {
  return async (alert) => {
    if (!entries.some((entry) => isIgnored(entry, alert))) await report(alert);
  };
}

/** `nginx` and `nginx.service` are one. */
function isIgnored({ type, pattern }: IgnoreEntry, alert: HostAlert): boolean {
  if (type !== alert.type) return false;
  return matchesGlob(pattern, alert.source) || (type === "systemd" && matchesGlob(unitName(pattern), alert.source));
}
