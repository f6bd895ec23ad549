/** One alternative of a regular expression. */
export interface Alternative {
  text: string;
  /** Whether the expression fits the line, and does so through this alternative. */
  isTaken: (line: string) => boolean;
}

interface Span {
  start: number;
  end: number;
}
/** A group that is being read: where its alternatives begin, and whether a lookaround denies what is in it. */
interface Group {
  starts: number[];
  isDenied: boolean;
}

const OPENING = /\((?:\?(?:[a-z]*(?:-[a-z]+)?:|<?[=!]|<\w+>))?/y;
/** What stands for itself: an escaped character, a class of characters, or a character that opens and closes nothing. */
const ATOM = /\\.|\[(?:\\.|[^\]\\])*\]|[^()|]/suy;

const readAt = (pattern: RegExp, source: string, at: number): string => {
  pattern.lastIndex = at;
  return pattern.exec(source)?.[0] ?? "";
};

const spansOf = ({ starts }: Group, end: number): Span[] =>
  starts.map((start, index) => ({ start, end: (starts[index + 1] ?? end + 1) - 1 }));

/** The alternatives of each group of an expression, the expression itself last; those in what a lookaround denies are left out. */
const groupsOf = (source: string): Span[][] => {
  const open: Group[] = [{ starts: [0], isDenied: false }];
  const found: Span[][] = [];
  const close = (end: number) => {
    const group = open.pop();
    if (group !== undefined && !group.isDenied) found.push(spansOf(group, end));
  };
  for (let at = 0; at < source.length; ) {
    const opening = readAt(OPENING, source, at);
    const step = opening || readAt(ATOM, source, at) || (source[at] ?? "");
    at += step.length;
    if (opening !== "") open.push({ starts: [at], isDenied: opening.endsWith("!") || open.at(-1)?.isDenied === true });
    else if (step === "|") open.at(-1)?.starts.push(at);
    else if (step === ")") close(at - 1);
  }
  close(source.length);
  return found;
};

/** An empty group at the alternative's start takes part in a match exactly when the alternative does. */
const markedAt = ({ source, flags }: RegExp, at: number): RegExp =>
  new RegExp(`${source.slice(0, at)}(?<taken>)${source.slice(at)}`, flags);

/**
 * The alternatives of an expression, of each of its groups and of the whole; an expression without any is its own only one.
 * What a negative lookaround denies is left out: no line can show it.
 */
export const alternativesOf = (pattern: RegExp): Alternative[] => {
  const groups = groupsOf(pattern.source).filter((spans, index, all) => spans.length > 1 || index === all.length - 1);
  return groups.flat().map(({ start, end }) => {
    const marked = markedAt(pattern, start);
    return {
      text: pattern.source.slice(start, end),
      isTaken: (line) => marked.exec(line)?.groups?.taken !== undefined,
    };
  });
};
