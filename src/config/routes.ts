import { type Daily, parseDaily } from "../lib/hours.ts";
import { parseDurationMs } from "../lib/units.ts";
import { parseRoute, type Routing, TAKES_ALL } from "./routing.ts";
import type { Mistakes, RawSettings, SettingName } from "./settings.ts";
import { durationIn, type ReadSetting } from "./sources.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 1_440 * MINUTE_MS;
const REMIND_MS = 240 * MINUTE_MS;
const ESCALATION_MS = { min: MINUTE_MS, max: 7 * DAY_MS };

/** An outlet that is told of what nobody has acknowledged for so long. */
export interface Escalation {
  readonly outlet: string;
  readonly afterMs: number;
}

/** Who is told what, and when again. `outlets` names those that are set up. */
export function readRoutes(
  raw: RawSettings,
  read: ReadSetting<SettingName>,
  outlets: readonly string[],
  mistakes: Mistakes,
) {
  return {
    slack: routeOf(raw, "SLACK_ROUTE", mistakes),
    webhook: routeOf(raw, "WEBHOOK_ROUTE", mistakes),
    /** In the order of their times. */
    escalation: escalationOf(raw.ESCALATE, outlets, mistakes),
    /** Null: nothing is said again. */
    remindMs: raw.REMIND === "off" ? null : (read("REMIND", durationIn(MINUTE_MS, 30 * DAY_MS)) ?? REMIND_MS),
    /** When the daily digest is said; null: there is none. */
    digest: read<Daily>("DIGEST", parseDaily) ?? null,
    /** What is called each minute while all is well; null: nothing is. */
    heartbeatUrl: read("HEARTBEAT_URL", heartbeatOf) ?? null,
  };
}

function routeOf(raw: RawSettings, name: "SLACK_ROUTE" | "WEBHOOK_ROUTE", mistakes: Mistakes): Routing {
  const text = raw[name];
  if (text === undefined) return TAKES_ALL;
  const { routing, mistakes: found } = parseRoute(text);
  for (const mistake of found) mistakes.add(name, mistake);
  return routing;
}

const ESCALATE_EXPECTED =
  "expected durations from 1m to 7d with an outlet's name each, such as 15m:telegram,30m:pagerduty";

function escalationOf(text: string | undefined, outlets: readonly string[], mistakes: Mistakes): readonly Escalation[] {
  if (text === undefined) return [];
  const steps = text
    .split(/[\s,]+/)
    .filter((one) => one !== "")
    .map(stepOf);
  if (steps.includes(undefined) || steps.length === 0) mistakes.add("ESCALATE", ESCALATE_EXPECTED);
  const right = steps.filter((one) => one !== undefined);
  const names = right.map(({ outlet }) => outlet);
  for (const name of new Set(names)) {
    if (!outlets.includes(name)) {
      const known = outlets.length === 0 ? "none is" : outlets.join(", ");
      mistakes.add("ESCALATE", `names ${name}, which is no outlet that is set up (${known})`);
    }
    if (names.filter((one) => one === name).length > 1) mistakes.add("ESCALATE", `names ${name} more than once`);
  }
  const isAll = outlets.length > 0 && outlets.every((name) => names.includes(name));
  if (isAll) mistakes.add("ESCALATE", "names every outlet: one at least must be told at once");
  return right.toSorted((a, b) => a.afterMs - b.afterMs);
}

function stepOf(text: string): Escalation | undefined {
  const [, duration = "", outlet = ""] = /^([^:]+):([a-z0-9-]{1,20})$/.exec(text) ?? [];
  const afterMs = parseDurationMs(duration);
  if (afterMs === undefined || afterMs < ESCALATION_MS.min || afterMs > ESCALATION_MS.max) return undefined;
  return { outlet, afterMs };
}

/** Its path is the secret: who has it can say that all is well. */
function heartbeatOf(text: string): string | undefined {
  const url = URL.parse(text);
  return url && url.username + url.password + url.hash === "" ? url.href : undefined;
}
