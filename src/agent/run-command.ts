import type { AllowEntry } from "../protocol/allow.ts";
import type { CommandName, CommandParams } from "../protocol/commands.ts";
import { type CommandTools, done, type Outcome } from "./command-model.ts";
import { containerLogs, restartContainer } from "./container-commands.ts";
import { hostReport } from "./host-report.ts";
import { changeService, serviceLogs, serviceStatus } from "./service-commands.ts";

/** A command of the vocabulary with parameters that were checked. */
export type CheckedCommand = { [C in CommandName]: { command: C; params: CommandParams<C> } }[CommandName];

/** Runs what was checked and allowed. A surprise is an exception. */
export async function runCommand(
  checked: CheckedCommand,
  allow: readonly AllowEntry[],
  tools: CommandTools,
): Promise<Outcome> {
  switch (checked.command) {
    case "restart_service":
      return changeService("restart", checked.params.service, tools);
    case "start_service":
      return changeService("start", checked.params.service, tools);
    case "stop_service":
      return changeService("stop", checked.params.service, tools);
    case "service_status":
      return serviceStatus(checked.params.service, tools);
    case "get_logs":
      return serviceLogs(checked.params.service, checked.params.lines, tools);
    case "restart_container":
      return restartContainer(checked.params.container, allow, tools);
    case "container_logs":
      return containerLogs(checked.params.container, checked.params.lines, allow, tools);
    case "host_report":
      return hostReport(tools);
    case "ping":
      return done("pong");
  }
}
