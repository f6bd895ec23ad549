/** Pushover: notifications on people's devices. It can neither edit nor look; an end is a notification of its own. */
import type { Notifier, View } from "../../announcements/model.ts";
import { reach } from "../../lib/bounded-fetch.ts";
import { DeliveryError } from "../../lib/errors.ts";
import { flagOf, hostedBase, neededPart } from "../api-host.ts";
import { callApi, type WaitOf } from "../http.ts";
import type { OutletDeps, OutletKind } from "../model.ts";
import { identityOf } from "../posting.ts";
import { cut, isOver, plainText, wordsOf } from "../words.ts";

const HOST = "api.pushover.net";
/** They ask for no more than two at a time. */
const INTERVAL_MS = 500;
const KEY = /^[A-Za-z0-9]{20,40}$/;
const DEVICE = /^[A-Za-z0-9_-]{1,25}$/;
const LIMITS = { title: 250, message: 1_024, url: 512 };
/** An emergency sounds this often, for so long, or until somebody confirms it. */
const EMERGENCY = { priority: 2, retry: 60, expire: 3_600 };

/** Notifies people's devices. */
export const pushover: OutletKind = {
  scheme: "pushover",
  form: "pushover://<application token>@<user or group key>[/<device>…][?emergency=yes]",
  params: ["devices", "api", "scheme", "emergency"],
  open(url, deps) {
    // Shoutrrr writes `pushover://shoutrrr:<token>@<user key>`.
    const token = neededPart(url.password || url.user, "the application token", KEY);
    const user = neededPart(url.host, "the user key", KEY);
    const named = url.segments.length > 0 ? url.segments : (url.params.get("devices") ?? "").split(",");
    const devices = named.filter((one) => one !== "").map((one) => neededPart(one, "the device", DEVICE));
    const options: Options = {
      base: hostedBase(url, HOST),
      keys: { token, user, ...(devices.length > 0 ? { device: devices.join(",") } : {}) },
      hasEmergencies: flagOf(url, "emergency"),
    };
    return notifier(url.name, options, deps);
  },
};

interface Options {
  base: string;
  keys: { token: string; user: string; device?: string };
  hasEmergencies: boolean;
}

function notifier(outlet: string, { base, keys, hasEmergencies }: Options, deps: OutletDeps): Notifier {
  const secrets = [keys.token, keys.user];

  async function call(path: string, body: unknown, isRepeatable: boolean, signal: AbortSignal): Promise<void> {
    const asked = { who: "Pushover", url: `${base}/1/${path}.json`, body, secrets, isRepeatable };
    const answer = await callApi(asked, { proxyOf: deps.proxyOf, signal, waitOf: waitUntilReset(deps) });
    if (answer.status !== 1)
      throw new DeliveryError("unknown", "Pushover's answer does not say that it took the message");
  }

  const isEmergency = (view: View) =>
    hasEmergencies && view.kind === "incident" && view.incident.severity === "critical";

  return {
    outlet,
    intervalMs: INTERVAL_MS,
    edits: false,
    reach: (signal) => reach("Pushover", base, deps.proxyOf, signal),
    async post(view, signal) {
      const rings = isEmergency(view);
      if (rings && isOver(view)) {
        await call(`receipts/cancel_by_tag/${tagOf(view)}`, { token: keys.token }, true, signal);
      }
      const message = messageOf(view, deps, rings && !isOver(view));
      await call("messages", { ...keys, ...message }, false, signal);
      return { externalId: null };
    },
    edit: () => Promise.reject(new DeliveryError("never", "a notification cannot be edited")),
    find: async () => undefined,
    reply: null,
  };
}

const tagOf = (view: View) => `opspilot-${identityOf(view)}`;

/** A month's messages are used up: it says when the next month begins, in Unix seconds. */
function waitUntilReset({ clock }: OutletDeps): WaitOf {
  return (headers) => {
    const seconds = Number(headers.get("retry-after") ?? Number.NaN);
    if (Number.isFinite(seconds)) return seconds * 1_000;
    const resetS = Number(headers.get("x-limit-app-reset") ?? Number.NaN);
    return Number.isFinite(resetS) ? resetS * 1_000 - clock.now() : null;
  };
}

function messageOf(view: View, { redact }: OutletDeps, isEmergency: boolean) {
  const words = wordsOf(view, redact);
  const url =
    words.url !== null && words.url.length <= LIMITS.url ? { url: words.url, url_title: "Open dashboard" } : {};
  return {
    title: cut(words.title, LIMITS.title),
    message: plainText(words, LIMITS.message, false) || "(no more is known)",
    ...url,
    ...(isEmergency ? { ...EMERGENCY, tags: tagOf(view) } : { priority: priorityOf(view) }),
  };
}

/** Without being asked for, nothing rings until somebody confirms it. */
function priorityOf(view: View): number {
  if (isOver(view) || view.kind === "notice") return 0;
  if (view.kind === "storm" || view.incident.severity === "critical") return 1;
  return view.incident.severity === "info" ? -1 : 0;
}
