/** Shorter ones stand in almost every line. */
const WORD_CHARS_MIN = 3;
/** An escape, brackets, or a character. */
const TOKEN =
  /\\u[\da-fA-F]{4}|\\x[\da-fA-F]{2}|\\.|\[(?:\\.|[^\]\\])*\]|\(\?(?:<[A-Za-z_$][\w$]*>|.)|\{\d+(?:,\d*)?\}|./gsu;
/** What stands for itself, in the journal's JSON and in any case of its letters, too. */
const IS_PLAIN = /^[A-Za-z0-9 _:,;=@#%&'<>!~/-]$/;
const ESCAPED_PLAIN = /^\\([.()[\]{}+*?|^$/-])$/;

/**
 * Words of which each line that the expression finds holds one, whatever the case of its letters: the longest one outside of
 * groups of each alternative. Undefined where an alternative has none. A line is soon searched for them.
 */
export function neededWords(source: string): readonly string[] | undefined {
  const alternatives: string[] = [];
  let longest = "";
  let word = "";
  let depth = 0;

  function endWord(): void {
    if (word.length > longest.length) longest = word;
    word = "";
  }
  function endAlternative(): void {
    endWord();
    alternatives.push(longest);
    longest = "";
  }

  for (const [token] of source.matchAll(TOKEN)) {
    const plain = IS_PLAIN.test(token) ? token : ESCAPED_PLAIN.exec(token)?.[1];
    if (token.startsWith("(")) {
      endWord();
      depth++;
    } else if (token === ")") depth--;
    else if (depth > 0) continue;
    else if (token === "|") endAlternative();
    else if (plain !== undefined) word += plain;
    else {
      // What may come any number of times may not be there.
      if (token === "*" || token === "?" || /^\{\d/.test(token)) word = word.slice(0, -1);
      endWord();
    }
  }
  endAlternative();
  return alternatives.every(({ length }) => length >= WORD_CHARS_MIN) ? alternatives : undefined;
}
