import type { Category, Evidence } from "./model.ts";
import { TIERS } from "./rules/rule.ts";
import type { Found, Hit } from "./scan.ts";

/** A rule that fits a line, and how much that says. */
export interface Ranked {
  hit: Hit;
  /** A rule's tier times its line's factor, and a little for what bears it out. */
  score: number;
}

/** Words of a failure in a line that does not say that anything failed; those of a root mean nothing else. */
const MENTIONED_FACTOR = 0.44;
/** The exit code that goes with the rule's words. */
const EXIT_CODE_BONUS = 5;
/** A fatal line counts the more the later it stands: what ended the program stands last. */
const FATAL_LATE_BONUS = 3;
/** What is said again and again is no accident. */
const REPEAT_BONUS_MAX = 2;
/** In one line the innermost message decides: it stands last. */
const INNERMOST_BONUS = 6;
/** Programs warn of a setting and go on without it; what they end of stands in another line. */
const WARNED_SETTING_FACTOR = 0.74;
/** What is denied counts little already. */
const DENIED_BELOW = 0.6;
/** A connection that came back afterwards was not what the program failed of. */
const RECOVERED_FACTOR = 0.5;
/** The program was up and went on after it. */
const WENT_ON_FACTOR = 0.8;
const PASSING: ReadonlySet<Category> = new Set<Category>([
  "connection_refused",
  "dns_failure",
  "timeout",
  "lock_conflict",
  "authentication",
  "resource_limit",
]);

/** The rules that fit, best first: of one line only what decides there keeps its full score. */
export function rank(found: Found, evidence: Evidence): readonly Ranked[] {
  return decisive(found.hits.map((hit) => ({ hit, score: scoreOf(hit, found, evidence) }))).sort(
    (a, b) => b.score - a.score || orderOf(a.hit) - orderOf(b.hit),
  );
}

/** Whether the evidence's exit code is one that goes with the hit's rule. */
export function fitsExit({ rule }: Hit, { exitCode }: Evidence): boolean {
  return exitCode !== null && rule.exitCodes?.includes(exitCode) === true;
}

function scoreOf(hit: Hit, found: Found, evidence: Evidence): number {
  const { rule, line, factor, isFailing, isFatal, lines } = hit;
  const said = isFailing || rule.tier === "root" ? 1 : MENTIONED_FACTOR;
  const exit = fitsExit(hit, evidence) ? EXIT_CODE_BONUS : 0;
  const late = isFatal && line >= 0 ? (FATAL_LATE_BONUS * line) / Math.max(1, found.lineCount) : 0;
  const repeated = Math.min(REPEAT_BONUS_MAX, Math.log2(lines) / 2);
  return (TIERS[rule.tier] * factor * said + exit + late + repeated) * passedFactor(hit, found);
}

/** A line that tells of another try, or of what comes and goes: what went well later was that. */
const BRIEF =
  /\bretr(?:y|ying|ies)\b|\btry(?:ing)? again\b|\battempt \d|\blink (?:is |becomes |went )?down\b|\bdisappeared\b|\bwaiting to reappear\b/i;

function passedFactor({ rule, line, text, factor, isFatal }: Hit, { recoveredAt, readyAt, doneAt }: Found): number {
  if (line < 0 || isFatal) return 1;
  if (line < recoveredAt && PASSING.has(rule.category)) return RECOVERED_FACTOR;
  if (line < doneAt && BRIEF.test(text)) return RECOVERED_FACTOR;
  if (rule.category === "config_error" && factor < 1 && factor > DENIED_BELOW) return WARNED_SETTING_FACTOR;
  return line < readyAt ? WENT_ON_FACTOR : 1;
}

/** Of what fits one line only what decides there: a rule that another one beats is left out, then the innermost counts. */
function decisive(ranked: readonly Ranked[]): Ranked[] {
  const byLine = new Map<number, Ranked[]>();
  for (const one of ranked) byLine.set(one.hit.line, [...(byLine.get(one.hit.line) ?? []), one]);
  return [...byLine.values()].flatMap((those) => {
    const beaten = new Set(those.flatMap(({ hit }) => hit.rule.beats ?? []));
    const inner = ({ hit, score }: Ranked) => score + (INNERMOST_BONUS * hit.end) / Math.max(1, hit.text.length);
    const left = those.filter(({ hit }) => !beaten.has(hit.rule.id)).sort((a, b) => inner(b) - inner(a));
    const [first] = left;
    return first === undefined
      ? []
      : [first, ...left.slice(1).map((one) => ({ ...one, score: Math.min(one.score, first.score - 1) }))];
  });
}

/** Of equals the first log line counts; the message, which repeats what the logs say, comes after them. */
function orderOf({ line }: Hit): number {
  return line < 0 ? Number.MAX_SAFE_INTEGER : line;
}
