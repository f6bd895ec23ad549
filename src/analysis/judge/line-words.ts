import { maskLine } from "../mask.ts";

/** Buckets that features are hashed into: sixteen bits number them. */
export const BUCKETS = 1 << 15;
/** Of a longer line the first words are read. */
const WORDS_MAX = 120;
/** Of a longer line as much of its head and of its tail. */
const END_CHARS = 500;
/** A longer word is known by its beginning, too: refused and refusing mean the same. */
const STEM_CHARS = 5;
const STEMMED_CHARS_MIN = 7;
/** Of a number only so many digits mean something: an errno, a status. */
const NUMBER_CHARS_MAX = 3;

/** Who wrote the line, and when. */
const PREFIX =
  /^(?:\w{3} {1,2}\d{1,2} \d\d:\d\d:\d\d \S{1,100} |\d{4}-\d\d-\d\dT[\d:.,+Z-]{8,32} |\[ {0,8}\d{1,8}\.\d{1,8}\] |[\w.-]{1,80} {1,40}\| )/;
const ADDRESS = /\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b/g;
const PATH = /(?<![^\s"'=([:,`])(?:\/[\w.@+~-]{1,100}){1,30}\/?/g;
const EXTENSION = /\.(\w{1,5})$/;
const HEXADECIMAL = /\b[0-9a-f]{8,}\b/gi;
const HOST_PORT = /(?<![\w.-])[\w-]{1,80}(?:\.[\w-]{1,80}){1,8}:\d{1,5}\b/g;
const HUMP = /([a-z])([A-Z])/g;
const WORD = /[\p{L}_]+(?:['’]t)?|\d+/gu;

/** FNV-1a's. */
const START = 2_166_136_261;
const PRIME = 16_777_619;

/** What a feature of each kind begins with, hashed. */
const ALONE = hash(START, "u:");
const STEM = hash(START, "p:");
const NEXT = hash(START, "b:");
const APART = hash(START, "s:");

/**
 * What of a line the judge knows: its words, two that follow each other or stand one apart, and the beginnings of long ones, each
 * as the number of a bucket. Names, paths and addresses of one installation are one word each.
 */
export function lineWords(line: string): Uint16Array {
  const words = wordsOf(line).slice(0, WORDS_MAX);
  const buckets = new Set<number>();
  for (const [at, word] of words.entries()) {
    const [last, before] = [words[at - 1], words[at - 2]];
    buckets.add(bucketIn(hash(ALONE, word)));
    if (word.length >= STEMMED_CHARS_MIN) buckets.add(bucketIn(hash(STEM, word, STEM_CHARS)));
    if (last !== undefined) buckets.add(bucketIn(hash(hash(hash(NEXT, last), " "), word)));
    if (before !== undefined) buckets.add(bucketIn(hash(hash(hash(APART, before), " "), word)));
  }
  return Uint16Array.from(buckets);
}

function wordsOf(line: string): string[] {
  const ends = line.length > 2 * END_CHARS ? `${line.slice(0, END_CHARS)} ${line.slice(-END_CHARS)}` : line;
  const text = maskLine(ends.replace(PREFIX, ""))
    .replace(ADDRESS, " ipaddr ")
    .replace(PATH, (path) => ` path ${EXTENSION.exec(path)?.[1] ?? ""} `)
    .replace(HEXADECIMAL, " hexnum ")
    .replace(HOST_PORT, " hostport ")
    .replace(HUMP, "$1 $2");
  return (text.toLowerCase().match(WORD) ?? []).map(numberless);
}

function numberless(word: string): string {
  if (!/^\d/.test(word)) return word;
  return word.length <= NUMBER_CHARS_MAX ? `n${word}` : "num";
}

/** The bucket of a feature. */
export const bucketOf = (feature: string): number => bucketIn(hash(START, feature));

/** Goes on with FNV-1a over the first characters of a text. */
function hash(from: number, text: string, chars = text.length): number {
  let value = from;
  for (let at = 0; at < Math.min(chars, text.length); at++) value = Math.imul(value ^ text.charCodeAt(at), PRIME);
  return value;
}

/** The mixing of MurmurHash3's end, since the low bits of FNV-1a alone are poor. */
function bucketIn(value: number): number {
  const mixed = Math.imul(value ^ (value >>> 15), 2_246_822_519);
  return ((mixed ^ (mixed >>> 13)) >>> 0) & (BUCKETS - 1);
}
