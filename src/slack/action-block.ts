import type { IncidentView } from "../announcements/model.ts";
import type { DecisionAction, IgnoreVariant } from "../protocol/actions.ts";
import { type Block, type Element, LIMITS, type Option, plainText } from "./blocks.ts";
import type { Texts } from "./text.ts";

/** What a pressed element means. Null: nothing is decided by it, it only opened a page. */
export interface Meaning {
  readonly action: DecisionAction;
  readonly variant: IgnoreVariant | null;
}

const BLOCK_ID = /^opspilot_incident_([1-9]\d{0,9})$/;

/** The action ids of buttons; their values hold the incident's id only. */
const BUTTONS: Readonly<Record<string, Meaning>> = {
  opspilot_restart: { action: "restart", variant: null },
  opspilot_logs: { action: "logs", variant: null },
  opspilot_ignore: { action: "ignore", variant: "until_resolved" },
};
const MENU = "opspilot_more";

/** The values of the menu's options; the block's id names the incident. */
const OPTIONS: Readonly<Record<string, Meaning>> = {
  acknowledge: { action: "acknowledge", variant: null },
  resolve: { action: "resolve", variant: null },
  ignore_1h: { action: "ignore", variant: "1h" },
  ignore_until_worse: { action: "ignore", variant: "until_worse" },
  ignore_for_good: { action: "ignore", variant: "for_good" },
};
const OPEN = "open";

/** What can be pressed under an incident's message now; none where nothing can. */
export function actionsOf(incident: IncidentView, texts: Texts, withButtons: boolean): Block[] {
  const { can } = incident;
  const value = String(incident.id);
  const elements: Element[] = [];
  if (withButtons && can.restart) elements.push(restartButton(incident, texts));
  if (withButtons && can.logs) elements.push(button("opspilot_logs", "Logs", { value }));
  if (withButtons && can.ignore) elements.push(button("opspilot_ignore", "Ignore", { value }));
  const options = withButtons ? optionsOf(can) : [];
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

function optionsOf(can: IncidentView["can"]): Option[] {
  return [
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
export interface PressedElement {
  readonly action_id: string;
  readonly block_id: string;
  readonly value?: string | undefined;
  readonly selected_option?: { readonly value: string } | null | undefined;
}

/** What was decided, about which incident; null when a page was opened; undefined when the element is none of ours. */
export function meaningOf(pressed: PressedElement): (Meaning & { incidentId: number }) | null | undefined {
  const incidentId = incidentIdOf(pressed);
  if (incidentId === undefined) return undefined;
  const name = pressed.action_id === MENU ? pressed.selected_option?.value : pressed.action_id;
  if (name === OPEN || name === "opspilot_open") return null;
  const known = pressed.action_id === MENU ? OPTIONS : BUTTONS;
  const meaning = name !== undefined && Object.hasOwn(known, name) ? known[name] : undefined;
  return meaning && { ...meaning, incidentId };
}

/** The block names the incident, and so does a button's value: both or neither. */
function incidentIdOf({ block_id, action_id, value }: PressedElement): number | undefined {
  const digits = BLOCK_ID.exec(block_id)?.[1];
  if (digits === undefined) return undefined;
  return Object.hasOwn(BUTTONS, action_id) && value !== digits ? undefined : Number(digits);
}
