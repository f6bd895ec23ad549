import type { StormView } from "../announcements/model.ts";
import { type Block, context, header, LIMITS, link, type Message, moment, STORM_EVENT, section } from "./blocks.ts";
import type { Texts } from "./text.ts";

/** The largest groups and the newest incidents that are named; the rest is counted. */
const SHOWN = { groups: 8, newest: 8 };

/** A storm's message: many incidents in one. */
export function stormMessage(storm: StormView, texts: Texts): Message {
  const { total, open, startedAt, endedAt } = storm;
  const title = `${endedAt === null ? "🌩 Storm" : "✅ The storm is over"}: ${total} incidents, ${open} open`;
  const end = endedAt === null ? "it goes on; this message is kept up to date" : `until ${moment(endedAt)}`;
  const blocks = [
    header(texts.plain(title, LIMITS.header)),
    section(`So many incidents at once are told in one message.\nsince ${moment(startedAt)} · ${end}`),
    ...groups(
      "By host",
      storm.byHost.map(({ hostname, count }) => [hostname, count]),
      texts,
    ),
    ...groups(
      "By cause",
      storm.byCategory.map(({ category, count }) => [category, count]),
      texts,
    ),
    ...newestOf(storm, texts),
    context(storm.url === null || storm.url.length > 1_000 ? `Storm ${storm.id}` : link(storm.url, "Open dashboard")),
  ];
  return { text: title, blocks, metadata: { event_type: STORM_EVENT, event_payload: { storm_id: storm.id } } };
}

function groups(title: string, rows: (readonly [string, number])[], texts: Texts): Block[] {
  if (rows.length === 0) return [];
  const lines = rows.slice(0, SHOWN.groups).map(([name, count]) => `• ${texts.line(name, 100) || "unknown"}: ${count}`);
  const more = rows.length > SHOWN.groups ? [`and ${rows.length - SHOWN.groups} more`] : [];
  return [section([`*${title}*`, ...lines, ...more].join("\n"))];
}

function newestOf({ newest }: StormView, texts: Texts): Block[] {
  if (newest.length === 0) return [];
  const lines = newest.slice(0, SHOWN.newest).map(({ id, hostname, source, message, severity }) => {
    const where = `${texts.line(source, 80)} on ${texts.line(hostname ?? "unknown", 80)}`;
    return `• ${id} ${severity === null ? "" : `${texts.line(severity, 20)} `}${where}: ${texts.line(message, 120)}`;
  });
  return [section(["*Newest*", ...lines].join("\n"))];
}
