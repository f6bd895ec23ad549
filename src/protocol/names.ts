/** A word, as far as letters, digits and what is put on top of them make one. */
const WORD = /[\p{L}\p{N}\p{M}]+/gu;
const PLAIN_LETTER = /[A-Za-z]/;
/** Letters of scripts that have the shapes of Latin ones, and phonetic ones, which begin as them. */
const LOOKALIKE =
  /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}\p{Script=Coptic}\u0250-\u02af\u1d00-\u1dbf]/gu;
/** Plain letters and digits in another dress: wide, bold, in circles. */
const DRESSED = /[\uff01-\uff5e\u2100-\u214f\u2460-\u24ff\u{1d400}-\u{1d7ff}]/gu;

/**
 * A host's or a service's name as it may be shown to who decides by it: a letter that only looks like one of the others in its word
 * is shown by its number. A name that is wholly of another script is somebody's own, and stays.
 */
export function visibleName(name: string): string {
  return name
    .replace(DRESSED, markOf)
    .replace(WORD, (word) => (PLAIN_LETTER.test(word) ? word.replace(LOOKALIKE, markOf) : word));
}

/** A character by its number, between brackets that no name has: ⟨U+0435⟩. */
export function markOf(char: string): string {
  return `\u27e8U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
}
