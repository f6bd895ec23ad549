import { keepHead } from "../protocol/text.ts";
import { factsOf, plain } from "./facts.ts";
import type { Category, Evidence, HeuristicAnswer } from "./model.ts";
import { ownAlertOf, testedHostOf, victimOf } from "./own-alerts.ts";
import { PLAIN_TEXTS, type PlainText } from "./plain-texts.ts";
import { isAboutEvidence } from "./program-marks.ts";
import { RULES } from "./rules/all.ts";
import { type Rule, TIERS } from "./rules/rule.ts";
import { compileRules, type Found, type Hit, type RuleBook, scan } from "./scan.ts";
import { causeText, fixText } from "./template.ts";

/**
 * The heuristics. Every line is looked at by every rule; a fitting line scores the rule's tier (how near to the root its words are)
 * times the line's factor (how plainly it says that something failed), and the best one is the cause. So a fatal line beats a
 * warning, the line that names the cause beats the lines that suffer from it wherever these stand, what the program did without
 * or what came back counts little, and of equals the first one counts: the others echo it. Within a line the innermost words do.
 *
 * The rules are compiled here, which takes some 40 ms: once for a program.
 */
export function createHeuristics(): (evidence: Evidence) => HeuristicAnswer {
  const book = compileRules(RULES);
  return (evidence) => {
    const told = ownAnswer(evidence);
    if (told !== undefined) return told;
    for (const { reading, isAlone } of narrower(evidence)) {
      const answer = explain(book, reading);
      // A line that says only that something crashed leaves the cause to those after it.
      if (answer.category !== "unknown" && !(isAlone && answer.category === "crash")) return answer;
    }
    return explain(book, evidence);
  };
}

/**
 * What is read first of a log rule's alert, since the line that matched decides: that line, which the message quotes, then what
 * followed it. The lines before it may be of anything that ran at the time.
 */
function narrower(evidence: Evidence): { reading: Evidence; isAlone: boolean }[] {
  if (evidence.type !== "log") return [];
  const lines = evidence.logs.split("\n");
  const at = lines.findIndex(
    (line) => line.trim() !== "" && evidence.message.includes(`: ${keepHead(line.trim(), QUOTED_BYTES)}`),
  );
  // In their places, so that the number of the line that decides is right.
  const only = (isRead: (index: number) => boolean): Evidence => ({
    ...evidence,
    logs: lines.map((line, index) => (isRead(index) ? line : "")).join("\n"),
  });
  return [
    { reading: only((index) => index === at), isAlone: true },
    { reading: only((index) => at >= 0 && index >= at), isAlone: false },
  ];
}

/** Of a line that the message quotes. */
const QUOTED_BYTES = 400;

function explain(book: RuleBook, evidence: Evidence): HeuristicAnswer {
  const found = scan(book, evidence);
  const ranked = decisive(found.hits.map((hit) => ({ hit, score: scoreOf(hit, found, evidence) }))).sort(
    (a, b) => b.score - a.score || orderOf(a.hit) - orderOf(b.hit),
  );
  const [best] = ranked;
  if (best === undefined || best.score < SCORE_MIN) return unknown(evidence, best);
  const rival = ranked.find(({ hit }) => hit.rule.category !== best.hit.rule.category);
  return answer(evidence, best, rival, agreementOf(best.hit, found.hits));
}

interface Ranked {
  hit: Hit;
  score: number;
}

/** Below this nothing was said that a cause can be read from. */
const SCORE_MIN = 38;
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
/** By this much the best must lead for full confidence. */
const LEAD_FULL = 16;

const scoreOf = (hit: Hit, found: Found, { exitCode }: Evidence): number => {
  const { rule, line, factor, isFailing, isFatal, lines } = hit;
  const said = isFailing || rule.tier === "root" ? 1 : MENTIONED_FACTOR;
  const exit = exitCode !== null && rule.exitCodes?.includes(exitCode) ? EXIT_CODE_BONUS : 0;
  const late = isFatal && line >= 0 ? (FATAL_LATE_BONUS * line) / Math.max(1, found.lineCount) : 0;
  const repeated = Math.min(REPEAT_BONUS_MAX, Math.log2(lines) / 2);
  return (TIERS[rule.tier] * factor * said + exit + late + repeated) * passedFactor(hit, found);
};

/** A line that tells of another try, or of what comes and goes: what went well later was that. */
const BRIEF =
  /\bretr(?:y|ying|ies)\b|\btry(?:ing)? again\b|\battempt \d|\blink (?:is |becomes |went )?down\b|\bdisappeared\b|\bwaiting to reappear\b/i;

const passedFactor = ({ rule, line, text, factor, isFatal }: Hit, { recoveredAt, readyAt, doneAt }: Found): number => {
  if (line < 0 || isFatal) return 1;
  if (line < recoveredAt && PASSING.has(rule.category)) return RECOVERED_FACTOR;
  if (line < doneAt && BRIEF.test(text)) return RECOVERED_FACTOR;
  if (rule.category === "config_error" && factor < 1 && factor > DENIED_BELOW) return WARNED_SETTING_FACTOR;
  return line < readyAt ? WENT_ON_FACTOR : 1;
};

/** Of what fits one line only what decides there: a rule that another one beats is left out, then the innermost counts. */
const decisive = (ranked: readonly Ranked[]): Ranked[] => {
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
};

/** Of equals the first log line counts; the message, which repeats what the logs say, comes after them. */
const orderOf = ({ line }: Hit): number => (line < 0 ? Number.MAX_SAFE_INTEGER : line);

const answer = (
  evidence: Evidence,
  { hit, score }: Ranked,
  rival: Ranked | undefined,
  agreement: number,
): HeuristicAnswer => {
  const { rule, text, named, end } = hit;
  const victim = victimOf(evidence);
  const of = victim === undefined ? evidence : { ...evidence, ...victim };
  const facts = { ...factsOf(text, named, end), ...(victim === undefined ? {} : { process: plain(victim.process) }) };
  const { cause, fix } = wordsOf(rule, of, text);
  return {
    category: rule.category,
    confidence: confidenceOf(hit, score, rival?.score ?? 0, agreement),
    decisive: text,
    rule: rule.id,
    why: whyText(hit, rival),
    cause: causeText(cause, of, facts),
    fix: fixText(fix, of, facts),
  };
};

/** The rule's own words; where these speak of a program that the evidence does not show, the category's. */
const wordsOf = ({ cause, fix, category }: Rule, evidence: Evidence, line: string): PlainText => {
  if (category === "unknown") return { cause, fix };
  const usual = PLAIN_TEXTS[category];
  return {
    cause: isAboutEvidence(cause, evidence, line) ? cause : usual.cause,
    fix: isAboutEvidence(fix, evidence, line) ? fix : usual.fix,
  };
};

/** A host's own alert says it all in its message. */
const ownAnswer = (evidence: Evidence): HeuristicAnswer | undefined => {
  const tested = testedHostOf(evidence);
  if (tested !== undefined) return testAnswer(evidence, tested);
  const own = ownAlertOf(evidence);
  if (own === undefined) return undefined;
  const { alert, facts } = own;
  return {
    category: alert.category,
    confidence: CONFIDENCE.root,
    decisive: evidence.message,
    rule: alert.id,
    why: `Rule ${alert.id} fits the message, which is the host's own and says it all.`,
    cause: causeText(alert.cause, evidence, facts),
    fix: fixText(alert.fix, evidence, facts),
  };
};

const testAnswer = (evidence: Evidence, host: string): HeuristicAnswer => ({
  category: "unknown",
  confidence: 0,
  decisive: null,
  rule: null,
  why: "The message says that it is a test.",
  cause: causeText(
    `This is a test alert of ${plain(host).replaceAll(/[{}|]/g, "")}: nothing has failed.`,
    evidence,
    {},
  ),
  fix: fixText("Nothing is to be done: the alert shows that {source} alerts of that host arrive.", evidence, {}),
});

/** How often a tier's words are right when nothing contradicts them. */
const CONFIDENCE = { root: 0.9, cause: 0.62, likely: 0.55, symptom: 0.5, wrapper: 0.4 } as const;

/** Rules of one category that fit one line, each by words of its own, bear each other out. */
const AGREED_FACTOR = 1.05;
/** The words of any program, when nothing bears them out, are oftener about something else. */
const ALONE_FACTOR = 0.9;

/** What lies under it could still be unsaid, but rules agree, the line says it as an error and no other line names another cause. */
const UNRIVALLED = 0.58;

const shareOf = ({ rule: { tier }, factor }: Hit, rival: number, agreement: number): number => {
  const isPlain = tier === "likely" || (tier === "symptom" && factor > 1);
  return isPlain && rival === 0 && agreement > 1 ? UNRIVALLED : CONFIDENCE[tier];
};

const agreementOf = ({ rule, text }: Hit, hits: readonly Hit[]): number => {
  const isOther = (hit: Hit) => hit.text === text && hit.rule.category === rule.category && hit.rule.id !== rule.id;
  if (hits.some(isOther)) return AGREED_FACTOR;
  return rule.isBroad === true ? ALONE_FACTOR : 1;
};

const confidenceOf = (hit: Hit, score: number, rival: number, agreement: number): number => {
  const lead = Math.min(1, Math.max(0, score - rival) / LEAD_FULL);
  const share = shareOf(hit, rival, agreement) * Math.min(1.05, hit.factor) * agreement * (0.55 + 0.45 * lead);
  return Math.round(Math.min(0.98, share) * 100) / 100;
};

const whyText = ({ rule, line, lines }: Hit, rival: Ranked | undefined): string => {
  const place = line < 0 ? "the message" : `line ${line + 1} of the log`;
  const often = lines > 1 ? `, the first of ${lines} such lines that says it best` : "";
  const other = rival
    ? ` It is nearer to the cause than "${plain(rival.hit.text).slice(0, 120)}" (${rival.hit.rule.category}, rule ${rival.hit.rule.id}).`
    : " Nothing else in the log names a cause.";
  return `Rule ${rule.id} fits ${place}${often}.${other}`;
};

const unknown = (evidence: Evidence, best: Ranked | undefined): HeuristicAnswer => ({
  category: "unknown",
  confidence: 0,
  decisive: null,
  rule: null,
  why: best
    ? `No line names a cause; the nearest, by rule ${best.hit.rule.id}, is too weak to be believed.`
    : "No rule fits any line of the log or the message.",
  cause: causeText("{source} failed, and its log does not say why.", evidence, {}),
  fix: fixText(UNKNOWN_FIX, evidence, {}),
});

const UNKNOWN_FIX =
  "Read more of what {source} wrote before it failed ({logs}), raise its log level, check its settings ({show}) and what changed last; then {restart} and watch it.";
