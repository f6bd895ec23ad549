import { RE2JS, RE2JSSyntaxException } from "re2js";
import { OpsPilotError } from "./errors.ts";
import { neededWords } from "./needed-words.ts";

/** Says whether a line holds something. */
export interface LinePattern {
  test(line: string): boolean;
  /** Words of which each line that matches holds one; undefined where there are none. */
  readonly words?: readonly string[] | undefined;
  /** Whether the words may be in upper or lower case. */
  readonly ignoresCase?: boolean;
}

/** A pattern that is none, or that cannot be searched for in linear time. */
export class PatternError extends OpsPilotError<"bad_pattern"> {
  constructor(message: string) {
    super("bad_pattern", message);
  }
}

const PATTERN_CHARS_MAX = 1000;
const DEPTH_MAX = 50;
/** RE2's own. */
const REPEAT_MAX = 1000;
/** Each character of a line may take as many steps. */
const STEPS_MAX = 3000;

/** JavaScript's, for brackets; RE2 means less by `\s` and more by `.`. */
const LINE_ENDS = "\\n\\r\\x{2028}\\x{2029}";
const SPACES = "\\t-\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}";
const NO_SPACES =
  "\\x{0}-\\x{8}\\x{e}-\\x{1f}!-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}" +
  "\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}";
const ALL = "\\x{0}-\\x{10ffff}";

/** Characters by their codes together, since two may be the halves of one; any other escape. */
const ESCAPE = /(?:\\u[\da-fA-F]{4})+|\\x[\da-fA-F]{2}|\\./.source;
const BRACKETS = /\[(\^?)((?:\\.|[^\]\\])*)(\]?)/.source;
const GROUP = /\((?:\?(?:<?[=!]|:|<[A-Za-z_$][\w$]*>|.?))?/.source;
const TOKEN = new RegExp(`${BRACKETS}|${GROUP}|${ESCAPE}|.`, "gsu");
/** A whole class comes with the `-` beside it, which is no range. */
const BRACKET_TOKEN = new RegExp(`${/-?\\[dDwWsS]-?/.source}|${ESCAPE}|.`, "gsu");
const QUANTIFIER = /^(?:[*+?]|\{\d{1,6}(?:,\d{0,6})?\})/;

/**
 * A regular expression for lines that come from anywhere: the time it takes grows with the line's length and with nothing
 * else, whatever the expression. (JavaScript's own would search `(a+)+$` in a line of 40 characters for hours.) Its syntax
 * is JavaScript's but for back-references and looking around. Throws a PatternError.
 */
export function compileLinePattern(source: string, { ignoresCase = false } = {}): LinePattern {
  if (source.length > PATTERN_CHARS_MAX) throw new PatternError(`it is longer than ${PATTERN_CHARS_MAX} characters`);
  try {
    const pattern = RE2JS.compile(translated(source), ignoresCase ? RE2JS.CASE_INSENSITIVE : 0);
    if (pattern.programSize() > STEPS_MAX) throw new PatternError("it repeats too much");
    return { test: (line) => pattern.test(line), words: neededWords(source), ignoresCase };
  } catch (error) {
    if (error instanceof RE2JSSyntaxException) throw new PatternError(inWords(error));
    throw error;
  }
}

/** The same in RE2's syntax. What RE2 knows and JavaScript does not is refused. */
function translated(source: string): string {
  let depth = 0;
  return source.replaceAll(TOKEN, (token: string, negation: string, inside: string, end: string, at: number) => {
    if (/^(?:[$^]|\\[bB])$/.test(token) && QUANTIFIER.test(source.slice(at + token.length)))
      throw new PatternError("nothing to repeat before a quantifier");
    if (token === ")") depth--;
    if (token.startsWith("(") && ++depth > DEPTH_MAX)
      throw new PatternError(`its groups are nested deeper than ${DEPTH_MAX}`);
    if (end === "") throw new PatternError("a [ has no ]");
    if (end !== undefined) return brackets(negation, inside);
    if (token.startsWith("(")) return group(token);
    if (token.startsWith("\\")) return escaped(token);
    return token === "." ? `[^${LINE_ENDS}]` : token;
  });
}

/** Nothing is captured: only whether something matches is asked. */
function group(token: string): string {
  if (/[=!]$/.test(token)) throw new PatternError("looking ahead or behind is not supported");
  if (token.startsWith("(?") && !/[:>]$/.test(token)) throw new PatternError(`${token} is not supported`);
  return "(?:";
}

function escaped(token: string): string {
  if (/^\\[1-9k]/.test(token)) throw new PatternError("back-references are not supported");
  if (token === "\\b" || token === "\\B") return token;
  if (token === "\\S") return `[^${SPACES}]`;
  return token === "\\s" ? `[${SPACES}]` : escapedAnywhere(token);
}

function brackets(negation: string, inside: string): string {
  if (inside === "") return negation === "" ? `[^${ALL}]` : `[${ALL}]`;
  const items = inside.replaceAll(BRACKET_TOKEN, (token) => {
    if (token === "\\b") return "\\x{8}";
    if (/\\[dDwWsS]/.test(token)) return wholeClass(token);
    if (token === "[") return "\\[";
    return token.startsWith("\\") ? escapedAnywhere(token) : token;
  });
  return `[${negation}${items}]`;
}

function wholeClass(token: string): string {
  return token.replace("\\s", SPACES).replace("\\S", NO_SPACES).replace(/^-/, "\\-").replace(/-$/, "\\-");
}

/** What means the same within brackets and outside of them. */
function escapedAnywhere(token: string): string {
  const [, letter] = token;
  if (letter === undefined) throw new PatternError("it ends with a single \\");
  if (/[dDwWtnvfr]/.test(letter)) return token;
  const codes = token.match(/(?<=\\[ux])[\da-fA-F]+/g);
  if (codes) return byCode(String.fromCharCode(...codes.map((code) => Number.parseInt(code, 16))));
  if (/[ux]/.test(letter)) throw new PatternError("\\x and \\u take 2 and 4 digits");
  if (/[1-9A-Za-z]/.test(letter)) throw new PatternError(`${token} is not supported`);
  return byCode(letter === "0" ? "\0" : token.slice(1));
}

function byCode(text: string): string {
  return Array.from(text, (char) => `\\x{${char.codePointAt(0)?.toString(16)}}`).join("");
}

/** What RE2 says of a syntax, in our words. */
const FAULTS: Readonly<Record<string, string>> = {
  "missing closing )": "a ( has no )",
  "unexpected )": "a ) has no (",
  "invalid character class range": "a range in [ ] ends before it begins",
  "invalid nested repetition operator": "two quantifiers follow each other",
  "expression too large": "it repeats too much",
};

function inWords(error: RE2JSSyntaxException): string {
  const [what, where] = [error.getDescription(), error.getPattern() ?? ""];
  if (what === "missing argument to repetition operator") return `nothing to repeat before ${where}`;
  return what === "invalid repeat count" ? countFault(where) : (FAULTS[what] ?? what);
}

function countFault(where: string): string {
  const [quantifier, low, high = low] = /\{(\d+),?(\d+)?\}$/.exec(where) ?? [];
  if (Number(high) < Number(low)) return `${quantifier} ends before it begins`;
  return Number(high) > REPEAT_MAX ? `${quantifier} repeats more than ${REPEAT_MAX} times` : "it repeats too much";
}
