import { FAILING } from "./failing-words.ts";
import { compileLiterals } from "./literals.ts";

/**
 * How much a line counts. What it says matters by the rule's tier; this is how it says it: whether it says at all that something
 * failed, its level, whether it denies or only imagines the failure, and whether it is about something else than the incident's
 * source.
 */
export interface LineWeight {
  /** 1 for a line that says plainly what failed. */
  readonly factor: number;
  /** Whether it says that something failed: in other lines a word of a failure is only a word. */
  readonly isFailing: boolean;
  /** What is worse than an error: what the program ends of. */
  readonly isFatal: boolean;
}

/** A level stands near the start of a line; further on the word is prose. */
const LEVEL_CHARS_MAX = 240;
const FATAL = 1.1;
const ERROR = 1.05;
const WARNING = 0.92;

const LEVELS: readonly (readonly [RegExp, number])[] = [
  [/level"?[=:]\s?"?(?:fatal|panic|crit|alert|emerg)|"(?:severity|level|lvl)":\s?"(?:fatal|critical)/i, FATAL],
  [/level"?[=:]\s?"?err|"(?:severity|level|lvl)":\s?"err/i, ERROR],
  [/level"?[=:]\s?"?warn|"(?:severity|level|lvl)":\s?"warn/i, WARNING],
  [/level"?[=:]\s?"?(?:info|notice)|"(?:severity|level|lvl)":\s?"(?:info|notice)/i, 0.8],
  [/level"?[=:]\s?"?(?:debug|trace)|"(?:severity|level|lvl)":\s?"(?:debug|trace)|"s":"D\d?"/i, 0.6],
  [/"level":\s?60\b|"s":"F"/, FATAL],
  [/"level":\s?50\b|"s":"E"/, ERROR],
  [/"level":\s?40\b|"s":"W"/, WARNING],
  [/"level":\s?30\b|"s":"I"/, 0.85],
  [
    /\b(?:FATAL|PANIC|EMERG|CRITICAL|SEVERE|ALERT)\b|\[(?:emerg|crit|alert|fatal|critical)\]|\b(?:fatal|panic|critical|emerg)(?: error)?:|\bF\d{4} \d\d:|\bC!/,
    FATAL,
  ],
  [/\b(?:ERROR|ERR!?)\b|\[(?:error|err)\]|\b[Ee]rror:|\bE\d{4} \d\d:|\bE!|(?:Exception|Error):/, ERROR],
  // systemd's own end of a unit: a warning by its level, and yet what the unit failed of.
  [/\bsystemd(?:\[\d{1,9}\])?: .{1,200}(?:timed out\. (?:Terminating|Killing)|Failed with result 'timeout')/, ERROR],
  [/\b(?:WARN|WARNING)\b|\[(?:warn|warning)\]|\b[Ww]arn(?:ing)?:|\bW\d{4} \d\d:|\bW!/, WARNING],
  [/\b(?:INFO|NOTICE)\b|\[(?:info|notice|note)\]|\b(?:info|notice):|\[Note\]|\bI\d{4} \d\d:|\bI!/i, 0.8],
  [/\b(?:DEBUG|TRACE)\b|\[(?:debug|trace)\]|\b(?:debug|trace)\d?:/, 0.6],
];

/**
 * How a line may say what it says. A line is searched for the `words` of all manners at once, in small letters; only where one
 * stands the expression is tried, which would else be most of the work.
 */
interface Manner {
  readonly words: readonly string[];
  readonly when: RegExp;
  readonly not?: RegExp;
  readonly factor: number;
  /** Only in so many characters at the line's beginning. */
  readonly chars?: number;
}

/** These deny only part of what they say, or nothing: the line counts all the same. */
const NOT_DENIED =
  /\bnot (?:successfully|recovered)\b|\bcannot be (?:ignored|skipped)\b|without success|unsuccessfully|\bis not optional\b/i;
const DENIED_FACTOR = 0.5;

/** That nothing failed after all: of these the one that counts least holds. */
const DENIALS: readonly Manner[] = [
  {
    // The failure is denied.
    words: ["no ", "0 ", "zero ", "without ", "=0", "= 0", ":0", ": 0", "=n", "= n", ":n", ": n"],
    when: /\b(?:no|0|zero|without(?: any)?) (?:\w{1,20} )?(?:errors?|failures?|problems?|issues?)\b|\berrors?[=:] ?(?:0|none|null|nil)\b/i,
    not: NOT_DENIED,
    factor: DENIED_FACTOR,
  },
  {
    // It is over, or only thought of.
    words: [
      "recovered",
      "succeeded",
      "successfully",
      "resolved itself",
      "reconnected",
      "is back",
      "went well",
      "ended well",
      "worked",
      "is ok",
      "was ok",
      "connection kept",
      "was kept",
      "went on",
      "may ",
      "might ",
      "could ",
      "can ",
      "would ",
      "in case of",
      "to avoid",
      "to prevent",
      "if you see",
      "if the",
      "if this",
      "if there is",
      "deprecat",
      "for example",
      "ignor",
      "skip",
      "non-fatal",
      "nonfatal",
      "harmless",
      "optional",
      "falling back",
      "fallback",
      "try later",
      "try again later",
      "using default",
    ],
    when: /\b(?:recovered|succeeded|successfully|resolved itself|reconnected|is back|went well|ended well|worked|(?:is|was) ok|connection (?:was )?kept|went on)\b|\b(?:may|might|could|can|would) (?:fail|cause|lead|result|happen|run out|be corrupt)|\bin case of\b|\bto (?:avoid|prevent)\b|\bif (?:you see|the|this|there is)\b|\bdeprecat|\bfor example\b|\b(?:ignored|ignoring|skipped|skipping|non-fatal|nonfatal|harmless|optional|falling back|fallback|will (?:re)?try (?:again )?later|using defaults?)\b/i,
    not: NOT_DENIED,
    factor: DENIED_FACTOR,
  },
  {
    // What the program does without: it says so, and goes on.
    words: [
      " off",
      "inactive",
      "unavailable",
      "left out",
      "written to the log",
      "disabl",
      "not set",
      "not configured",
      "not found",
      "not enabled",
      "not installed",
      "not available",
      "without",
      "no longer",
      "is obsolete",
      "assuming",
      "defaulting to",
      "using ",
      "recommend",
      "performance",
      "not critical",
      "this is ",
      "nothing to ",
      "can be ",
      "not required",
    ],
    when: /\b(?:is|are|stays?|remains?|will be|turned|switched) (?:off|disabled|inactive|unavailable for now|left out|written to the log)\b|\bdisabl(?:ed|ing)\b(?! device)[^:]{0,60}$|\bnot (?:set|configured|found|enabled|installed|available)\b[^:]{0,40}[,;(-]{1,2} ?(?:so |using|use|assuming|defaulting|default|continuing|proceeding|disabl|running without|going on|nothing|fine|ok\b)|\b(?:continuing|proceeding|going on|carrying on|running) without\b|\bwithout it\b|\bnot found,? (?:so |and )?(?:the )?[\w -]{1,30} (?:is|will be) used|no longer (?:supported|needed|used|necessary|has any effect)\b|\bis obsolete\b|\b(?:assuming|defaulting to|using (?:the )?(?:built-?in|fallback|system|internal|in-memory|previous|cached|old|default))\b|\b(?:feature|support|telemetry|metrics|tracing|reporting|analytics|plugin|cache|acceleration) (?:is )?(?:off|disabled|not enabled|unavailable)\b|\brecommended (?:value|setting|minimum|to)\b|\b(?:is|are) (?:strongly )?recommended\b|\bwe recommend\b|\bfor (?:better|best|optimal) performance\b|\bnot critical\b|\bthis is (?:fine|ok|normal|expected|harmless)\b|\bnothing to (?:do|worry)\b|\bcan be (?:safely )?ignored\b|\bnot required\b/i,
    factor: 0.44,
  },
  {
    // A step that ends well: what it set right is named in it. That a dump was written well says the more that something failed.
    words: [
      "...",
      "…",
      "removed",
      "cleaned",
      "purged",
      "dropped",
      "discarded",
      "deleted",
      "evicted",
      "renewed",
      "replaced",
      "repaired",
      "rebuilt",
      "recreated",
      "reset",
    ],
    when: /(?:\.{3}|…) {0,4}\[? ?(?:done|ok|success|finished|(?:re)?connected|passed|fixed|restored|renewed) ?\]?[.!]?$|\b(?:removed|cleaned(?: up)?|purged|dropped|discarded|deleted|evicted|renewed|replaced|repaired|rebuilt|recreated|reset) (?:an? |the |\d{1,6} )?(?:stale|old|expired|broken|corrupt(?:ed)?|orphan(?:ed)?|dead|invalid|damaged|outdated|leftover)\b/i,
    not: /dump|\bcore\b|backtrace/i,
    factor: 0.4,
  },
  {
    // What is still to come has not failed yet.
    words: ["expir"],
    when: /\bexpir(?:es|ing) (?:in|on) \d|\bwill (?:soon )?expire\b|\b(?:about to|soon to) expire\b|\bexpires soon\b/i,
    factor: 0.44,
  },
];

/** What makes a line count less, each for itself. */
const DOUBTS: readonly Manner[] = [
  {
    // Advice, or a question, about what a failure may come of; further on it only follows what failed.
    words: ["hint", "tip", "help", "suggestion", "advice", "check", "verify", "make sure", "ensure", "try"],
    when: /\b(?:hint|tip|help|suggestion|advice)s?: |\b(?:please )?(?:check|verify|make sure|ensure|try)\b (?:that|if|whether|the|your|for|out|to)\b/i,
    factor: 0.9,
    chars: 100,
  },
  {
    // A guess.
    words: ["maybe", "perhaps", "possibl", "probably", "likely"],
    when: /\b(?:maybe|perhaps|possibly|possible causes?|probably|most likely|likely cause)\b/i,
    factor: 0.9,
  },
  {
    // A probe says that something does not answer, never why.
    words: ["probe failed", "probe errored", "check failed", "check errored"],
    when: /\b(?:readiness|liveness|startup|health) ?(?:probe|check) (?:failed|errored)/i,
    factor: 0.75,
  },
  {
    // A client's request that was answered with its own mistake.
    words: ["get /", "post /", "put /", "head /", "delete /", "patch /", "options /"],
    when: /(?:^|[\s"])(?:GET|POST|PUT|HEAD|DELETE|PATCH|OPTIONS) \/\S{0,200}(?: HTTP\/[\d.]{1,3}"?)?"?[ :=>-]{1,4}(?:status[= :]{1,2})?4\d\d\b/,
    factor: 0.55,
  },
];

/** A frame of a trace repeats what its head said. */
const FRAME =
  /^\s{1,40}(?:at |from |in |File "|#\d{1,3} |\.\.\. \d)|^\S{0,60}\s{0,4}#\d{1,3} |^\s{0,40}at [\w$.<>/]{3,200}\(|^.{0,120}\]:\s{1,20}at \w/;
const FRAME_FACTOR = 0.8;
/** The innermost message of a chain: what stands around it only carries it. */
const CAUSED_BY =
  /^\s{0,40}(?:[\w.-]{1,60}\s{1,10}\| )?(?:caused by|root cause|reason|source|cause|inner exception)\b ?[:=]|\]:\s{0,20}caused by:|^\s{0,20}-{2,3}> |^\s{1,20}\d: /i;
const CAUSED_BY_FACTOR = 1.05;

/** `name_1  | text`, as docker compose prefixes what it shows of several containers. */
const COMPOSE = /^([\w.-]{1,80})\s{0,40}\| /;
/** Of a log that begins with lines of several: of one alone the name says nothing, it may be called otherwise there. */
const CONTAINER_LINES_MAX = 200;
const OTHER_CONTAINER_FACTOR = 0.85;
/** systemd speaking of another unit. */
const OTHER_UNIT =
  /systemd(?:\[\d{1,9}\])?: ([\w@\\:.-]{1,200}\.(?:service|mount|socket|device|timer|swap|target|scope))\b/;
const OTHER_UNIT_FACTOR = 0.8;

/** All of them at once, each in a group of its own: the first in the line holds. */
const LEVEL = new RegExp(
  LEVELS.map(([{ source, ignoreCase }]) => (ignoreCase ? `((?i:${source}))` : `(${source})`)).join("|"),
);

const levelOf = (head: string): number => {
  const found = LEVEL.exec(head);
  return found === null ? 1 : (LEVELS[found.findIndex((group, at) => at > 0 && group !== undefined) - 1]?.[1] ?? 1);
};

/** Names are alike when one holds the other: app_1 is a container of shop_app_1, and so is postgres of a postgres@12-main. */
const alike = (name: string, source: string): boolean => {
  const short = name.toLowerCase().replace(/[-_]\d{1,3}$/, "");
  const long = source.toLowerCase();
  return short === "" || long.includes(short) || short.includes(long.replace(/\.\w{1,10}$/, ""));
};

const aboutOther = (line: string, source: string, isOneContainer: boolean): number => {
  const container = COMPOSE.exec(line)?.[1];
  if (!isOneContainer && container !== undefined && !/^\d{1,6}$/.test(container) && !alike(container, source))
    return OTHER_CONTAINER_FACTOR;
  const unit = OTHER_UNIT.exec(line)?.[1];
  if (unit !== undefined && source.includes(".") && !alike(unit.replace(/\.\w{1,10}$/, ""), source))
    return OTHER_UNIT_FACTOR;
  return 1;
};

/** Whether a log has lines of several containers. */
export const hasSeveralContainers = (text: string): boolean => {
  const names = text.split("\n", CONTAINER_LINES_MAX).flatMap((line) => COMPOSE.exec(line)?.[1] ?? []);
  return new Set(names).size > 1;
};

/** The words of all manners, each with the manners that it may tell of, as bits. */
const MANNERS = [...DENIALS, ...DOUBTS];
const WORDS = Map.groupBy(
  MANNERS.flatMap(({ words }, at) => words.map((word) => ({ word, bit: 1 << at }))),
  ({ word }) => word,
);
const BITS = [...WORDS.values()].map((those) => those.reduce((bits, { bit }) => bits | bit, 0));
const SEARCH = compileLiterals([...WORDS.keys()]);

const isSaid = ({ when, not, chars }: Manner, line: string): boolean =>
  when.test(chars === undefined ? line : line.slice(0, chars)) && not?.test(line) !== true;

const mannerOf = (line: string): number => {
  let told = 0;
  SEARCH.scan(line, 0, line.length, (word) => {
    told |= BITS[word] ?? 0;
  });
  let denial = 1;
  let doubt = 1;
  for (let at = 0; told !== 0; at++, told >>>= 1) {
    const manner = MANNERS[at];
    if (!(told & 1) || manner === undefined || !isSaid(manner, line)) continue;
    if (at < DENIALS.length) denial = Math.min(denial, manner.factor);
    else doubt *= manner.factor;
  }
  return denial * doubt;
};

/** What a log line counts. */
export const weighLine = (line: string, source: string, isOneContainer = false): LineWeight => {
  const level = levelOf(line.slice(0, LEVEL_CHARS_MAX));
  const isFailing = level >= ERROR || FAILING.test(line);
  const place = (FRAME.test(line) ? FRAME_FACTOR : 1) * (CAUSED_BY.test(line) ? CAUSED_BY_FACTOR : 1);
  const factor = level * mannerOf(line) * place * aboutOther(line, source, isOneContainer);
  return { factor, isFailing, isFatal: level >= FATAL };
};
