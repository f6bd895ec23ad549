/**
 * PagerDuty by its Events API v2. An incident of ours is an alert there, known by a key that follows from its id: however often one
 * is triggered, acknowledged or resolved, it is one alert.
 */
import type { IncidentView, Notifier, StormView, View } from "../../announcements/model.ts";
import { apiAddressOf, neededPart } from "../api-host.ts";
import { callApi } from "../http.ts";
import type { OutletDeps, OutletKind } from "../model.ts";
import { identityOf } from "../posting.ts";
import { cut, hostOf, plainText, wordsOf } from "../words.ts";

const HOSTS = { us: "events.pagerduty.com", eu: "events.eu.pagerduty.com" };
/** They take 120 a minute for each key, at least. */
const INTERVAL_MS = 500;
const KEY = /^[A-Za-z0-9]{16,64}$/;
const LIMITS = { summary: 1_024, text: 8_000 };

type Action = "trigger" | "acknowledge" | "resolve";

/** Pages who is on call. */
export const pagerduty: OutletKind = {
  scheme: "pagerduty",
  form: "pagerduty://<integration key>[?region=eu]",
  params: ["region", "scheme"],
  open(url, deps) {
    const { base, rest } = apiAddressOf(url, HOSTS);
    const key = neededPart(rest[0], "the integration key", KEY);
    const call = { who: "PagerDuty", url: `${base}/v2/enqueue`, secrets: [key], isRepeatable: true };

    async function send(action: Action, view: View, signal: AbortSignal): Promise<void> {
      const body = { routing_key: key, event_action: action, dedup_key: dedupKeyOf(view) };
      const more = action === "trigger" ? alertOf(view, deps) : {};
      await callApi({ ...call, body: { ...body, ...more } }, { proxyOf: deps.proxyOf, signal });
    }

    return notifier(url.name, send);
  },
};

function notifier(outlet: string, send: (action: Action, view: View, signal: AbortSignal) => Promise<void>): Notifier {
  return {
    outlet,
    intervalMs: INTERVAL_MS,
    edits: true,
    repeats: false,
    endsAnew: false,
    // PagerDuty goes on to the next person by its own rules.
    reminds: false,
    async post(view, signal) {
      // Nobody is paged for a digest.
      if (view.kind === "notice") return { externalId: null };
      await send("trigger", view, signal);
      const action = actionOf(view);
      if (action !== "trigger") await send(action, view, signal);
      return { externalId: dedupKeyOf(view) };
    },
    async edit(_, view, signal) {
      // A storm's figures change every few seconds, and page nobody anew.
      if (view.kind === "notice" || (view.kind === "storm" && !isStormOver(view.storm))) return;
      await send(actionOf(view), view, signal);
    },
    find: async () => undefined,
    reply: null,
  };
}

const dedupKeyOf = (view: View) => `opspilot-${identityOf(view)}`;

/** What the alert there is to become. Who ignores an incident has seen it. */
function actionOf(view: View): Action {
  if (view.kind === "notice") return "trigger";
  if (view.kind === "storm") return isStormOver(view.storm) ? "resolve" : "trigger";
  const { status } = view.incident;
  if (status === "resolved") return "resolve";
  return status === "acknowledged" || status === "ignored" ? "acknowledge" : "trigger";
}

const isStormOver = ({ endedAt, open }: StormView) => endedAt !== null && open === 0;

const SEVERITIES = { critical: "critical", warning: "warning", info: "info" } as const;
const severityOf = (severity: IncidentView["severity"]) => (severity === null ? "error" : SEVERITIES[severity]);

function alertOf(view: View, { redact }: OutletDeps) {
  const words = wordsOf(view, redact);
  const links =
    words.url === null ? {} : { client_url: words.url, links: [{ href: words.url, text: "Open dashboard" }] };
  const summary = cut(words.title, LIMITS.summary);
  const details = { text: plainText(words, LIMITS.text, false) };
  return { client: "OpsPilot", ...links, payload: { summary, ...factsOf(view, details, redact) } };
}

function factsOf(view: View, details: Record<string, unknown>, redact: (text: string) => string) {
  if (view.kind !== "incident") {
    return { source: "opspilot", severity: view.kind === "storm" ? "critical" : "info", custom_details: details };
  }
  const { id, severity, source, type, explanation, createdAt, occurrences, status } = view.incident;
  return {
    source: redact(hostOf(view.incident)),
    severity: severityOf(severity),
    timestamp: createdAt.toISOString(),
    component: redact(cut(source, 255)),
    group: type,
    ...(explanation === null ? {} : { class: explanation.category }),
    custom_details: { ...details, incident_id: id, status, occurrences },
  };
}
