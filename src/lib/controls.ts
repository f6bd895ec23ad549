const ESC = "\u001b";
const BEL = "\u0007";
/**
 * What only a terminal understands (ECMA-48), as programs write it into their logs. In order: CSI (colours, movements), cut off
 * at the end too; OSC and its like (titles, links), a text up to its terminator, bounded so that a lone beginning does not
 * swallow the line; all others.
 */
const SEQUENCE = new RegExp(
  [
    `(?:${ESC}\\[|\\u009b)[0-?]*[ -/]*(?:[@-~]|$)`,
    `(?:${ESC}[\\]PX^_]|[\\u0090\\u0098\\u009d-\\u009f])[^${BEL}${ESC}\\u009c]{0,200}(?:${BEL}|${ESC}\\\\|\\u009c)`,
    `${ESC}[ -/]*[0-~]?`,
  ].join("|"),
  "g",
);
/** Overwritten by what follows, as a progress bar is: a space keeps the words apart. */
const RETURN = /\r(?!\n|$)/g;
const CONTROL = /(?![\t\n])\p{Cc}/gu;
const ANY = /(?![\t\n])\p{Cc}/u;

/** A log's text without what is no text. Tabs and newlines stay. */
export function stripControls(text: string): string {
  if (!ANY.test(text)) return text;
  return text.replace(SEQUENCE, "").replace(RETURN, " ").replace(CONTROL, "");
}
