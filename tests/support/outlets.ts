import { redact } from "../../src/analysis/redact.ts";
import type { IncidentView, View } from "../../src/announcements/model.ts";
import type { OutletUrl } from "../../src/config/notify.ts";
import { direct } from "../../src/lib/bounded-fetch.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import type { OutletDeps } from "../../src/outlets/model.ts";
import { createSlack } from "../../src/slack/slack.ts";
import { createWebhookNotifier } from "../../src/webhook/notifier.ts";
import { quiet } from "./log.ts";
import { incidentView } from "./slack-views.ts";

/** A call that a stand-in was asked. */
export interface ApiRequest {
  method: string;
  path: string;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: JSON as the service sees it
  body: any;
}

/** Stands in for a service's API: what is queued is answered first, then what `usual` says. */
export function startApi(usual: (request: ApiRequest) => Response) {
  const calls: ApiRequest[] = [];
  const answers: ((request: ApiRequest) => Response)[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const text = await request.text();
      const body = text === "" ? null : JSON.parse(text);
      const call = { method: request.method, path: pathname + search, headers: request.headers, body };
      calls.push(call);
      return (answers.shift() ?? usual)(call);
    },
  });
  return { port: server.port ?? 0, calls, answers, stop: () => server.stop(true) };
}

/** A URL's parts, as NOTIFY's line is taken apart. */
export function outletUrl(parts: Partial<Omit<OutletUrl, "params">> & { params?: Record<string, string> }): OutletUrl {
  const { params = {}, ...rest } = parts;
  const url = { name: "test", scheme: "test", user: "", password: "", host: "", port: null, segments: [] };
  return { ...url, ...rest, params: new URLSearchParams(params) } as OutletUrl;
}

const OUTWARD = { redact, clock: createSystemClock(), log: quiet, proxyOf: direct };

/** What an outlet needs of the server, with the real redaction. */
export function outletDeps(changes: Partial<OutletDeps> = {}): OutletDeps {
  return {
    ...OUTWARD,
    publicUrl: "https://ops.example.com",
    createSlack: (settings) => createSlack({ ...OUTWARD, settings }).notifier,
    createWebhook: (settings) => createWebhookNotifier({ ...OUTWARD, ...settings }),
    ...changes,
  };
}

/** An incident as outlets are told of it, with a secret and markup in what somebody wrote. */
export function told(changes: Partial<IncidentView> = {}): View {
  const message = 'bind() failed <b>"80"</b> @room\r\nBcc: all@example.com\r\npassword=hunter2hunter2';
  return { kind: "incident", incident: incidentView({ decisions: [], message, ...changes }) };
}
