/**
 * How much a line counts. What it says matters by the rule's weight; this is how it says it: its level, whether it denies or only
 * imagines the failure, and whether it is about something else than the incident's source.
 */

/** A level stands near the start of a line; further on the word is prose. */
const LEVEL_CHARS_MAX = 240;

const LEVELS: readonly (readonly [RegExp, number])[] = [
  [/level"?[=:]\s?"?(?:fatal|panic|crit|alert|emerg)|"(?:severity|level|lvl)":\s?"(?:fatal|critical)/i, 1.1],
  [/level"?[=:]\s?"?err|"(?:severity|level|lvl)":\s?"err/i, 1.05],
  [/level"?[=:]\s?"?warn|"(?:severity|level|lvl)":\s?"warn/i, 0.94],
  [/level"?[=:]\s?"?(?:info|notice)|"(?:severity|level|lvl)":\s?"(?:info|notice)/i, 0.8],
  [/level"?[=:]\s?"?(?:debug|trace)|"(?:severity|level|lvl)":\s?"(?:debug|trace)|"s":"D\d?"/i, 0.6],
  [/"s":"F"/, 1.1],
  [/"s":"E"/, 1.05],
  [/"s":"I"/, 0.9],
  [
    /\b(?:FATAL|PANIC|EMERG|CRITICAL|SEVERE|ALERT)\b|\[(?:emerg|crit|alert|fatal)\]|\b(?:fatal|panic|critical|emerg)(?: error)?:|\bF\d{4} \d\d:/,
    1.1,
  ],
  [/\b(?:ERROR|ERR!?)\b|\[(?:error|err)\]|\b[Ee]rror:|\bE\d{4} \d\d:|\b\w{0,40}(?:Exception|Error):/, 1.05],
  [/\b(?:WARN|WARNING)\b|\[(?:warn|warning)\]|\b[Ww]arn(?:ing)?:|\bW\d{4} \d\d:/, 0.94],
  [/\b(?:INFO|NOTICE)\b|\[(?:info|notice|note)\]|\b(?:info|notice):|\[Note\]|\bI\d{4} \d\d:/i, 0.8],
  [/\b(?:DEBUG|TRACE)\b|\[(?:debug|trace)\]|\b(?:debug|trace)\d?:/, 0.6],
];

/** The failure is denied, over, or only thought of. */
const DENIED =
  /\b(?:no|0|zero|without(?: any)?) (?:\w{1,20} )?(?:errors?|failures?|problems?|issues?)\b|\berrors?[=:] ?(?:0|none|null|nil)\b|\b(?:recovered|succeeded|successfully|resolved itself|reconnected|is back)\b|\b(?:may|might|could|can|would) (?:fail|cause|lead|result|happen|run out|be corrupt)|\bin case of\b|\bto (?:avoid|prevent)\b|\bif (?:you see|the|this|there is)\b|\bdeprecat|\bfor example\b|\b(?:ignored|ignoring|skipped|skipping|non-fatal|nonfatal|harmless|optional|falling back|fallback|will retry later|using defaults?)\b/i;
/** These deny only part of what they say, or nothing: the line counts all the same. */
const NOT_DENIED =
  /\bnot (?:successfully|recovered)\b|\bcannot be (?:ignored|skipped)\b|without success|unsuccessfully/i;
const DENIED_FACTOR = 0.55;

/** A frame of a trace repeats what its head said. */
const FRAME = /^\s{1,40}(?:at |from |in |File "|#\d{1,3} |\.\.\. \d)|^\S{0,60}\s{0,4}#\d{1,3} /;
const FRAME_FACTOR = 0.8;
const CAUSED_BY = /^\s{0,40}(?:[\w.-]{1,60}\s{1,10}\| )?caused by:/i;
const CAUSED_BY_FACTOR = 1.04;

/** `name_1  | text`, as docker compose prefixes what it shows of several containers. */
const COMPOSE = /^([\w.-]{1,80})\s{0,40}\| /;
const OTHER_CONTAINER_FACTOR = 0.85;
/** systemd speaking of another unit. */
const OTHER_UNIT =
  /systemd(?:\[\d{1,9}\])?: ([\w@\\:.-]{1,200}\.(?:service|mount|socket|device|timer|swap|target|scope))\b/;
const OTHER_UNIT_FACTOR = 0.8;

const levelOf = (head: string): number => {
  let first = Number.POSITIVE_INFINITY;
  let factor = 1;
  for (const [pattern, value] of LEVELS) {
    const at = head.search(pattern);
    if (at < 0 || at >= first) continue;
    first = at;
    factor = value;
  }
  return factor;
};

/** Names are alike when one holds the other: app_1 is a container of shop_app_1, and so is postgres of a postgres@12-main. */
const alike = (name: string, source: string): boolean => {
  const short = name.toLowerCase().replace(/[-_]\d{1,3}$/, "");
  const long = source.toLowerCase();
  return short === "" || long.includes(short) || short.includes(long.replace(/\.\w{1,10}$/, ""));
};

const aboutOther = (line: string, source: string): number => {
  const container = COMPOSE.exec(line)?.[1];
  if (container !== undefined && !/^\d{1,6}$/.test(container) && !alike(container, source))
    return OTHER_CONTAINER_FACTOR;
  const unit = OTHER_UNIT.exec(line)?.[1];
  if (unit !== undefined && source.includes(".") && !alike(unit.replace(/\.\w{1,10}$/, ""), source))
    return OTHER_UNIT_FACTOR;
  return 1;
};

/** The factor of a log line: 1 for one that says plainly what failed. */
export const weighLine = (line: string, source: string): number => {
  const denied = DENIED.test(line) && !NOT_DENIED.test(line) ? DENIED_FACTOR : 1;
  const frame = FRAME.test(line) ? FRAME_FACTOR : 1;
  const causedBy = CAUSED_BY.test(line) ? CAUSED_BY_FACTOR : 1;
  return levelOf(line.slice(0, LEVEL_CHARS_MAX)) * denied * frame * causedBy * aboutOther(line, source);
};
