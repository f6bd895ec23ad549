import { parseDurationMs } from "../lib/units.ts";
import { type LogRule, parseLogRules } from "./log-rules.ts";
import { type Mistakes, setting, text } from "./settings.ts";

/** The collectors' settings as text. */
export const RawCollectorSettings = {
  OPSPILOT_COLLECTORS: text("collectors such as systemd,docker,host,kernel,logs"),
  OPSPILOT_THRESHOLDS: text("limits such as disk=90,memory=95,load=off"),
  OPSPILOT_PATTERNS: text("log rules such as unit:nginx nginx; file:/var/log/app.log /error/i"),
  OPSPILOT_IGNORE: text("sources such as systemd:apt-daily*,docker:test-*,host:/mnt/*"),
  OPSPILOT_RECOVERY: setting("^\\d{1,12}\\s?(ms|s|m|h)$", "a duration such as 10s, from 1s to 1h"),
};

type RawCollectors = { [name in keyof typeof RawCollectorSettings]?: string };

/** What there is to switch on and off. */
export const COLLECTOR_NAMES = ["systemd", "docker", "host", "kernel", "logs"] as const;
export type CollectorName = (typeof COLLECTOR_NAMES)[number];

/** From where on a figure is worth an alert: percent, but `load` is the 5-minute load per core. Null: never. */
export interface Thresholds {
  readonly disk: number | null;
  readonly inodes: number | null;
  readonly memory: number | null;
  readonly swap: number | null;
  readonly load: number | null;
  readonly cpu: number | null;
}

/** What nothing is told about: `type` is an alert's, `pattern` (`*`, `?`) is over its source. */
export interface IgnoreEntry {
  readonly type: string;
  readonly pattern: string;
}

/** What the collectors watch, and from where on it is worth an alert. */
export interface CollectorSettings {
  readonly enabled: readonly CollectorName[];
  readonly thresholds: Thresholds;
  readonly logRules: readonly LogRule[];
  readonly ignore: readonly IgnoreEntry[];
  /** For how long a unit or a container must run before it counts as recovered. */
  readonly recoveryMs: number;
}

/** What people are woken for by other tools, too; a load of 3 per core is work that waits for minutes. */
export const THRESHOLDS: Thresholds = { disk: 90, inodes: 90, memory: 95, swap: 80, load: 3, cpu: 95 };

const RECOVERY_MS = 10_000;
const RECOVERY_MIN_MS = 1_000;
const RECOVERY_MAX_MS = 3_600_000;
const QUOTED_CHARS_MAX = 60;

/** The collectors' settings; what is wrong with them is noted. */
export function readCollectorSettings(raw: RawCollectors, mistakes: Mistakes): CollectorSettings {
  return {
    enabled: enabledOf(raw.OPSPILOT_COLLECTORS, mistakes),
    thresholds: thresholdsOf(raw.OPSPILOT_THRESHOLDS, mistakes),
    logRules: logRulesOf(raw.OPSPILOT_PATTERNS, mistakes),
    ignore: ignoreOf(raw.OPSPILOT_IGNORE, mistakes),
    recoveryMs: recoveryOf(raw.OPSPILOT_RECOVERY, mistakes),
  };
}

function wordsOf(text: string | undefined): string[] {
  return (text ?? "").split(/[\s,]+/).filter((word) => word !== "");
}

function enabledOf(text: string | undefined, mistakes: Mistakes): readonly CollectorName[] {
  if (text === undefined) return COLLECTOR_NAMES;
  const words = wordsOf(text);
  const unknown = words.find((word) => word !== "none" && !COLLECTOR_NAMES.some((name) => name === word));
  if (unknown !== undefined)
    mistakes.add("OPSPILOT_COLLECTORS", `${quoted(unknown)} is none of ${COLLECTOR_NAMES.join(", ")}, none`);
  return COLLECTOR_NAMES.filter((name) => words.includes(name));
}

function thresholdsOf(text: string | undefined, mistakes: Mistakes): Thresholds {
  const thresholds: Record<keyof Thresholds, number | null> = { ...THRESHOLDS };
  for (const word of wordsOf(text)) {
    const [, name = "", value = ""] = /^([a-z]+)=(\d{1,4}(?:\.\d{1,2})?|off)%?$/.exec(word) ?? [];
    const isKnown = Object.hasOwn(thresholds, name);
    const limit = value === "off" ? null : Number(value);
    const isFine = isKnown && (limit === null || (limit > 0 && (name === "load" || limit <= 100)));
    if (isFine) thresholds[name as keyof Thresholds] = limit;
    else
      mistakes.add(
        "OPSPILOT_THRESHOLDS",
        `${quoted(word)}: expected NAME=PERCENT or NAME=off with a name of ${Object.keys(thresholds).join(", ")} (load: per core)`,
      );
  }
  return thresholds;
}

function logRulesOf(text: string | undefined, mistakes: Mistakes): readonly LogRule[] {
  if (text === undefined) return [];
  const parsed = parseLogRules(text);
  if ("rules" in parsed) return parsed.rules;
  mistakes.add("OPSPILOT_PATTERNS", parsed.fault);
  return [];
}

function ignoreOf(text: string | undefined, mistakes: Mistakes): readonly IgnoreEntry[] {
  return wordsOf(text).flatMap((word) => {
    const [, type, pattern] = /^(systemd|docker|host|log):(.{1,255})$/.exec(word) ?? [];
    if (type !== undefined && pattern !== undefined) return [{ type, pattern }];
    mistakes.add("OPSPILOT_IGNORE", `${quoted(word)}: expected systemd:NAME, docker:NAME, host:NAME or log:NAME`);
    return [];
  });
}

function recoveryOf(text: string | undefined, mistakes: Mistakes): number {
  if (text === undefined) return RECOVERY_MS;
  const ms = parseDurationMs(text);
  if (ms !== undefined && ms >= RECOVERY_MIN_MS && ms <= RECOVERY_MAX_MS) return ms;
  mistakes.add("OPSPILOT_RECOVERY", `expected a duration such as 10s, from 1s to 1h, not ${quoted(text)}`);
  return RECOVERY_MS;
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, QUOTED_CHARS_MAX));
}
