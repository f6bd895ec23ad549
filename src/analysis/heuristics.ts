import { keepHead } from "../protocol/text.ts";
import { factsOf, plain } from "./facts.ts";
import { type Candidate, type Cause, caseOf } from "./judge/candidates.ts";
import { judge, type Weights } from "./judge/judge.ts";
import { learnedWeights } from "./judge/learned.ts";
import type { Category, Evidence, HeuristicAnswer } from "./model.ts";
import { ownAlertOf, testedHostOf, victimOf } from "./own-alerts.ts";
import { PLAIN_TEXTS, type PlainText } from "./plain-texts.ts";
import { isAboutEvidence } from "./program-marks.ts";
import { type Ranked, rank } from "./ranking.ts";
import { RULES } from "./rules/all.ts";
import type { Rule } from "./rules/rule.ts";
import { compileRules, type Hit, type RuleBook, scan } from "./scan.ts";
import { causeText, fixText } from "./template.ts";

/**
 * The heuristics. Every line is looked at by every rule; a fitting line scores the rule's tier (how near to the root its words are)
 * times the line's factor (how plainly it says that something failed). Which line and which cause it is then, is judged by what was
 * learned from incidents whose cause people know: from what the rules say, from a line's own words, whether a rule knows them or
 * not, from its level and its place, and from what ran on after it.
 *
 * The rules are compiled for the first evidence, which takes some 40 ms: once for a program.
 */
export function createHeuristics(weights?: Weights): (evidence: Evidence) => HeuristicAnswer {
  let compiled: Knowledge | undefined;
  return (evidence) => {
    compiled ??= { book: compileRules(RULES), weights: weights ?? learnedWeights() };
    const knowledge = compiled;
    const told = ownAnswer(evidence);
    if (told !== undefined) return told;
    for (const { reading, isAlone } of narrower(evidence)) {
      const answer = explain(knowledge, reading);
      // A line that says only that something crashed leaves the cause to those after it.
      if (answer.category !== "unknown" && !(isAlone && answer.category === "crash")) return answer;
    }
    return explain(knowledge, evidence);
  };
}

interface Knowledge {
  book: RuleBook;
  weights: Weights;
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

function explain({ book, weights }: Knowledge, evidence: Evidence): HeuristicAnswer {
  const found = scan(book, evidence);
  const ranked = rank(found, evidence);
  const { shares, lines } = judge(caseOf(evidence, found, ranked), weights);
  const byShare = [...shares]
    .map(([category, share]) => ({ category, share, line: category === "unknown" ? undefined : lines.get(category) }))
    .sort((a, b) => b.share - a.share);
  const [chosen] = isShort(evidence) ? bySaid(byShare, ranked) : byShare;
  if (chosen?.line === undefined) return unknown(evidence, ranked[0]);
  const rival = byShare.find(({ category }) => category !== chosen.category);
  return answer(evidence, chosen as Chosen, rival, ranked);
}

/** In fewer lines there is little to choose between, and what a rule says counts. The frames of a trace are no lines of their own. */
const LINES_MIN = 5;
const LINES_READ = 200;
function isShort({ logs }: Evidence): boolean {
  return logs.split("\n", LINES_READ).filter((line) => /^\S/.test(line)).length < LINES_MIN;
}
/** And where no rule does, only what the judge is sure of. */
const SHORT_SHARE_MIN = 0.8;

function bySaid<T extends { category: Category; share: number }>(
  byShare: readonly T[],
  ranked: readonly Ranked[],
): T[] {
  const [best] = ranked;
  if (best !== undefined && best.score >= SCORE_MIN)
    return byShare.filter(({ category }) => category === best.hit.rule.category);
  return byShare.filter(({ share }) => share >= SHORT_SHARE_MIN);
}

/** What it is held to be, and the line that shows it best. */
interface Chosen {
  category: Cause;
  share: number;
  line: Candidate;
}

/** The rule that says it on that line; or, where none does, the best that says it on another. */
function ruleFor({ category, line }: Chosen, ranked: readonly Ranked[]): Hit | undefined {
  const own = ranked.filter(({ hit, score }) => hit.rule.category === category && score >= SCORE_MIN);
  return (own.find(({ hit }) => hit.line === line.line) ?? own[0])?.hit;
}

/** Below this a rule's words say nothing that a cause can be read from. */
const SCORE_MIN = 38;

function answer(
  evidence: Evidence,
  chosen: Chosen,
  rival: Rival | undefined,
  ranked: readonly Ranked[],
): HeuristicAnswer {
  const { category, share, line } = chosen;
  const hit = ruleFor(chosen, ranked);
  const text = hit?.text ?? line.text;
  const victim = victimOf(evidence);
  const of = victim === undefined ? evidence : { ...evidence, ...victim };
  const facts = {
    ...factsOf(text, hit?.named, hit?.end ?? text.length),
    ...(victim === undefined ? {} : { process: plain(victim.process) }),
  };
  const { cause, fix } = hit === undefined ? PLAIN_TEXTS[category] : wordsOf(hit.rule, of, text);
  return {
    category,
    confidence: confidenceOf(share),
    decisive: text,
    rule: hit?.rule.id ?? null,
    why: whyText(hit, line, rival),
    cause: causeText(cause, of, facts),
    fix: fixText(fix, of, facts),
  };
}

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
    confidence: OWN_CONFIDENCE,
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

/** What the host itself says. */
const OWN_CONFIDENCE = 0.9;
/** Of what the judge holds for this likely 98 in 100 were right, on incidents that it had not learned from: that is to be sure. */
const SURE_SHARE = 0.97;
const SURE = 0.6;
const CONFIDENCE_MAX = 0.95;

/** The judge is surer than it should be: its shares are spread, so that 0.6 and more is what can be relied on. */
function confidenceOf(share: number): number {
  const spread =
    share < SURE_SHARE
      ? (share * (SURE - 0.01)) / SURE_SHARE
      : SURE + ((share - SURE_SHARE) * (CONFIDENCE_MAX - SURE)) / (1 - SURE_SHARE);
  return Math.round(spread * 100) / 100;
}

/** What comes next. */
interface Rival {
  category: Category;
  line: Candidate | undefined;
}
const RIVAL_CHARS = 120;

function whyText(hit: Hit | undefined, line: Candidate, rival: Rival | undefined): string {
  const at = hit?.line ?? line.line;
  const place = at < 0 ? "the message" : `line ${at + 1} of the log`;
  const often = hit !== undefined && hit.lines > 1 ? `, the first of ${hit.lines} such lines that says it best` : "";
  const says = hit === undefined ? `The words of ${place} say so` : `Rule ${hit.rule.id} fits ${place}${often}`;
  if (rival?.line === undefined || rival.line.text.trim() === "") return `${says}.`;
  const other = `"${plain(rival.line.text).slice(0, RIVAL_CHARS)}" (${rival.category})`;
  return rival.line.line === at
    ? `${says}. Otherwise it would be ${rival.category}.`
    : `${says}. It is likelier to be the cause than ${other}.`;
}

const unknown = (evidence: Evidence, best: Ranked | undefined): HeuristicAnswer => ({
  category: "unknown",
  confidence: 0,
  decisive: null,
  rule: null,
  why: best
    ? `No line is believed to name the cause; the nearest is one that rule ${best.hit.rule.id} fits.`
    : "No rule fits any line of the log or the message, nor do their words say it.",
  cause: causeText("{source} failed, and its log does not say why.", evidence, {}),
  fix: fixText(UNKNOWN_FIX, evidence, {}),
});

const UNKNOWN_FIX =
  "Read more of what {source} wrote before it failed ({logs}), raise its log level, check its settings ({show}) and what changed last; then {restart} and watch it.";
