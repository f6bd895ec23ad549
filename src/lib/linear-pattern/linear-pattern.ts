import { isWordCode } from "./char-set.ts";
import { type Program, programOf } from "./program.ts";
import { type Assertion, parsePattern } from "./syntax.ts";

/** Says whether a line holds something. */
export interface LinePattern {
  test(line: string): boolean;
}

/** What lies before a place: the line's beginning, a word's character, or another. */
type Before = "start" | "word" | "other";

/** All places of the program where the machine may be, and what it does with each character, as far as that was asked. */
interface State {
  readonly places: readonly number[];
  readonly before: Before;
  readonly ascii: (State | "match" | undefined)[];
  readonly others: Map<number, State | "match">;
}

/** After the last character. */
const END = -1;
const ASCII_CODES = 128;

/** What was found out is kept up to this, then forgotten: patterns must not take memory for ever. */
const TRANSITIONS_MAX = 20_000;

/**
 * A regular expression for lines that come from anywhere: the time it takes grows with the line's length and with nothing
 * else, whatever the expression. (JavaScript's own would search `(a+)+$` in a line of 40 characters for hours.) Its syntax
 * is JavaScript's but for back-references and looking around. Throws a PatternError.
 */
export function compileLinePattern(source: string, { ignoresCase = false } = {}): LinePattern {
  const program = programOf(parsePattern(source, ignoresCase));
  let states = new Map<string, State>();
  let transitions = 0;

  function stateOf(places: readonly number[], before: Before): State {
    const key = `${before} ${places.join(" ")}`;
    const known = states.get(key);
    if (known) return known;
    const state: State = { places, before, ascii: [], others: new Map() };
    states.set(key, state);
    return state;
  }

  function follow(state: State, code: number): State | "match" {
    const known = code < ASCII_CODES && code >= 0 ? state.ascii[code] : state.others.get(code);
    if (known !== undefined) return known;
    const next = step(state, code);
    if (transitions++ > TRANSITIONS_MAX) {
      states = new Map();
      transitions = 0;
    } else if (code < ASCII_CODES && code >= 0) state.ascii[code] = next;
    else state.others.set(code, next);
    return next;
  }

  function step({ places, before }: State, code: number): State | "match" {
    const reached = closureOf(program, places, (assertion) => holds(assertion, before, code));
    if (reached === "match") return "match";
    const next = reached.flatMap((place) => {
      const one = program.steps[place];
      return one?.kind === "set" && code !== END && one.set.has(code) ? [one.next] : [];
    });
    return stateOf(
      [...new Set(next)].sort((one, other) => one - other),
      isWordCode(code) ? "word" : "other",
    );
  }

  return {
    test(line) {
      let state = stateOf([], "start");
      for (let at = 0; at < line.length; at++) {
        const next = follow(state, line.charCodeAt(at));
        if (next === "match") return true;
        state = next;
      }
      return follow(state, END) === "match";
    },
  };
}

/** All that is reached from the places, and from the program's start, without taking a character. */
function closureOf(
  { start, steps }: Program,
  places: readonly number[],
  isTrue: (assertion: Assertion) => boolean,
): number[] | "match" {
  const seen = new Set<number>();
  const waiting = [...places, start];
  for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
    if (seen.has(place)) continue;
    seen.add(place);
    const step = steps[place];
    if (step?.kind === "match") return "match";
    if (step?.kind === "split") waiting.push(step.next, step.other);
    if (step?.kind === "assertion" && isTrue(step.assertion)) waiting.push(step.next);
  }
  return [...seen];
}

function holds(assertion: Assertion, before: Before, code: number): boolean {
  switch (assertion) {
    case "start":
      return before === "start";
    case "end":
      return code === END;
    case "word edge":
      return (before === "word") !== isWordCode(code);
    case "no word edge":
      return (before === "word") === isWordCode(code);
  }
}
