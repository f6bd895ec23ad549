/** The parts of Block Kit that are used here; Slack's own types would load its SDK's. */
export type PlainText = { type: "plain_text"; text: string; emoji: false };
export type Mrkdwn = { type: "mrkdwn"; text: string; verbatim: true };

/** What a person can press. A link only opens a page. */
export type Element =
  | {
      type: "button";
      action_id: string;
      text: PlainText;
      value?: string;
      url?: string;
      style?: "primary" | "danger";
      confirm?: Confirm;
    }
  | { type: "overflow"; action_id: string; options: Option[] };
export type Option = { text: PlainText; value: string; url?: string };
export type Confirm = { title: PlainText; text: PlainText; confirm: PlainText; deny: PlainText };

export type Block =
  | { type: "header"; text: PlainText }
  | { type: "section"; text: Mrkdwn; block_id?: string; accessory?: Element }
  | { type: "context"; elements: Mrkdwn[] }
  | { type: "actions"; block_id: string; elements: Element[] };

/** Slack's documented limits, in UTF-16 units. */
export const LIMITS = {
  text: 3_000,
  header: 150,
  button: 75,
  blocks: 50,
  url: 3_000,
  overflowOptions: 5,
  confirmText: 300,
} as const;

/** Text that Slack shows as it is. */
export function plainText(text: string): PlainText {
  return { type: "plain_text", text, emoji: false };
}

/** Text with markup of ours; `verbatim` keeps Slack from making links and mentions of its own out of what is in it. */
export function mrkdwn(text: string): Mrkdwn {
  return { type: "mrkdwn", text, verbatim: true };
}

/** A paragraph. */
export function section(text: string): Block {
  return { type: "section", text: mrkdwn(text) };
}

/** Small print. */
export function context(text: string): Block {
  return { type: "context", elements: [mrkdwn(text)] };
}

/** A title; never empty. */
export function header(text: string): Block {
  return { type: "header", text: plainText(text || "OpsPilot") };
}

/** A moment in the reader's own time zone, UTC where the date cannot be shown. */
export function moment(at: Date): string {
  return `<!date^${Math.floor(at.getTime() / 1000)}^{date_short_pretty} {time}|${at.toISOString()}>`;
}

/** A link of ours; a URL with characters of the markup is percent-encoded by URL. */
export function link(url: string, label: string): string {
  const href = new URL(url).href.replaceAll("&", "&amp;").replaceAll("|", "%7C").replaceAll(">", "%3E");
  return `<${href}|${label}>`;
}

/** A whole message: `text` is what notifications and screen readers say. */
export interface Message {
  readonly text: string;
  readonly blocks: Block[];
  readonly metadata: { event_type: string; event_payload: Record<string, number> };
}

/** Links in foreign text are not looked up. */
export const NOTHING_UNFURLED = { unfurl_links: false, unfurl_media: false } as const;

/** The metadata's name by which an incident's message is found again. */
export const INCIDENT_EVENT = "opspilot_incident";
/** The same of the message about its end, where that is one of its own. */
export const INCIDENT_END_EVENT = "opspilot_incident_end";
/** The same of a storm's. */
export const STORM_EVENT = "opspilot_storm";
/** The same of a notice's. */
export const NOTICE_EVENT = "opspilot_notice";
