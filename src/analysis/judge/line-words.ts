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

/**
 * What of a line the judge knows: its words, two that follow each other or stand one apart, and the beginnings of long ones, each
 * as the number of a bucket. Names, paths and addresses of one installation are one word each.
 */
export function lineWords(line: string): Uint16Array {
  const words = wordsOf(line).slice(0, WORDS_MAX);
  const buckets = new Set<number>();
  for (const [at, word] of words.entries()) {
    buckets.add(bucketOf(`u:${word}`));
    if (word.length >= STEMMED_CHARS_MIN) buckets.add(bucketOf(`p:${word.slice(0, STEM_CHARS)}`));
    if (at > 0) buckets.add(bucketOf(`b:${words[at - 1]} ${word}`));
    if (at > 1) buckets.add(bucketOf(`s:${words[at - 2]} ${word}`));
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

/** The bucket of a feature: FNV-1a, then the mixing of MurmurHash3's end, since the low bits alone are poor. */
export function bucketOf(feature: string): number {
  let hash = 2_166_136_261;
  for (let at = 0; at < feature.length; at++) hash = Math.imul(hash ^ feature.charCodeAt(at), 16_777_619);
  hash = Math.imul(hash ^ (hash >>> 15), 2_246_822_519);
  return ((hash ^ (hash >>> 13)) >>> 0) & (BUCKETS - 1);
}
