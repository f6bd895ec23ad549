import type { NoticeView } from "../announcements/model.ts";
import { type Block, context, header, LIMITS, link, type Message, NOTICE_EVENT, section } from "./blocks.ts";
import type { Texts } from "./text.ts";

/** So much of a notice is shown: together it stays below what Slack takes for one message. */
const SHOWN = { lines: 60, lineChars: 200 };

/** A notice's message: a title, its lines in their groups, and where to look. */
export function noticeMessage({ id, title, lines, url }: NoticeView, texts: Texts): Message {
  const shown = lines.slice(0, SHOWN.lines).map((line) => texts.line(line, SHOWN.lineChars));
  const more = lines.length > shown.length ? [`and ${lines.length - shown.length} lines more`] : [];
  const blocks = [
    header(texts.plain(title, LIMITS.header)),
    ...paragraphsOf([...shown, ...more]),
    ...(url === null || url.length > LIMITS.url / 2 ? [] : [context(link(url, "Open dashboard"))]),
  ];
  const text = [texts.line(title, LIMITS.header), ...shown.slice(0, 1)].join(": ");
  return { text, blocks, metadata: { event_type: NOTICE_EVENT, event_payload: { notice_id: id } } };
}

/** A section for each group of lines, as many as one has room for. */
function paragraphsOf(lines: readonly string[]): Block[] {
  const paragraphs = [""];
  for (const line of lines) {
    const last = paragraphs.at(-1) ?? "";
    if (line === "" || last.length + line.length + 1 > LIMITS.text) paragraphs.push(line);
    else paragraphs.push(`${paragraphs.pop()}${last === "" ? "" : "\n"}${line}`);
  }
  return paragraphs.filter((one) => one !== "").map(section);
}
