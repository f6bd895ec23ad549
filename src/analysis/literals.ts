import assert from "node:assert/strict";

/**
 * Finds many literals in one pass over a text (Aho-Corasick): time grows with the text, not with the number of literals. ASCII
 * letters match in either case.
 */
export interface Literals {
  /** Calls `found` with the number of each literal that ends before `end`, starting to read at `start`. */
  scan(text: string, start: number, end: number, found: (literal: number) => void): void;
}

interface Trie {
  width: number;
  /** A row for each state, a column for each character: the state that follows. Sixteen bits do for the literals of the rules. */
  next: Uint16Array;
  states: number;
  /** The literals that end in a state, for the states that have any. */
  outputs: Map<number, readonly number[]>;
}

const CHARS = 1 << 16;

/** Each character's column in the table; 0 for those that no literal has. */
const columnsOf = (literals: readonly string[]): Uint8Array => {
  const columns = new Uint8Array(CHARS);
  let width = 1;
  for (const char of new Set(literals.join("").split(""))) {
    const code = char.charCodeAt(0);
    columns[code] = width++;
  }
  assert.ok(width <= 256, "too many different characters for a table of bytes");
  for (let code = 65; code <= 90; code++) columns[code] = columns[code + 32] ?? 0;
  return columns;
};

const trieOf = (literals: readonly string[], columns: Uint8Array): Trie => {
  const width = columns.reduce((most, column) => Math.max(most, column), 0) + 1;
  const cells = (literals.reduce((sum, literal) => sum + literal.length, 0) + 1) * width;
  const trie: Trie = { width, next: new Uint16Array(cells), states: 1, outputs: new Map() };
  for (const [index, literal] of literals.entries()) {
    let state = 0;
    for (let at = 0; at < literal.length; at++) {
      const cell = state * width + (columns[literal.charCodeAt(at)] ?? 0);
      if (!trie.next[cell]) trie.next[cell] = trie.states++;
      state = trie.next[cell] ?? 0;
    }
    trie.outputs.set(state, [...(trie.outputs.get(state) ?? []), index]);
  }
  assert.ok(trie.states < 1 << 16, "too many literals for a table of 16 bits");
  return { ...trie, next: trie.next.slice(0, trie.states * width) };
};

/** Breadth first: where a branch ends, go on where the longest suffix of what was read goes on. */
const link = ({ width, next, states, outputs }: Trie): void => {
  const fallback = new Uint16Array(states);
  const queue = [...next.subarray(0, width)].filter((state) => state > 0);
  for (let read = 0; read < queue.length; read++) {
    const state = queue[read] ?? 0;
    const back = fallback[state] ?? 0;
    const more = outputs.get(back);
    if (more !== undefined) outputs.set(state, [...(outputs.get(state) ?? []), ...more]);
    for (let column = 0; column < width; column++) {
      const cell = state * width + column;
      const child = next[cell] ?? 0;
      const other = next[back * width + column] ?? 0;
      if (child === 0) next[cell] = other;
      else {
        fallback[child] = other;
        queue.push(child);
      }
    }
  }
};

/** Prepares a search for these literals: lower-case, and of fewer than 256 different characters. */
export const compileLiterals = (literals: readonly string[]): Literals => {
  const columns = columnsOf(literals);
  const trie = trieOf(literals, columns);
  link(trie);
  const { width, outputs, next } = trie;
  const ends = new Uint8Array(trie.states);
  for (const state of outputs.keys()) ends[state] = 1;
  return {
    scan: (text, start, end, found) => {
      let state = 0;
      for (let at = start; at < end; at++) {
        state = next[state * width + (columns[text.charCodeAt(at)] ?? 0)] ?? 0;
        if (ends[state]) for (const literal of outputs.get(state) ?? []) found(literal);
      }
    },
  };
};
