/** Takes secrets out of what leaves for a third party. */
export type Redact = (text: string) => string;

/** More is never shown. Where a text is cut here, the end is dropped after the redaction: it may be half of a secret. */
const LOOKED_AT_CHARS_MAX = 65_536;
const DOUBTFUL_END_CHARS = 1_024;

const MORE = "…";

/**
 * Characters that show nothing or turn the order of others, but newline and tab: they would hide a secret from the
 * redaction, or a mention from the escaping.
 */
const UNSEEN = /[[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]--[\n\t]]/gv;

/** Colours and cursor movements of a terminal, which logs of containers are full of. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what begins them
const TERMINAL = /\u001b\[[0-9;:?]*[ -/]*[@-~]/g;

/** Names that call many people. With another "@" they call nobody. */
const CALLS_MANY = /@(?=channel|here|everyone|group)/gi;

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

/** Marks that would begin or end bold, struck or code text, each as one that looks the same and does nothing. */
const LOOKALIKES: Readonly<Record<string, string>> = { "*": "∗", "~": "∼", "`": "ˋ" };

/** Foreign text made fit for a message: nothing in it is read as markup, none of it is secret. Lengths are of the result. */
export interface Texts {
  /** One line, for a mrkdwn text. */
  line(text: string, charsMax: number): string;
  /** Several lines, for a mrkdwn text. */
  prose(text: string, charsMax: number): string;
  /** Several lines between fences, which count. Never empty. */
  code(text: string, charsMax: number): string;
  /** One line for plain text (headers, buttons, dialogs), where nothing is escaped. */
  plain(text: string, charsMax: number): string;
  /** A file's content, which Slack does not read as markup; of more than 64 KiB only the beginning. */
  file(text: string): string;
}

/** Makes foreign text fit: unseen characters go first, so that they hide no secret; then secrets; then what Slack would read. */
export function createTexts(redact: Redact): Texts {
  const clean = (text: string) => {
    const isCut = text.length > LOOKED_AT_CHARS_MAX;
    const lines = text.slice(0, LOOKED_AT_CHARS_MAX).replaceAll(/\r\n?|[\u2028\u2029]/g, "\n");
    const redacted = redact(lines.toWellFormed().replace(TERMINAL, "").replace(UNSEEN, ""));
    return (isCut ? redacted.slice(0, -DOUBTFUL_END_CHARS) : redacted).toWellFormed().replace(CALLS_MANY, "＠");
  };
  const oneLine = (text: string) => clean(text).replaceAll(/\s+/g, " ").trim();
  return {
    line: (text, charsMax) => cut(oneLine(text), charsMax, asProse),
    prose: (text, charsMax) => cut(clean(text).replaceAll(/`{2,}/g, "ˋ").trim(), charsMax, asParagraph),
    code: (text, charsMax) => `\`\`\`${cut(clean(text).trim() || " ", charsMax - 6, asCode)}\`\`\``,
    plain: (text, charsMax) => cut(oneLine(text), charsMax, asIs),
    file: clean,
  };
}

const asIs = (char: string) => char;
const asCode = (char: string) => (char === "`" ? "ˋ" : (ENTITIES[char] ?? char));
/** A single backtick may stay: the code it begins ends with its line at the latest, and makes commands readable. */
const asParagraph = (char: string) => (char === "`" ? char : asProse(char));
const asProse = (char: string) => ENTITIES[char] ?? LOOKALIKES[char] ?? char;

/** Written character by character, so that neither an entity nor a pair of surrogates is cut in two. */
function cut(text: string, charsMax: number, write: (char: string) => string): string {
  let out = "";
  let fits = 0;
  for (const char of text) {
    const written = write(char);
    if (out.length + written.length > charsMax) return out.slice(0, fits) + MORE;
    out += written;
    if (out.length <= charsMax - MORE.length) fits = out.length;
  }
  return out;
}
