/**
 * Opsgenie by its Alert API. An incident of ours is an alert there, known by its alias: created again while it is open, it is counted
 * and nothing else. Requests are taken first and worked off later, in their order.
 */
import type { IncidentView, Notifier, View } from "../../announcements/model.ts";
import { apiAddressOf, neededPart } from "../api-host.ts";
import { type ApiCall, callApi } from "../http.ts";
import { type OutletDeps, type OutletKind, OutletUrlError } from "../model.ts";
import { identityOf } from "../posting.ts";
import { cut, hostOf, isOver, plainText, wordsOf } from "../words.ts";

const HOSTS = { us: "api.opsgenie.com", eu: "api.eu.opsgenie.com" };
const INTERVAL_MS = 500;
const KEY = /^[A-Za-z0-9-]{16,64}$/;
/** In the API's own words. */
const RESPONDER_TYPES: Readonly<Record<string, string>> = {
  "@": "user",
  "#": "team",
  "^": "escalation",
  "*": "schedule",
};
const RESPONDERS_MAX = 50;
const LIMITS = { message: 130, description: 15_000, entity: 512, note: 2_000 };

/** Alerts who is on call. */
export const opsgenie: OutletKind = {
  scheme: "opsgenie",
  form: "opsgenie://<API key>[/<@user>|<%23team>…][?region=eu]",
  params: ["region", "scheme"],
  open(url, deps) {
    const { base, rest } = apiAddressOf(url, HOSTS);
    const key = neededPart(rest[0], "the API key", KEY);
    const responders = rest.slice(1).map(responderOf);
    if (responders.length > RESPONDERS_MAX)
      throw new OutletUrlError(`there are more than ${RESPONDERS_MAX} responders`);
    return notifier(url.name, deps, responders, async (method, path, body, signal) => {
      const headers = { authorization: `GenieKey ${key}` };
      const call: ApiCall = {
        who: "Opsgenie",
        url: `${base}/v2/alerts${path}`,
        method,
        headers,
        body,
        secrets: [key],
        isRepeatable: true,
      };
      await callApi(call, { proxyOf: deps.proxyOf, signal });
    });
  },
};

/** "@user", "#team", "^escalation" or "*schedule", by name; without a mark it is a user. */
function responderOf(text: string) {
  const type = RESPONDER_TYPES[text.charAt(0)];
  const name = type === undefined ? text : text.slice(1);
  if (name === "") throw new OutletUrlError("a responder has no name");
  return type === undefined || type === "user" ? { type: "user", username: name } : { type, name };
}

type Call = (method: "POST" | "PUT", path: string, body: unknown, signal: AbortSignal) => Promise<void>;

function notifier(outlet: string, { redact }: OutletDeps, responders: readonly unknown[], call: Call): Notifier {
  const by = { source: "OpsPilot", user: "OpsPilot" };

  async function create(view: View, signal: AbortSignal): Promise<void> {
    const to = responders.length === 0 ? {} : { responders };
    await call("POST", "", { ...alertOf(view, redact), ...by, ...to }, signal);
  }

  async function change(view: View, signal: AbortSignal): Promise<void> {
    const at = (what: string) => `/${aliasOf(view)}/${what}?identifierType=alias`;
    const note = cut(plainText(wordsOf(view, redact), LIMITS.note), LIMITS.note);
    const state = stateOf(view);
    if (state === "over") return call("POST", at("close"), { ...by, note }, signal);
    if (state === "seen") return call("POST", at("acknowledge"), { ...by, note }, signal);
    const { description, priority } = alertOf(view, redact);
    await call("PUT", at("description"), { description }, signal);
    await call("PUT", at("priority"), { priority }, signal);
  }

  return {
    outlet,
    intervalMs: INTERVAL_MS,
    edits: true,
    repeats: false,
    endsAnew: false,
    // Opsgenie goes on to the next person by its own rules.
    reminds: false,
    async post(view, signal) {
      // Nobody is called for a digest.
      if (view.kind === "notice") return { externalId: null };
      await create(view, signal);
      if (stateOf(view) !== "open") await change(view, signal);
      return { externalId: aliasOf(view) };
    },
    async edit(_, view, signal) {
      if (view.kind === "notice" || (view.kind === "storm" && !isOver(view))) return;
      await change(view, signal);
    },
    find: async () => undefined,
    reply: null,
  };
}

const aliasOf = (view: View) => `opspilot-${identityOf(view)}`;

/** Who ignores an incident has seen it. A storm is over with its last incident. */
function stateOf(view: View): "open" | "seen" | "over" {
  if (view.kind === "storm") return isOver(view) && view.storm.open === 0 ? "over" : "open";
  if (view.kind === "notice" || view.incident.status === "new" || view.incident.status === "analyzed") return "open";
  return view.incident.status === "resolved" ? "over" : "seen";
}

const PRIORITIES = { critical: "P1", warning: "P3", info: "P5" } as const;
const priorityOf = (severity: IncidentView["severity"]) => (severity === null ? "P2" : PRIORITIES[severity]);

function alertOf(view: View, redact: (text: string) => string) {
  const words = wordsOf(view, redact);
  const isIncident = view.kind === "incident";
  return {
    message: cut(words.title, LIMITS.message),
    alias: aliasOf(view),
    description: plainText(words, LIMITS.description),
    priority: isIncident ? priorityOf(view.incident.severity) : "P1",
    tags: ["opspilot", ...(isIncident ? [view.incident.type] : [])],
    ...(isIncident ? { entity: cut(redact(hostOf(view.incident)), LIMITS.entity) } : {}),
    ...(words.url === null ? {} : { details: { url: words.url } }),
  };
}
