import type { Words } from "./words.ts";
import { cut } from "./words.ts";

/** What these outlets' Markdown would take for markup, or for somebody's name. */
const MARKUP = /[\\`*_~|<>[\]#@]/g;

/** Text of somebody's as Markdown shows it: nothing of it is markup, calls anybody, or hides where it leads. */
export function escapeMarkdown(text: string): string {
  // A mark without width after @ keeps it from being somebody's name where a backslash alone does not.
  return text.replaceAll(MARKUP, (char) => (char === "@" ? "@\u200b" : `\\${char}`));
}

/** The words as Markdown, cut to what the outlet takes; `bold` is the outlet's own mark for it. The title is not among them. */
export function markdown({ parts, url }: Words, charsMax: number, bold: "**" | "*" = "**"): string {
  const end = url === null ? "" : `\n\n${url}`;
  let left = charsMax - end.length;
  const paragraphs: string[] = [];
  for (const { label, text, isCode } of parts) {
    const shown = isCode ? fenced(cut(text, Math.floor(charsMax / 2))) : escapeMarkdown(text);
    const paragraph = label === null ? shown : `${bold}${label}:${bold} ${shown}`;
    // A paragraph that does not fit is left out whole: half of an escape would be markup.
    if (paragraph.length + 2 > left) continue;
    left -= paragraph.length + 2;
    paragraphs.push(paragraph);
  }
  return paragraphs.join("\n\n") + end;
}

/** As it is: nothing in it can end the block, or call anybody. */
function fenced(text: string): string {
  return `\`\`\`\n${text.replaceAll("```", "'''").replaceAll("@", "@\u200b")}\n\`\`\``;
}
