import assert from "node:assert/strict";

/**
 * Finds many literals in one pass over a text (Aho-Corasick): time grows with the text, not with the number of literals. Letters
 * match in either case.
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
  /** The literals that end in a state, for the states that have any. */
  outputs: Map<number, number[]>;
}

const CHARS = 1 << 16;
const ASCII = 128;
/** Characters beyond ASCII share a few columns, so that the table stays narrow; what they find is compared. */
const SHARED = 8;

/** Each character's column in the table; 0 for those that no literal has. */
const columnsOf = (literals: readonly string[]): { columns: Uint8Array; width: number } => {
  const columns = new Uint8Array(CHARS);
  let width = 1 + SHARED;
  for (const char of new Set(literals.join("").split(""))) {
    const code = char.charCodeAt(0);
    const column = code < ASCII ? width++ : 1 + (code % SHARED);
    columns[code] = column;
    const upper = char.toUpperCase();
    // "ß" has two letters there.
    if (upper.length === 1) columns[upper.charCodeAt(0)] = column;
  }
  assert.ok(width <= 256, "too many different characters for a table of bytes");
  return { columns, width };
};

const trieOf = (literals: readonly string[], columns: Uint8Array, width: number): Trie => {
  const statesMax = literals.reduce((sum, literal) => sum + literal.length, 1);
  const next = new Uint16Array(statesMax * width);
  const parents = new Uint16Array(statesMax);
  const depths = new Uint16Array(statesMax);
  const columnOf = new Uint8Array(statesMax);
  const outputs = new Map<number, number[]>();
  let states = 1;
  for (const [index, literal] of literals.entries()) {
    let state = 0;
    for (let at = 0; at < literal.length; at++) {
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
    outputs.set(state, [...(outputs.get(state) ?? []), index]);
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

/** For each state that of its longest suffix: where to go on when nothing follows. What ends there ends here too. */
const fallbacksOf = (trie: Trie): Uint16Array => {
  const { width, next, parents, columnOf, states, outputs } = trie;
  const fallback = new Uint16Array(states);
  for (const state of byDepth(trie)) {
    const parent = parents[state] ?? 0;
    if (state === 0 || parent === 0) continue;
    const column = columnOf[state] ?? 0;
    let back = fallback[parent] ?? 0;
    while (back !== 0 && !next[back * width + column]) back = fallback[back] ?? 0;
    fallback[state] = next[back * width + column] ?? 0;
    const more = outputs.get(fallback[state] ?? 0);
    if (more !== undefined) outputs.set(state, [...(outputs.get(state) ?? []), ...more]);
  }
  return fallback;
};

const isAscii = (literal: string): boolean => !/[^\0-\x7f]/.test(literal);

/** Prepares a search for these literals, which are in small letters. */
export const compileLiterals = (literals: readonly string[]): Literals => {
  const { columns, width } = columnsOf(literals);
  const trie = trieOf(literals, columns, width);
  const fallback = fallbacksOf(trie);
  const { outputs, next } = trie;
  const ends: (readonly number[] | undefined)[] = Array.from({ length: trie.states }, (_, state) => outputs.get(state));
  const mustCompare = Uint8Array.from(literals, (literal) => Number(!isAscii(literal)));
  const isThere = (literal: number, text: string, end: number): boolean => {
    const word = literals[literal] ?? "";
    return !mustCompare[literal] || text.slice(end - word.length, end).toLowerCase() === word;
  };
  return {
    scan: (text, start, end, found) => {
      let state = 0;
      for (let at = start; at < end; at++) {
        const column = columns[text.charCodeAt(at)] ?? 0;
        if (column === 0) {
          state = 0;
          continue;
        }
        while (state !== 0 && !next[state * width + column]) state = fallback[state] ?? 0;
        state = next[state * width + column] ?? 0;
        const ended = ends[state];
        if (ended === undefined) continue;
        for (let index = 0; index < ended.length; index++) {
          const literal = ended[index] ?? 0;
          if (isThere(literal, text, at + 1)) found(literal);
        }
      }
    },
  };
};
