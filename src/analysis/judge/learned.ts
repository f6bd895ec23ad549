import { readFileSync } from "node:fs";
import { readWords, type Weights } from "./judge.ts";
import plain from "./weights.json" with { type: "json" };
import wordsPath from "./words.bin" with { type: "file" };

/** What `bun run learn` has learned; the executable carries it. */
export function learnedWeights(): Weights {
  return { ...plain, words: readWords(readFileSync(wordsPath)) };
}
