import type { AllowEntry } from "../../protocol/allow.ts";
import type { CommandName } from "../../protocol/commands.ts";
import { PATHS } from "./paths.ts";

/** What systemd and polkit call what a command does to a unit. */
const VERBS: Partial<Record<CommandName, string>> = {
  restart_service: "restart",
  start_service: "start",
  stop_service: "stop",
};

/** One thing that the agent's user may do to one unit. */
export interface UnitRight {
  readonly verb: string;
  readonly unit: string;
}

/** The verb that an entry needs a right for; undefined where it needs none. */
export function verbOf({ command }: AllowEntry): string | undefined {
  return VERBS[command];
}

/**
 * A rule that lets the agent's user do these things, each named, and nothing else: systemd asks polkit with the verb and the
 * unit's own name. In the JavaScript of old engines, as polkit has it.
 */
export function polkitRule(user: string, rights: readonly UnitRight[]): string {
  const names = [...new Set(rights.map(({ verb, unit }) => `${verb} ${unit}`))].sort();
  return `// Written by \`opspilot agent install\` from OPSPILOT_ALLOW in ${PATHS.settings}, which writes it anew.
polkit.addRule(function (action, subject) {
  var allowed = [
${names
  .map((name) => `    ${JSON.stringify(name)},`)
  .join("\n")
  .replace(/,$/, "")}
  ];
  if (action.id !== "org.freedesktop.systemd1.manage-units" || subject.user !== ${JSON.stringify(user)}) {
    return polkit.Result.NOT_HANDLED;
  }
  var asked = action.lookup("verb") + " " + action.lookup("unit");
  return allowed.indexOf(asked) >= 0 ? polkit.Result.YES : polkit.Result.NOT_HANDLED;
});
`;
}

/** What a rule that was written earlier lets the user do. */
export function rightsIn(rule: string): UnitRight[] {
  return [...rule.matchAll(/^ {4}("(?:[^"\\]|\\.)*"),?$/gm)].map(([, text = '""']) => {
    const [verb = "", unit = ""] = String(JSON.parse(text)).split(" ");
    return { verb, unit };
  });
}
