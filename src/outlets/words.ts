import type { IncidentView, NoticeView, StormView, View } from "../announcements/model.ts";
import { stripControls } from "../lib/controls.ts";
import { visibleName } from "../protocol/names.ts";

/** Takes secrets out of what leaves for a third party. */
export type Redact = (text: string) => string;

/** What a view says: without markup, without secrets, and without characters that nobody sees. */
export interface Words {
  /** One line: "Critical: nginx on web-1". */
  title: string;
  /** The parts after it, in the order in which they are read. */
  parts: readonly Part[];
  /** The dashboard's page; null without PUBLIC_URL. */
  url: string | null;
}

/** A paragraph, with the word that stands before it where it has one. */
export interface Part {
  label: string | null;
  text: string;
  /** It is output, to be shown as it is. */
  isCode?: boolean;
}

const LIMITS = { title: 200, message: 2_000, cause: 1_000, line: 300, decisions: 5, newest: 5, noticeLines: 100 };
const UNSEEN = /[[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]--[\n\t]]/gv;
const SEVERITIES = { critical: "Critical", warning: "Warning", info: "Info" } as const;

/** Whether nothing more is to come of it. */
export function isOver(view: View): boolean {
  if (view.kind === "notice") return false;
  return view.kind === "incident" ? view.incident.status === "resolved" : view.storm.endedAt !== null;
}

/** Says the view. It depends on nothing else, so that the same view is the same words. */
export function wordsOf(view: View, redact: Redact): Words {
  const say = sayer(redact);
  switch (view.kind) {
    case "incident":
      return incidentWords(view.incident, say);
    case "storm":
      return stormWords(view.storm, say);
    case "notice":
      return noticeWords(view.notice, say);
  }
}

/** The words as plain text, cut to what the outlet takes; the title is not among them. */
export function plainText({ parts, url }: Words, charsMax: number, withUrl = true): string {
  const end = withUrl && url !== null ? `\n\n${url}` : "";
  const text = parts.map(({ label, text }) => (label === null ? text : `${label}: ${text}`)).join("\n\n");
  return cut(text, charsMax - end.length) + end;
}

/** The same as HTML, with the title; every character of it is escaped. */
export function html({ title, parts, url }: Words): string {
  const paragraphs = parts.map(({ label, text, isCode }) => {
    const body = isCode ? `<pre>${escapeHtml(text)}</pre>` : escapeHtml(text).replaceAll("\n", "<br>");
    return isCode ? body : `<p>${label === null ? "" : `<b>${escapeHtml(label)}:</b> `}${body}</p>`;
  });
  const link = url === null ? "" : `<p><a href="${escapeHtml(url)}">Open dashboard</a></p>`;
  return `<p><b>${escapeHtml(title)}</b></p>${paragraphs.join("")}${link}`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** The text as HTML shows it. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => ENTITIES[char] ?? char);
}

/** The text's beginning, with a mark where something was left out, and no character cut in two. */
export function cut(text: string, charsMax: number): string {
  return text.length <= charsMax
    ? text
    : `${text
        .slice(0, Math.max(0, charsMax - 1))
        .toWellFormed()
        .replace(/\ufffd$/, "")}…`;
}

/** What somebody wrote, as an outlet may show it: a line, or several. */
export function shownText(text: string, charsMax: number, redact: Redact): string {
  const { lines } = sayer(redact);
  return lines(text, charsMax);
}

function sayer(redact: Redact) {
  // What nobody sees goes first, so that it hides no secret.
  const clean = (text: string) => redact(stripControls(text.toWellFormed()).replaceAll(UNSEEN, ""));
  return {
    line: (text: string, charsMax: number = LIMITS.line) => cut(clean(text).replaceAll(/\s+/g, " ").trim(), charsMax),
    lines: (text: string, charsMax: number) => cut(clean(text).trim(), charsMax),
  };
}

type Say = ReturnType<typeof sayer>;

const part = (label: string | null, text: string): Part[] => (text === "" ? [] : [{ label, text }]);

/** The host as people know it. */
export function hostOf({ hostname, agentId }: Pick<IncidentView, "hostname" | "agentId">): string {
  return visibleName(hostname ?? agentId);
}

function incidentWords(incident: IncidentView, say: Say): Words {
  const { severity, status, source, explanation, message, reason, decisions, why } = incident;
  const what = status === "resolved" ? "Resolved" : severity === null ? "Incident" : SEVERITIES[severity];
  const title = say.line(`${what}: ${visibleName(source)} on ${hostOf(incident)}`, LIMITS.title);
  const done = decisions
    .slice(-LIMITS.decisions)
    .flatMap((one) => (one.outcome === null ? [] : [say.line(one.outcome)]));
  const output = say.lines(message, LIMITS.message);
  return {
    title,
    parts: [
      ...(output === "" ? [] : [{ label: null, text: output, isCode: true }]),
      ...part("Cause", explanation === null ? "" : say.lines(explanation.cause, LIMITS.cause)),
      ...part("Fix", explanation === null ? "" : say.lines(explanation.fix, LIMITS.cause)),
      ...part("Command, not checked", explanation?.fixCommand ? say.line(explanation.fixCommand) : ""),
      ...part("Done", done.join("\n")),
      ...part("Resolved", status === "resolved" && reason !== null ? say.line(reason) : ""),
      ...part("State", say.line(stateOf(incident))),
      ...part("Announced", status === "resolved" ? "" : say.line(why)),
    ],
    url: incident.url,
  };
}

function stateOf({ id, type, status, occurrences, createdAt, consequencesTotal }: IncidentView): string {
  const often = occurrences > 1 ? `, ${occurrences} times` : "";
  const more = consequencesTotal > 0 ? `, ${consequencesTotal} consequences` : "";
  return `incident ${id} (${visibleName(type)}), ${status}, since ${createdAt.toISOString()}${often}${more}`;
}

function stormWords({ endedAt, total, open, byHost, byCategory, newest, url }: StormView, say: Say): Words {
  const groups = <T extends { count: number }>(list: readonly T[], nameOf: (one: T) => string) =>
    list.map((one) => `${say.line(nameOf(one), 100)}: ${one.count}`).join("\n");
  const latest = newest
    .slice(0, LIMITS.newest)
    .map((one) =>
      say.line(`${one.id} ${visibleName(one.source)} on ${visibleName(one.hostname ?? "?")}: ${one.message}`),
    );
  return {
    title: `${endedAt === null ? "Storm" : "The storm is over"}: ${total} incidents, ${open} open`,
    parts: [
      ...part(
        "By host",
        groups(byHost, (one) => visibleName(one.hostname)),
      ),
      ...part(
        "By cause",
        groups(byCategory, (one) => one.category),
      ),
      ...part("Newest", latest.join("\n")),
    ],
    url,
  };
}

function noticeWords({ title, lines, url }: NoticeView, say: Say): Words {
  const shown = lines.slice(0, LIMITS.noticeLines).map((line) => say.line(visibleName(line)));
  return { title: say.line(visibleName(title), LIMITS.title), parts: part(null, shown.join("\n")), url };
}
