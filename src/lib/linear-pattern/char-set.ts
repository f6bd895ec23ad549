/** Which UTF-16 code units a place of a pattern takes. */
export interface CharSet {
  has(code: number): boolean;
}

/** Both ends belong to it. */
export type CharRange = readonly [number, number];

const code = (text: string) => text.charCodeAt(0);
const DIGITS: readonly CharRange[] = [[code("0"), code("9")]];
const WORDS: readonly CharRange[] = [...DIGITS, [code("A"), code("Z")], [code("a"), code("z")], [code("_"), code("_")]];
const SPACES: readonly CharRange[] = [
  [9, 13],
  [32, 32],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
const CODE_MAX = 0xffff;

/** What `\d`, `\w` and `\s` stand for, and their opposites; undefined for another letter. */
export function classOf(letter: string): readonly CharRange[] | undefined {
  switch (letter) {
    case "d":
      return DIGITS;
    case "w":
      return WORDS;
    case "s":
      return SPACES;
    case "D":
      return outside(DIGITS);
    case "W":
      return outside(WORDS);
    case "S":
      return outside(SPACES);
    default:
      return undefined;
  }
}

/** What `.` takes: all but the ends of lines. */
export const ANY: CharSet = { has: (one) => one !== 10 && one !== 13 && one !== 0x2028 && one !== 0x2029 };

/** A letter, a digit or `_`, as `\b` means it. */
export function isWordCode(one: number): boolean {
  return (one >= 97 && one <= 122) || (one >= 65 && one <= 90) || (one >= 48 && one <= 57) || one === 95;
}

/** What lies in the ranges, or outside of them; without regard to case, each letter stands for both of its forms. */
export function charSet(ranges: readonly CharRange[], isNegated: boolean, ignoresCase: boolean): CharSet {
  const isIn = (one: number) => ranges.some(([from, to]) => one >= from && one <= to);
  if (!ignoresCase) return { has: (one) => isIn(one) !== isNegated };
  return { has: (one) => (isIn(one) || formsOf(one).some(isIn)) !== isNegated };
}

/** As JavaScript does without the flag `u`: by upper case, of which one unit may not become several or leave ASCII. */
function formsOf(one: number): number[] {
  const text = String.fromCharCode(one);
  const upper = text.toUpperCase();
  if (upper.length !== 1) return [];
  const upperCode = upper.charCodeAt(0);
  if (one >= 128 && upperCode < 128) return [];
  const lower = upper.toLowerCase();
  return [
    upperCode,
    ...(lower.length === 1 && !(upperCode >= 128 && lower.charCodeAt(0) < 128) ? [lower.charCodeAt(0)] : []),
  ];
}

function outside(ranges: readonly CharRange[]): CharRange[] {
  const sorted = [...ranges].sort(([one], [other]) => one - other);
  const gaps: CharRange[] = [];
  let from = 0;
  for (const [start, end] of sorted) {
    if (start > from) gaps.push([from, start - 1]);
    from = end + 1;
  }
  return from <= CODE_MAX ? [...gaps, [from, CODE_MAX]] : gaps;
}
