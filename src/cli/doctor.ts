import { ConfigError } from "../config/settings.ts";
import type { Flags } from "../config/sources.ts";
import { type Config, loadConfig } from "../config.ts";
import { createSystemClock } from "../lib/clock.ts";
import { ExitCode, StartupError } from "../lib/errors.ts";
import { broken, type Finding } from "../lib/finding.ts";
import { createLog, type Log } from "../lib/log.ts";
import { terminalText } from "./terminal.ts";

const MARKS: Record<Finding["status"], string> = { ok: "ok  ", warn: "warn", fail: "FAIL" };

/** Looks at all that the server needs, and says what to do; 0 when nothing fails, else 1. */
export async function doctor(flags: Flags & { json?: true }): Promise<number> {
  const findings = await findAll(flags);
  process.stdout.write(flags.json ? `${JSON.stringify(findings, null, 2)}\n` : asText(findings));
  return findings.some(({ status }) => status === "fail") ? ExitCode.failure : ExitCode.ok;
}

/** What there is to say of all that the server needs. */
export async function findAll(flags: Flags): Promise<Finding[]> {
  const config = configOrMistakes(flags);
  if (config instanceof ConfigError) return ofMistakes(config);
  const { examine } = await import("../doctor/checks.ts");
  // What is found is printed; the log would say it twice.
  const log = createLog({ level: "silent", readable: false });
  const [found, wrong] = [await examine(config, log), await outletMistakes(config, log)];
  return [...wrong, ...found];
}

/** What the server would refuse at its start. */
async function outletMistakes(config: Config, log: Log): Promise<Finding[]> {
  const { createOutlets } = await import("../server/outlets.ts");
  try {
    createOutlets(config, { clock: createSystemClock(), log });
    return [];
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    return [broken("settings", error.message.replaceAll(/\n\s*/g, " "), "correct NOTIFY")];
  }
}

/** The settings; null where they cannot be used, which is a finding. */
export function readConfig(flags: Flags): Config | null {
  const config = configOrMistakes(flags);
  return config instanceof ConfigError ? null : config;
}

function configOrMistakes(flags: Flags): Config | ConfigError {
  try {
    return loadConfig(flags);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

/** Each mistake is a finding; without settings there is nothing else to look at. */
function ofMistakes({ mistakes }: ConfigError): Finding[] {
  const todo = "correct it, and run doctor again: what else is wrong is looked at then";
  return mistakes.map(({ setting, message }) => broken("settings", `${setting}: ${message}`, todo));
}

function asText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.flatMap(({ name, status, text, todo }) => {
    const line = `${MARKS[status]}  ${name.padEnd(width)}  ${terminalText(text)}`;
    return todo === null ? [line] : [line, `${" ".repeat(width + 8)}→ ${todo}`];
  });
  return `${lines.join("\n")}\n`;
}
