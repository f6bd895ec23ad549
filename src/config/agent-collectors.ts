import type { Check } from "./check-model.ts";
import { parseChecks } from "./checks.ts";
import { type LogRule, parseLogRules } from "./log-rules.ts";
import { type Mistakes, setting, text } from "./settings.ts";
import { durationIn, type ReadSetting } from "./sources.ts";

/** The collectors' settings as text. */
export const RawCollectorSettings = {
  OPSPILOT_COLLECTORS: text("collectors such as systemd,docker,host,kernel,logs,checks"),
  OPSPILOT_THRESHOLDS: text("limits such as disk=90,memory=95,load=off"),
  OPSPILOT_PATTERNS: text("log rules such as unit:nginx nginx; file:/var/log/app.log /error/i"),
  OPSPILOT_CHECKS: text(
    "checks such as https://shop.example.com/health 30s; tcp://db:5432; tls://shop.example.com 14d",
  ),
  OPSPILOT_IGNORE: text("sources such as systemd:apt-daily*,docker:test-*,host:/mnt/*"),
  OPSPILOT_RECOVERY: setting("^\\d{1,12}\\s?(ms|s|m|h)$", "a duration such as 10s, from 1s to 1h"),
};

type RawCollectors = { [name in keyof typeof RawCollectorSettings]?: string };

/** What there is to switch on and off. */
export const COLLECTOR_NAMES = ["systemd", "docker", "host", "kernel", "logs", "checks"] as const;
export type CollectorName = (typeof COLLECTOR_NAMES)[number];

/** What nothing is told about: `type` is an alert's, `pattern` (`*`, `?`) is over its source. */
export interface IgnoreEntry {
  readonly type: string;
  readonly pattern: string;
}

/**
 * From where on a figure is worth an alert, when nobody says so: percent, but `load` is the 5-minute load per core. It is what
 * people are woken for by other tools, too; a load of 3 per core is work that waits for minutes.
 */
export const THRESHOLDS = { disk: 90, inodes: 90, memory: 95, swap: 80, load: 3, cpu: 95 };

/** Null: never. */
export type Thresholds = Readonly<Record<keyof typeof THRESHOLDS, number | null>>;

const RECOVERY_MS = { usual: 10_000, min: 1_000, max: 3_600_000 };
const QUOTED_CHARS_MAX = 60;

/** What the collectors watch, and from where on it is worth an alert; what is wrong with the settings is noted. */
export function readCollectorSettings(raw: RawCollectors, read: ReadSetting<keyof RawCollectors>, mistakes: Mistakes) {
  return {
    enabled: enabledOf(raw.OPSPILOT_COLLECTORS, mistakes),
    thresholds: thresholdsOf(raw.OPSPILOT_THRESHOLDS, mistakes),
    logRules: logRulesOf(raw.OPSPILOT_PATTERNS, mistakes),
    checks: checksOf(raw.OPSPILOT_CHECKS, mistakes),
    ignore: ignoreOf(raw.OPSPILOT_IGNORE, mistakes),
    /** For how long a unit or a container must run before it counts as recovered. */
    recoveryMs: read("OPSPILOT_RECOVERY", durationIn(RECOVERY_MS.min, RECOVERY_MS.max)) ?? RECOVERY_MS.usual,
  };
}

export type CollectorSettings = Readonly<ReturnType<typeof readCollectorSettings>>;

function wordsOf(text = ""): string[] {
  return text.match(/[^\s,]+/g) ?? [];
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

function checksOf(text: string | undefined, mistakes: Mistakes): readonly Check[] {
  const { checks, faults } = parseChecks(text ?? "");
  for (const fault of faults) mistakes.add("OPSPILOT_CHECKS", fault);
  return checks;
}

function ignoreOf(text: string | undefined, mistakes: Mistakes): readonly IgnoreEntry[] {
  return wordsOf(text).flatMap((word) => {
    const [, type, pattern] = /^(systemd|docker|host|log|check):(.{1,255})$/.exec(word) ?? [];
    if (type !== undefined && pattern !== undefined) return [{ type, pattern }];
    mistakes.add(
      "OPSPILOT_IGNORE",
      `${quoted(word)}: expected systemd:NAME, docker:NAME, host:NAME, log:NAME or check:NAME`,
    );
    return [];
  });
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, QUOTED_CHARS_MAX));
}
