/**
 * A webhook as an outlet: each event is one POST of JSON, signed, and tried again until it is taken.
 *
 *   X-OpsPilot-Event      the event's name
 *   X-OpsPilot-Delivery   an id, the same for each try of an announcement
 *   X-OpsPilot-Timestamp  Unix seconds, when it was sent: refuse what is older than five minutes
 *   X-OpsPilot-Signature  v1=<hex>, HMAC-SHA256 with WEBHOOK_SECRET over `<timestamp>.<body>`
 */
import { createHmac } from "node:crypto";
import type { IncidentView, NoticeView, Notifier, StormView, View } from "../announcements/model.ts";
import { createFetch, direct, type Fetch, type ProxyOf } from "../lib/bounded-fetch.ts";
import type { Clock } from "../lib/clock.ts";
import { DeliveryError, errorMessage } from "../lib/errors.ts";
import { hashUuid } from "../lib/hash.ts";

const INTERVAL_MS = 50;
const CALL_LIMIT_MS = 10_000;
const RETRY_AFTER_MS_MAX = 3_600_000;

interface WebhookDeps {
  url: string;
  secret: string;
  redact: (text: string) => string;
  clock: Clock;
  proxyOf?: ProxyOf;
}

/** The webhook. Its receiver knows an announcement again by its delivery's id, so that one may be sent twice. */
export function createWebhookNotifier(deps: WebhookDeps): Notifier {
  const tell = (view: View, isFirst: boolean, signal: AbortSignal) =>
    send(deps, eventOf(view, isFirst, new Date(deps.clock.now()), deps.redact), signal);

  return {
    outlet: "webhook",
    intervalMs: INTERVAL_MS,
    edits: true,
    repeats: false,
    endsAnew: false,
    async post(view, signal) {
      await tell(view, true, signal);
      return { externalId: null };
    },
    edit: (_, view, signal) => tell(view, false, signal),
    find: async () => undefined,
    reply: null,
  };
}

/** The signature's header for a body that is sent at `timestamp`. */
function signatureOf(secret: string, timestamp: string, body: string): string {
  return `v1=${createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex")}`;
}

async function send(deps: WebhookDeps, event: WebhookEvent, signal: AbortSignal): Promise<void> {
  const timestamp = String(Math.floor(deps.clock.now() / 1000));
  const response = await exchange(createFetch(deps.proxyOf ?? direct), deps.url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "user-agent": "opspilot",
      "x-opspilot-event": event.name,
      "x-opspilot-delivery": event.delivery,
      "x-opspilot-timestamp": timestamp,
      "x-opspilot-signature": signatureOf(deps.secret, timestamp, event.body),
    },
    body: event.body,
    redirect: "manual",
    signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_LIMIT_MS)]),
  });
  judge(response);
}

/** Whether it came through is not known when this fails, and does not matter: it may come twice. */
async function exchange(send: Fetch, url: string, init: BunFetchRequestInit): Promise<Response> {
  try {
    const response = await send(url, init);
    // Its answer is its status; a body, however long, is not read.
    await response.body?.cancel();
    return response;
  } catch (error) {
    throw new DeliveryError("later", `the webhook did not answer: ${errorMessage(error)}`);
  }
}

function judge(response: Response): void {
  const { status } = response;
  if (status >= 200 && status < 300) return;
  const message = `the webhook answered ${status}`;
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    throw new DeliveryError("later", message, retryAfterMs(response.headers.get("retry-after")));
  }
  throw new DeliveryError("never", status >= 300 && status < 400 ? `${message}: redirects are not followed` : message);
}

/** Seconds, as programs say it; a date is not worth a second clock to compare with. */
function retryAfterMs(header: string | null): number | null {
  const seconds = header === null || header.trim() === "" ? Number.NaN : Number(header);
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1000, RETRY_AFTER_MS_MAX) : null;
}

/**
 * What a webhook is told. Events only grow: a receiver ignores what it does not know.
 *
 *   incident.announced  people are told of an incident; `incident.status` is resolved where it ended before that
 *   incident.updated    its state, severity, explanation, decisions, consequences or what people said of it changed; a counter alone is no event
 *   incident.resolved   it is over; comes again when something of it changes after that
 *   storm.announced     a storm: many incidents that get no event of their own
 *   storm.updated       the storm's figures, every few seconds
 *   storm.ended         the storm is over; comes again while its incidents end
 *   notice              a title and lines: the daily digest, or, with an `incident_id`, that nobody has taken that one up
 */
type EventName =
  | "incident.announced"
  | "incident.updated"
  | "incident.resolved"
  | "storm.announced"
  | "storm.updated"
  | "storm.ended"
  | "notice";

/** An event, as it is sent. */
interface WebhookEvent {
  name: EventName;
  /** The same for each try; a receiver that has seen it need not look again. */
  delivery: string;
  body: string;
}

/** Makes the event; everything that somebody wrote passes `redact`. */
function eventOf(view: View, isFirst: boolean, at: Date, redact: (text: string) => string): WebhookEvent {
  const name = nameOf(view, isFirst);
  const delivery = deliveryOf(name, view);
  const subject = subjectOf(view, redact);
  return { name, delivery, body: JSON.stringify({ event: name, delivery, sent_at: at, ...subject }) };
}

function subjectOf(view: View, redact: (text: string) => string) {
  if (view.kind === "notice") return { notice: noticeOf(view.notice, redact) };
  if (view.kind === "storm") return { storm: stormOf(view.storm, redact) };
  return { incident: incidentOf(view.incident, redact) };
}

function nameOf(view: View, isFirst: boolean): EventName {
  if (view.kind === "notice") return "notice";
  if (isFirst) return view.kind === "incident" ? "incident.announced" : "storm.announced";
  if (view.kind === "storm") return view.storm.endedAt === null ? "storm.updated" : "storm.ended";
  return view.incident.status === "resolved" ? "incident.resolved" : "incident.updated";
}

/** An incident is announced once, whoever tries again; but it may be in one state twice, and both are news. */
function deliveryOf(name: EventName, view: View): string {
  if (view.kind === "notice") return hashUuid(`${name} ${view.notice.id}`);
  const id = view.kind === "incident" ? view.incident.id : view.storm.id;
  return name.endsWith(".announced") ? hashUuid(`${name} ${id}`) : crypto.randomUUID();
}

function incidentOf(incident: IncidentView, redact: (text: string) => string) {
  const { id, agentId, url, parentId, previousId, createdAt, lastSeenAt, resolvedAt, can, ...words } = incident;
  const { explanation, flapping, consequencesTotal, decisions, earlierFeedback, ...rest } = words;
  const { fixCommand, ...explained } = explanation ?? { fixCommand: null };
  const told = {
    ...rest,
    explanation: explanation && { ...explained, fix_command: fixCommand },
    flapping: flapping && {
      times: flapping.times,
      window_s: flapping.windowMs / 1000,
      well_since: flapping.wellSince?.toISOString() ?? null,
    },
    consequences_total: consequencesTotal,
    earlier_feedback: earlierFeedback,
    decisions: decisions.map(({ action, variant, actorName: actor, state, outcome, requestedAt }) => {
      return { action, variant, actor, state, outcome, requested_at: requestedAt.toISOString() };
    }),
  };
  return {
    id,
    agent_id: agentId,
    ...redacted(told, redact),
    parent_id: parentId,
    previous_id: previousId,
    created_at: createdAt,
    last_seen_at: lastSeenAt,
    resolved_at: resolvedAt,
    url,
  };
}

function noticeOf({ id, title, lines, incidentId, url }: NoticeView, redact: (text: string) => string) {
  return { id, ...redacted({ title, lines }, redact), incident_id: incidentId, url };
}

function stormOf(storm: StormView, redact: (text: string) => string) {
  const { id, url, total, open, startedAt: started_at, endedAt: ended_at, ...lists } = storm;
  const { byHost, byCategory, newest, held = [] } = lists;
  const urlOf = (incidentId: number) => (url === null ? null : `${url}/${incidentId}`);
  const told = redacted({ by_host: byHost, by_category: byCategory, newest, incidents: held }, redact);
  const linked = told.newest.map((one) => ({ ...one, url: urlOf(one.id) }));
  return { id, started_at, ended_at, total, open, ...told, newest: linked, url };
}

/** The same value with every text in it redacted. */
function redacted<T extends object>(value: T, redact: (text: string) => string): T {
  return JSON.parse(JSON.stringify(value), (_, one) => (typeof one === "string" ? redact(one) : one)) as T;
}
