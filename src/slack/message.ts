import type { IncidentView, StormView, View } from "../announcements/model.ts";
import { durationWords } from "../lib/units.ts";
import type { DecisionAction, IgnoreVariant } from "../protocol/actions.ts";
import {
  type Block,
  context,
  type Element,
  header,
  INCIDENT_END_EVENT,
  INCIDENT_EVENT,
  LIMITS,
  link,
  type Message,
  moment,
  type Option,
  plainText,
  STORM_EVENT,
  section,
} from "./blocks.ts";
import { explanationBlocks } from "./explanation.ts";
import { FEEDBACK_MENU, type FeedbackWord, feedbackWordOf } from "./feedback.ts";
import { noticeMessage } from "./notice.ts";
import { createTexts, type Redact, type Texts } from "./text.ts";
import { withVisibleNames } from "./visible-names.ts";

/** What a pressed element means. Null: nothing is decided by it, it only opened a page. */
type Meaning =
  | { readonly action: DecisionAction; readonly variant: IgnoreVariant | null }
  | { readonly action: "investigate"; readonly variant: null };

/** Of the buttons, and of the cause with its own menu. */
const BLOCK_ID = /^opspilot_(?:incident|cause)_([1-9]\d{0,9})$/;

/** The action ids of buttons; their values hold the incident's id only. */
const BUTTONS: Readonly<Record<string, Meaning>> = {
  opspilot_restart: { action: "restart", variant: null },
  opspilot_logs: { action: "logs", variant: null },
  opspilot_ignore: { action: "ignore", variant: "until_resolved" },
  opspilot_acknowledge: { action: "acknowledge", variant: null },
};
const MENU = "opspilot_more";

/** The values of the menu's options; the block's id names the incident. */
const OPTIONS: Readonly<Record<string, Meaning>> = {
  investigate: { action: "investigate", variant: null },
  acknowledge: { action: "acknowledge", variant: null },
  resolve: { action: "resolve", variant: null },
  ignore_1h: { action: "ignore", variant: "1h" },
  ignore_until_worse: { action: "ignore", variant: "until_worse" },
  ignore_for_good: { action: "ignore", variant: "for_good" },
};
const OPEN = "open";

/** What can be pressed under an incident's message now; none where nothing can. */
function actionsOf(incident: IncidentView, texts: Texts, withButtons: boolean): Block[] {
  const { can } = incident;
  const value = String(incident.id);
  const elements: Element[] = [];
  if (withButtons && can.restart) elements.push(restartButton(incident, texts));
  if (withButtons && can.logs) elements.push(button("opspilot_logs", "Logs", { value }));
  if (withButtons && can.ignore) elements.push(button("opspilot_ignore", "Ignore", { value }));
  const options = withButtons ? optionsOf(incident) : [];
  if (options.length > LIMITS.overflowOptions) {
    // Slack takes five: the one that is pressed most is a button then.
    options.splice(0, options.length, ...options.filter((one) => one.value !== "acknowledge"));
    elements.push(button("opspilot_acknowledge", "Acknowledge", { value }));
  }
  const url = incident.url !== null && incident.url.length <= LIMITS.url ? incident.url : null;
  const isInMenu = options.length > 0 && options.length < LIMITS.overflowOptions;
  if (url !== null && isInMenu) options.push({ ...option(OPEN, "Open dashboard"), url });
  // The menu is full: Slack takes five options.
  if (url !== null && !isInMenu) elements.push(button("opspilot_open", "Open dashboard", { url }));
  if (options.length > 0) elements.push({ type: "overflow", action_id: MENU, options });
  return elements.length === 0 ? [] : [{ type: "actions", block_id: `opspilot_incident_${incident.id}`, elements }];
}

function restartButton(incident: IncidentView, texts: Texts): Element {
  const what = texts.plain(incident.source, 100);
  const where = texts.plain(incident.hostname ?? incident.agentId, 100);
  return button("opspilot_restart", "Restart", {
    value: String(incident.id),
    style: "primary",
    confirm: {
      title: plainText("Restart it?"),
      text: plainText(`${what} on ${where} is restarted, and looked after for a minute.`),
      confirm: plainText("Restart"),
      deny: plainText("Cancel"),
    },
  });
}

function button(actionId: string, label: string, more: Partial<Extract<Element, { type: "button" }>>): Element {
  return { type: "button", action_id: actionId, text: plainText(label), ...more };
}

function optionsOf({ can, canInvestigate }: IncidentView): Option[] {
  return [
    ...(canInvestigate ? [option("investigate", "Investigate")] : []),
    ...(can.acknowledge ? [option("acknowledge", "Acknowledge")] : []),
    ...(can.resolve ? [option("resolve", "Resolve")] : []),
    ...(can.ignore
      ? [
          option("ignore_1h", "Ignore for 1 h"),
          option("ignore_until_worse", "Ignore until it gets worse"),
          option("ignore_for_good", "Ignore for good"),
        ]
      : []),
  ];
}

const option = (value: string, label: string): Option => ({ text: plainText(label), value });

/** A pressed element, as Slack names it. */
interface PressedElement {
  readonly action_id: string;
  readonly block_id: string;
  readonly value?: string | undefined;
  readonly selected_option?: { readonly value: string } | null | undefined;
}

/** What was decided or said, about which incident; null when a page was opened; undefined when the element is none of ours. */
export function meaningOf(
  pressed: PressedElement,
): ((Meaning | { word: FeedbackWord }) & { incidentId: number }) | null | undefined {
  const incidentId = incidentIdOf(pressed);
  if (incidentId === undefined) return undefined;
  if (pressed.action_id === FEEDBACK_MENU) {
    const word = feedbackWordOf(pressed.selected_option?.value);
    return word && { word, incidentId };
  }
  const name = pressed.action_id === MENU ? pressed.selected_option?.value : pressed.action_id;
  if (name === OPEN || name === "opspilot_open") return null;
  const known = pressed.action_id === MENU ? OPTIONS : BUTTONS;
  const meaning = name !== undefined && Object.hasOwn(known, name) ? known[name] : undefined;
  return meaning && { ...meaning, incidentId };
}

/** The largest PostgreSQL integer: what is beyond is no incident. */
const INCIDENT_ID_MAX = 2_147_483_647;

/** The block names the incident, and so does a button's value: both or neither. */
function incidentIdOf({ block_id, action_id, value }: PressedElement): number | undefined {
  const digits = BLOCK_ID.exec(block_id)?.[1];
  if (digits === undefined || Number(digits) > INCIDENT_ID_MAX) return undefined;
  return Object.hasOwn(BUTTONS, action_id) && value !== digits ? undefined : Number(digits);
}

export interface MessageOptions {
  redact: Redact;
  /** Whether a pressed button can reach us. */
  buttons: boolean;
}

/** So much of each part is shown (of the explanation, see explanation.ts): together they stay far below what Slack takes for one message. */
const SHOWN = { message: 900, consequences: 5, decisions: 8 };

/** What Slack is told about a view. It depends on nothing else, so that the same view is the same message. */
export function messageOf(view: View, { redact, buttons }: MessageOptions): Message {
  const texts = createTexts(redact);
  const shown = withVisibleNames(view);
  if (shown.kind === "notice") return noticeMessage(shown.notice, texts);
  return shown.kind === "incident" ? incidentMessage(shown.incident, texts, buttons) : stormMessage(shown.storm, texts);
}

/** An incident's message: what happened, why, what to do, what was decided, and what can be pressed. */
function incidentMessage(incident: IncidentView, texts: Texts, buttons: boolean): Message {
  const blocks = [
    header(titleOf(incident, texts)),
    section(summaryOf(incident, texts)),
    ...(incident.message.trim() === "" ? [] : [section(texts.code(incident.message, SHOWN.message))]),
    ...explanationBlocks(incident, texts, {
      withMenu: buttons,
      linkTo: (id) => linkTo({ ...incident, id }, "incident "),
    }),
    ...historyOf(incident),
    ...consequencesOf(incident, texts),
    ...decisionsOf(incident, texts),
    context(smallPrint(incident, texts)),
    ...actionsOf(incident, texts, buttons),
  ];
  return { text: spokenOf(incident, texts), blocks, metadata: metadataOf(incident) };
}

/** How an incident ended, where the message about it cannot be edited; `before` is where that one is. */
export function endMessage(view: View, { redact }: MessageOptions, before: string | null = null): Message {
  const texts = createTexts(redact);
  const shown = withVisibleNames(view);
  if (shown.kind === "notice") return noticeMessage(shown.notice, texts);
  if (shown.kind === "storm") return stormMessage(shown.storm, texts);
  const { incident } = shown;
  const decided = incident.decisions.findLast((one) => one.outcome !== null)?.outcome;
  const end = [incident.reason, decided].filter((one) => typeof one === "string").map((one) => texts.line(one, 500));
  const what = `*Resolved:* ${nameOf(incident, texts)}`;
  const blocks = [
    section([what, ...new Set(end)].join("\n")),
    context([linkTo(incident), ...(before === null ? [] : [link(before, "the message about it")])].join(" · ")),
  ];
  return { text: spokenOf(incident, texts), blocks, metadata: endMetadataOf(incident) };
}

/** Of an end: it is not the message that is found again by the other one. */
const endMetadataOf = ({ id }: IncidentView) => ({
  event_type: INCIDENT_END_EVENT,
  event_payload: { incident_id: id },
});
const metadataOf = ({ id }: IncidentView) => ({ event_type: INCIDENT_EVENT, event_payload: { incident_id: id } });

const SEVERITIES = { critical: "🔴 Critical", warning: "🟠 Warning", info: "🔵 Info" } as const;

function severityOf({ severity }: IncidentView): string {
  return severity === null ? "⚪ Incident" : SEVERITIES[severity];
}

function titleOf(incident: IncidentView, texts: Texts): string {
  const end = incident.status === "resolved" ? "✅ Resolved: " : "";
  return texts.plain(`${end}${severityOf(incident)} on ${incident.hostname ?? incident.agentId}`, LIMITS.header);
}

const nameOf = ({ source, type, hostname, agentId }: IncidentView, texts: Texts) =>
  `${texts.line(source, 200)} (${texts.line(type, 60)}) on ${texts.line(hostname ?? agentId, 200)}`;

function summaryOf(incident: IncidentView, texts: Texts): string {
  const { occurrences, createdAt, lastSeenAt } = incident;
  const often = occurrences > 1 ? `*${occurrences} times*, last ${moment(lastSeenAt)}` : "*once*";
  const flapping = incident.flapping;
  return [
    `*${texts.line(incident.source, 200)}* · ${texts.line(incident.type, 60)} · ${incident.status}`,
    `since ${moment(createdAt)} · ${often}`,
    ...(flapping ? [flappingOf(flapping)] : []),
  ].join("\n");
}

function flappingOf({ times, windowMs, wellSince }: NonNullable<IncidentView["flapping"]>): string {
  const often = `*Flapping:* opened ${times} times within ${durationWords(windowMs)}`;
  return wellSince ? `${often} · well since ${moment(wellSince)}: it is over once that has held` : often;
}

function historyOf({ learnt, previousId, parentId, url }: IncidentView): Block[] {
  const lines = [
    ...(learnt && learnt.tried > 0 ? [`Restart cleared this ${learnt.cleared} of ${times(learnt.tried)}.`] : []),
    ...(parentId === null ? [] : [`A consequence of ${linkTo({ id: parentId, url }, "incident ")}.`]),
    ...(previousId === null
      ? []
      : [`The same failure as ${linkTo({ id: previousId, url }, "incident ")}, which had ended.`]),
  ];
  return lines.length === 0 ? [] : [section(lines.join("\n"))];
}

const times = (count: number) => (count === 1 ? "1 time" : `${count} times`);

function consequencesOf({ consequences, consequencesTotal, url }: IncidentView, texts: Texts): Block[] {
  if (consequences.length === 0) return [];
  const shown = consequences.slice(-SHOWN.consequences);
  const total = Math.max(consequencesTotal, consequences.length);
  const lineOf = ({ id, source, message, reason }: (typeof shown)[number], nameOf: NameOf) => {
    const why = reason === null ? "" : ` (${texts.line(reason, 150)})`;
    return `• ${nameOf(id)} ${texts.line(source, 80)}: ${texts.line(message, 150)}${why}`;
  };
  const more = total > shown.length ? [`and ${total - shown.length} more`] : [];
  return [listOf(`*Consequences* (${total})`, shown, lineOf, more, url)];
}

/** Newest last; of many the latest. */
function decisionsOf({ decisions, status, reason, resolvedAt }: IncidentView, texts: Texts): Block[] {
  const lines = decisions.slice(-SHOWN.decisions).map((one) => {
    const asked = `${one.action} asked for by ${one.actorName}, ${one.ended ? one.state : "under way"}`;
    return `• ${texts.line(one.outcome ?? asked, 250)}`;
  });
  if (status === "resolved") {
    const when = resolvedAt === null ? "" : ` ${moment(resolvedAt)}`;
    lines.push(
      `*Resolved*${when}${reason === null ? "" : `: ${texts.line(reason.replace(/^resolved:?\s+/i, ""), 400)}`}`,
    );
  }
  return lines.length === 0 ? [] : [section(lines.join("\n"))];
}

function smallPrint({ id, why, url }: IncidentView, texts: Texts): string {
  return `${linkTo({ id, url })} · announced: ${texts.line(why, 500) || "it is new"}`;
}

/** More would leave too little room for what is to be said. */
const URL_CHARS_MAX = 1_000;

/** An incident's name, which leads to it where the page has an address. `url` is that of an incident, or of their list. */
function linkTo({ id, url }: Pick<IncidentView, "id" | "url">, word = "Incident "): string {
  const label = `${word}${id}`;
  if (url === null || url.length > URL_CHARS_MAX) return label;
  const list = url.replace(/\/\d+$/, "");
  return link(`${list}/${id}`, label);
}

type NameOf = (id: number) => string;

/** A list of incidents with a line for each; their names are links where there is room for that. */
function listOf<T>(
  title: string,
  shown: readonly T[],
  lineOf: (one: T, nameOf: NameOf) => string,
  more: readonly string[],
  url: string | null,
): Block {
  const textWith = (nameOf: NameOf) => [title, ...shown.map((one) => lineOf(one, nameOf)), ...more].join("\n");
  const linked = textWith((id) => linkTo({ id, url }, ""));
  return section(linked.length <= LIMITS.text ? linked : textWith(String));
}

function spokenOf(incident: IncidentView, texts: Texts): string {
  const state = incident.status === "resolved" ? "Resolved" : severityOf(incident);
  return `${state}: ${nameOf(incident, texts)}: ${texts.line(incident.message, 300)}`;
}

/** Whether nothing more is to come of it. */
export function isEnd(view: View): boolean {
  if (view.kind === "notice") return false;
  return view.kind === "incident" ? view.incident.status === "resolved" : view.storm.endedAt !== null;
}

/** The largest groups and the newest incidents; and so many characters of names that a whole message stays below what Slack takes. */
const STORM_SHOWN = { groups: 8, newest: 8, namesChars: 9_000 };

/** A storm's message: many incidents in one. */
function stormMessage(storm: StormView, texts: Texts): Message {
  const { total, open, startedAt, endedAt } = storm;
  const title = `${endedAt === null ? "🌩 Storm" : "✅ The storm is over"}: ${total} incidents, ${open} open`;
  const end = endedAt === null ? "it goes on; this message is kept up to date" : `until ${moment(endedAt)}`;
  const hosts = storm.byHost.map(({ hostname, count }) => [hostname, count] as const);
  const causes = storm.byCategory.map(({ category, count }) => [category, count] as const);
  const blocks = [
    header(texts.plain(title, LIMITS.header)),
    section(`So many incidents at once are told in one message.\nsince ${moment(startedAt)} · ${end}`),
    ...groups("By host", hosts, texts),
    ...groups("By cause", causes, texts),
    ...newestOf(storm, texts),
    ...namesOf(storm, texts),
    context(
      storm.url === null || storm.url.length > URL_CHARS_MAX ? `Storm ${storm.id}` : link(storm.url, "Open dashboard"),
    ),
  ];
  return { text: title, blocks, metadata: { event_type: STORM_EVENT, event_payload: { storm_id: storm.id } } };
}

function groups(title: string, rows: (readonly [string, number])[], texts: Texts): Block[] {
  if (rows.length === 0) return [];
  const shown = rows.slice(0, STORM_SHOWN.groups);
  const lines = shown.map(([name, count]) => `• ${texts.line(name, 100) || "unknown"}: ${count}`);
  const more = rows.length > shown.length ? [`and ${rows.length - shown.length} more`] : [];
  return [section([`*${title}*`, ...lines, ...more].join("\n"))];
}

/** All that it holds, a line for each host and kind, as far as it fits; the rest by a link. */
function namesOf({ held = [], total, url }: StormView, texts: Texts): Block[] {
  const sections = ["*All of them*, by host and kind"];
  let usedChars = 0;
  let named = 0;
  let group = "";
  for (const { id, hostname, kind, source } of held) {
    const begin = `\n• *${texts.line(hostname, 60)}* ${texts.line(kind, 40)}:`;
    const name = `${id} ${texts.line(source, 60)}`;
    const isFull = (sections.at(-1) ?? "").length + begin.length + name.length + 2 > LIMITS.text;
    const piece = begin === group && !isFull ? `, ${name}` : `${begin} ${name}`;
    if (usedChars + piece.length > STORM_SHOWN.namesChars) break;
    sections.push((isFull ? "" : (sections.pop() ?? "")) + piece);
    usedChars += piece.length;
    named++;
    group = begin;
  }
  if (named === 0) return [];
  const where = url === null || url.length > URL_CHARS_MAX ? "" : `: ${link(url, "Open dashboard")}`;
  const more = total > named ? [section(`and ${total - named} more${where}`)] : [];
  return [...sections.map((one) => section(one.trim())), ...more];
}

function newestOf({ newest, url }: StormView, texts: Texts): Block[] {
  if (newest.length === 0) return [];
  const shown = newest.slice(0, STORM_SHOWN.newest);
  const lineOf = ({ id, hostname, source, message, severity }: (typeof shown)[number], nameOf: NameOf) => {
    const where = `${texts.line(source, 80)} on ${texts.line(hostname ?? "unknown", 80)}`;
    const how = severity === null ? "" : `${texts.line(severity, 20)} `;
    return `• ${nameOf(id)} ${how}${where}: ${texts.line(message, 120)}`;
  };
  return [listOf("*Newest*", shown, lineOf, [], url)];
}
