import assert from "node:assert/strict";

/**
 * Finds many literals in one pass over a text: their first characters by an automaton (Aho-Corasick), so that time grows with the
 * text, not with the number of literals; the rest of each is compared. Letters match in either case.
 */
export interface Literals {
  /** Calls `found` with the number of each literal that ends before `end`, starting to read at `start`. */
  scan(text: string, start: number, end: number, found: (literal: number) => void): void;
}

interface Trie {
  width: number;
  /** A row for each state, a column for each character: the state that follows, 0 for none. Sixteen bits do for the rules. */
  next: Uint16Array;
  /** Of each state the one before it and its character's column, in the order in which they were made. */
  parents: Uint16Array;
  columnOf: Uint8Array;
  depths: Uint16Array;
  states: number;
  /** The literals whose prefix ends in a state, for the states that have any. */
  outputs: Map<number, number[]>;
}

/** So much of a literal is in the automaton: with all of it, its table would be ten times as large and as slow to make. */
const PREFIX_CHARS = 8;
const CHARS = 1 << 16;
const ASCII = 128;
/** Characters beyond ASCII share a few columns, so that the table stays narrow; what they find is compared. */
const SHARED = 8;

/** Each character's column in the table; 0 for those that no literal has. */
const columnsOf = (literals: readonly string[]): { columns: Uint8Array; width: number } => {
  const columns = new Uint8Array(CHARS);
  let width = 1 + SHARED;
  for (const literal of literals)
    for (let at = 0; at < literal.length; at++) {
      const code = literal.charCodeAt(at);
      if (columns[code]) continue;
      const column = code < ASCII ? width++ : 1 + (code % SHARED);
      columns[code] = column;
      const upper = literal.charAt(at).toUpperCase();
      // "ß" has two letters there.
      if (upper.length === 1) columns[upper.charCodeAt(0)] = column;
    }
  assert.ok(width <= 256, "too many different characters for a table of bytes");
  return { columns, width };
};

const trieOf = (literals: readonly string[], columns: Uint8Array, width: number): Trie => {
  const statesMax = literals.reduce((sum, literal) => sum + Math.min(literal.length, PREFIX_CHARS), 1);
  const next = new Uint16Array(statesMax * width);
  const parents = new Uint16Array(statesMax);
  const depths = new Uint16Array(statesMax);
  const columnOf = new Uint8Array(statesMax);
  const outputs = new Map<number, number[]>();
  let states = 1;
  for (const [index, literal] of literals.entries()) {
    let state = 0;
    for (let at = 0; at < Math.min(literal.length, PREFIX_CHARS); at++) {
      const column = columns[literal.charCodeAt(at)] ?? 0;
      const cell = state * width + column;
      if (!next[cell]) {
        parents[states] = state;
        columnOf[states] = column;
        depths[states] = at + 1;
        next[cell] = states++;
      }
      state = next[cell] ?? 0;
    }
    const here = outputs.get(state);
    if (here === undefined) outputs.set(state, [index]);
    else here.push(index);
  }
  assert.ok(states < 1 << 16, "too many literals for a table of 16 bits");
  return { width, next, parents, columnOf, depths, states, outputs };
};

/** The states from the root outwards. */
const byDepth = ({ depths, states }: Trie): Uint16Array => {
  const counts = new Uint32Array(1 + Math.max(...new Set(depths)) + 1);
  for (let state = 0; state < states; state++)
    counts[(depths[state] ?? 0) + 1] = (counts[(depths[state] ?? 0) + 1] ?? 0) + 1;
  for (let depth = 1; depth < counts.length; depth++) counts[depth] = (counts[depth] ?? 0) + (counts[depth - 1] ?? 0);
  const order = new Uint16Array(states);
  for (let state = 0; state < states; state++) {
    const depth = depths[state] ?? 0;
    const place = counts[depth] ?? 0;
    order[place] = state;
    counts[depth] = place + 1;
  }
  return order;
};

/**
 * Fills the table so that each state has one that follows it for every character: where nothing of its own follows, what follows
 * its longest suffix. What ends in that suffix ends here too.
 */
const complete = (trie: Trie): void => {
  const { width, next, parents, columnOf, outputs } = trie;
  const suffixes = new Uint16Array(trie.states);
  for (const state of byDepth(trie)) {
    const parent = parents[state] ?? 0;
    const suffix = parent === 0 ? 0 : (next[(suffixes[parent] ?? 0) * width + (columnOf[state] ?? 0)] ?? 0);
    suffixes[state] = suffix;
    if (state === 0) continue;
    for (let column = 1; column < width; column++) next[state * width + column] ||= next[suffix * width + column] ?? 0;
    const more = outputs.get(suffix);
    if (more !== undefined) outputs.set(state, [...(outputs.get(state) ?? []), ...more]);
  }
};

const isAscii = (literal: string): boolean => !/[^\0-\x7f]/.test(literal);

const smallOf = (code: number): number => (code >= 65 && code <= 90 ? code + 32 : code);

/** Prepares a search for these literals, which are in small letters. */
export const compileLiterals = (literals: readonly string[]): Literals => {
  const { columns, width } = columnsOf(literals);
  const trie = trieOf(literals, columns, width);
  complete(trie);
  const { outputs, next } = trie;
  const ends = Array.from({ length: trie.states }, (_, state) => outputs.get(state));
  const mustCompare = Uint8Array.from(literals, (literal) => Number(!isAscii(literal)));
  const isThere = (literal: number, text: string, prefixEnd: number, end: number): boolean => {
    const word = literals[literal] ?? "";
    const start = prefixEnd - Math.min(word.length, PREFIX_CHARS);
    if (start + word.length > end) return false;
    if (mustCompare[literal]) return text.slice(start, start + word.length).toLowerCase() === word;
    for (let at = PREFIX_CHARS; at < word.length; at++)
      if (smallOf(text.charCodeAt(start + at)) !== word.charCodeAt(at)) return false;
    return true;
  };
  return {
    scan: (text, start, end, found) => {
      let state = 0;
      for (let at = start; at < end; at++) {
        state = next[state * width + (columns[text.charCodeAt(at)] ?? 0)] ?? 0;
        const ended = ends[state];
        if (ended === undefined) continue;
        for (let index = 0; index < ended.length; index++) {
          const literal = ended[index] ?? 0;
          if (isThere(literal, text, at + 1, end)) found(literal);
        }
      }
    },
  };
};
