import { OpsPilotError } from "../errors.ts";
import { ANY, type CharRange, type CharSet, charSet, classOf } from "./char-set.ts";

/** A pattern that is none, or that cannot be searched for in linear time. */
export class PatternError extends OpsPilotError<"bad_pattern"> {
  constructor(message: string) {
    super("bad_pattern", message);
  }
}

/** A condition on a place between two characters. */
export type Assertion = "start" | "end" | "word edge" | "no word edge";

/** A pattern, taken apart. */
export type Pattern =
  | { readonly kind: "set"; readonly set: CharSet }
  | { readonly kind: "assertion"; readonly assertion: Assertion }
  | { readonly kind: "sequence"; readonly parts: readonly Pattern[] }
  | { readonly kind: "choice"; readonly parts: readonly Pattern[] }
  /** `max` is Infinity where there is none. */
  | { readonly kind: "repeat"; readonly part: Pattern; readonly min: number; readonly max: number };

const PATTERN_CHARS_MAX = 1000;
const DEPTH_MAX = 50;
const REPEAT_MAX = 1000;

const CONTROLS: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, "0": 0 };

/**
 * Reads JavaScript's syntax of regular expressions, without what no machine of linear time can do: back-references and
 * looking around are refused, by name. Lazy and greedy mean the same, since only whether something matches is asked.
 */
export function parsePattern(source: string, ignoresCase: boolean): Pattern {
  if (source.length > PATTERN_CHARS_MAX) throw new PatternError(`it is longer than ${PATTERN_CHARS_MAX} characters`);
  let at = 0;

  function choice(depth: number): Pattern {
    if (depth > DEPTH_MAX) throw new PatternError(`its groups are nested deeper than ${DEPTH_MAX}`);
    const parts = [sequence(depth)];
    while (take("|")) parts.push(sequence(depth));
    return parts.length === 1 && parts[0] ? parts[0] : { kind: "choice", parts };
  }

  function sequence(depth: number): Pattern {
    const parts: Pattern[] = [];
    while (at < source.length && source[at] !== "|" && source[at] !== ")") parts.push(repeated(depth));
    return { kind: "sequence", parts };
  }

  function repeated(depth: number): Pattern {
    const part = atom(depth);
    const bounds = quantifier();
    if (!bounds) return part;
    if (part.kind === "assertion") throw new PatternError("nothing to repeat before a quantifier");
    if (quantifier()) throw new PatternError("two quantifiers follow each other");
    return { kind: "repeat", part, ...bounds };
  }

  function quantifier(): { min: number; max: number } | undefined {
    const bounds = simpleQuantifier() ?? countedQuantifier();
    if (bounds) take("?");
    return bounds;
  }

  function simpleQuantifier(): { min: number; max: number } | undefined {
    if (take("*")) return { min: 0, max: Number.POSITIVE_INFINITY };
    if (take("+")) return { min: 1, max: Number.POSITIVE_INFINITY };
    return take("?") ? { min: 0, max: 1 } : undefined;
  }

  function countedQuantifier(): { min: number; max: number } | undefined {
    const [text, low = "", comma, high = ""] = /^\{(\d{1,6})(,(\d{0,6}))?\}/.exec(source.slice(at, at + 16)) ?? [];
    if (text === undefined) return undefined;
    at += text.length;
    const min = Number(low);
    const max = comma === undefined ? min : high === "" ? Number.POSITIVE_INFINITY : Number(high);
    if (max < min) throw new PatternError(`${text} ends before it begins`);
    if (min > REPEAT_MAX || (max > REPEAT_MAX && max !== Number.POSITIVE_INFINITY))
      throw new PatternError(`${text} repeats more than ${REPEAT_MAX} times`);
    return { min, max };
  }

  function atom(depth: number): Pattern {
    const char = source[at++];
    switch (char) {
      case "(":
        return group(depth);
      case "[":
        return { kind: "set", set: bracket() };
      case ".":
        return { kind: "set", set: ANY };
      case "^":
        return { kind: "assertion", assertion: "start" };
      case "$":
        return { kind: "assertion", assertion: "end" };
      case "\\":
        return backslash();
      case "*":
      case "+":
      case "?":
        throw new PatternError(`nothing to repeat before ${char}`);
      default:
        return literal((char ?? "").charCodeAt(0));
    }
  }

  function group(depth: number): Pattern {
    if (take("?")) {
      if (/^<?[=!]/.test(source.slice(at))) throw new PatternError("looking ahead or behind is not supported");
      const [start] = /^(?::|<[A-Za-z_$][\w$]*>)/.exec(source.slice(at)) ?? [];
      if (start === undefined) throw new PatternError(`(?${source[at] ?? ""} is not supported`);
      at += start.length;
    }
    const inner = choice(depth + 1);
    if (!take(")")) throw new PatternError("a ( has no )");
    return inner;
  }

  function backslash(): Pattern {
    const char = source[at];
    if (char === "b" || char === "B") {
      at++;
      return { kind: "assertion", assertion: char === "b" ? "word edge" : "no word edge" };
    }
    if (char !== undefined && /[1-9k]/.test(char)) throw new PatternError("back-references are not supported");
    const ranges = escaped();
    return { kind: "set", set: charSet(ranges, false, ignoresCase) };
  }

  /** What an escape stands for, within brackets and outside of them. */
  function escaped(): readonly CharRange[] {
    const char = source[at++];
    if (char === undefined) throw new PatternError("it ends with a single \\");
    const ranges = classOf(char);
    if (ranges) return ranges;
    if (char === "x" || char === "u") return [single(hexadecimal(char === "x" ? 2 : 4))];
    const control = CONTROLS[char];
    if (control !== undefined) return [single(control)];
    if (/[A-Za-z0-9]/.test(char)) throw new PatternError(`\\${char} is not supported`);
    return [single(char.charCodeAt(0))];
  }

  function hexadecimal(digits: number): number {
    const text = source.slice(at, at + digits);
    if (text.length < digits || /[^0-9a-f]/i.test(text)) throw new PatternError(`\\x and \\u take 2 and 4 digits`);
    at += digits;
    return Number.parseInt(text, 16);
  }

  function bracket(): CharSet {
    const isNegated = take("^");
    const ranges: CharRange[] = [];
    while (!take("]")) {
      if (at >= source.length) throw new PatternError("a [ has no ]");
      ranges.push(...bracketItem());
    }
    return charSet(ranges, isNegated, ignoresCase);
  }

  function bracketItem(): readonly CharRange[] {
    const first = bracketChar();
    const [from, alone] = first.length === 1 ? (first[0] ?? [0, 1]) : [0, 1];
    const isRange = source[at] === "-" && at + 1 < source.length && source[at + 1] !== "]";
    if (!isRange) return first;
    at++;
    const last = bracketChar();
    const [to, end] = last[0] ?? [0, 0];
    if (from !== alone || last.length !== 1 || to !== end) return [...first, single(45), ...last];
    if (to < from) throw new PatternError("a range in [ ] ends before it begins");
    return [[from, to]];
  }

  function bracketChar(): readonly CharRange[] {
    const char = source[at++];
    if (char !== "\\") return [single((char ?? "").charCodeAt(0))];
    if (source[at] === "b") {
      at++;
      return [single(8)];
    }
    return escaped();
  }

  function literal(one: number): Pattern {
    return { kind: "set", set: charSet([single(one)], false, ignoresCase) };
  }

  function take(char: string): boolean {
    if (source[at] !== char) return false;
    at++;
    return true;
  }

  const pattern = choice(0);
  if (at < source.length) throw new PatternError("a ) has no (");
  return pattern;
}

function single(one: number): CharRange {
  return [one, one];
}
