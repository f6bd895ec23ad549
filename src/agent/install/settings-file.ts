import type { AgentSettings } from "./request.ts";

const HEADER = `# Settings of the OpsPilot agent on this host: NAME=value. After a change: opspilot agent install
# OPSPILOT_ALLOW says what the server may have done here, such as restart_service:nginx,get_logs:*
# (commands that only look are allowed unless it names them, or begins with none).
`;

/** systemd reads a value in double quotes as the agent itself does; what needs none gets none. */
const PLAIN = /^[A-Za-z0-9_./:@,*?+=~%^-]*$/;

/** The settings that a file holds; lines that are none are passed over. */
export function readSettingsFile(text: string): Record<string, string> {
  const pairs = text.split("\n").flatMap((line): [string, string][] => {
    const [, name, value] = /^\s*([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? [];
    return name === undefined || value === undefined ? [] : [[name, unquoted(value.trim())]];
  });
  return Object.fromEntries(pairs);
}

/** The file with these settings: lines that stand there already keep their place, others and comments stay as they are. */
export function mergeSettingsFile(text: string, settings: AgentSettings): string {
  const left = new Map(Object.entries(settings).filter(([, value]) => value !== undefined));
  const lines = (text === "" ? HEADER : text).trimEnd().split("\n");
  const kept = lines.flatMap((line) => {
    const name = /^\s*([A-Z][A-Z0-9_]*)=/.exec(line)?.[1];
    const value = name === undefined ? undefined : left.get(name);
    if (name === undefined || value === undefined) return [line];
    left.delete(name);
    return value === "" ? [] : [lineOf(name, value)];
  });
  const added = [...left].flatMap(([name, value]) => (value ? [lineOf(name, value)] : []));
  return `${[...kept, ...added].join("\n")}\n`;
}

function lineOf(name: string, value: string): string {
  return `${name}=${PLAIN.test(value) ? value : quoted(value)}`;
}

function quoted(value: string): string {
  return `"${value.replaceAll(/["\\$`]/g, "\\$&")}"`;
}

function unquoted(value: string): string {
  const inner = /^"(.*)"$/.exec(value)?.[1];
  return inner === undefined ? value.replace(/^'(.*)'$/, "$1") : inner.replaceAll(/\\(["\\$`])/g, "$1");
}
