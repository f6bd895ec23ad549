/** What a person may say of an incident's explanation. */
export const VERDICTS = ["right", "wrong"] as const;
export type Verdict = (typeof VERDICTS)[number];

/** A person's word, as far as it decides what is shown. */
export interface Word {
  readonly verdict: Verdict;
  /** What is so; all null where the person only said what is not. */
  readonly cause: string | null;
  readonly category: string | null;
  readonly fix: string | null;
  /** What the explanation said that it is about. */
  readonly shown_category: string | null;
}

/** What earlier words about the same problem mean for an incident now. */
export interface Lesson<W extends Word> {
  /** The last that says what it was. */
  confirmed?: W | undefined;
  /** The last about this very explanation, where that was said to be wrong. */
  saidWrong?: W | undefined;
}

/**
 * What is to be shown beside an explanation of this category (null: none stands there). `own` is the word on the incident itself,
 * which outweighs earlier ones; `earlier` are those on incidents of the same problem, newest first.
 */
export function lessonOf<W extends Word>(category: string | null, own: Word | null, earlier: readonly W[]): Lesson<W> {
  const lastAlike = earlier.find((one) => isAbout(category, one));
  return {
    confirmed: own !== null && saysWhat(own) ? undefined : earlier.find(saysWhat),
    saidWrong: own === null && lastAlike?.verdict === "wrong" ? lastAlike : undefined,
  };
}

/** Whether the word is about an explanation of this category; an incident may be explained anew. */
export function isAbout(category: string | null, { shown_category }: Word): boolean {
  return category !== null && shown_category === category;
}

/** Whether it was said that what explains an incident is wrong: of this incident, or of one before. */
export function isDoubted(category: string | null, own: Word | null, earlier: readonly Word[]): boolean {
  if (own !== null) return own.verdict === "wrong" && isAbout(category, own);
  return lessonOf(category, own, earlier).saidWrong !== undefined;
}

const saysWhat = ({ cause, category, fix }: Word) => (cause ?? category ?? fix) !== null;
