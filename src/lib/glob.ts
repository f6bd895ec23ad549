/**
 * Whether the pattern matches the whole text: `*` is any characters, `?` is one, all others are themselves. It looks back
 * to the last `*` only, so that no pattern takes longer than the product of the lengths.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  let at = 0;
  let patternAt = 0;
  let starAt = -1;
  let afterStar = 0;
  while (at < text.length) {
    const wanted = pattern[patternAt];
    if (wanted === "*") {
      starAt = patternAt++;
      afterStar = at;
    } else if (wanted === "?" || (wanted !== undefined && wanted === text[at])) {
      patternAt++;
      at++;
    } else if (starAt >= 0) {
      patternAt = starAt + 1;
      at = ++afterStar;
    } else return false;
  }
  while (pattern[patternAt] === "*") patternAt++;
  return patternAt === pattern.length;
}

/** Whether the pattern is there and excludes something. */
export function isSelective(pattern: string | null): boolean {
  return pattern !== null && !/^\*+$/.test(pattern);
}

/** The pattern as SQL's LIKE has it. */
export function likeOf(pattern: string): string {
  return likeText(pattern).replaceAll("*", "%").replaceAll("?", "_");
}

/** Text that stands for itself in SQL's LIKE. */
export function likeText(text: string): string {
  return text.replaceAll(/[\\%_]/g, "\\$&");
}
