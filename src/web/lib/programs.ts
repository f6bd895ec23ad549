import type { CommandName } from "../../protocol/commands.ts";

const PROGRAMS: Partial<Record<CommandName, (target: string) => string>> = {
  restart_service: (target) => `systemctl restart ${target}`,
  start_service: (target) => `systemctl start ${target}`,
  stop_service: (target) => `systemctl stop ${target}`,
  restart_container: (target) => `docker restart ${target}`,
  update_agent: () => "opspilot agent update",
};

/** What will run there, as an engineer knows it. */
export function programOf(command: CommandName, target: string): string {
  return PROGRAMS[command]?.(target) ?? `${command} ${target}`.trim();
}
