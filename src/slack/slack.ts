import type { Sql } from "postgres";
import type { AnalysisService } from "../analysis/model.ts";
import type { AnnouncementService, Notifier } from "../announcements/model.ts";
import type { SlackSettings } from "../config.ts";
import type { DecisionService } from "../decisions/model.ts";
import type { FeedbackService } from "../feedback/model.ts";
import { direct, type ProxyOf } from "../lib/bounded-fetch.ts";
import type { Clock } from "../lib/clock.ts";
import { sha256Hex } from "../lib/hash.ts";
import { jsonOf } from "../lib/json.ts";
import type { Log } from "../lib/log.ts";
import type { Loops } from "../lib/loops.ts";
import { createCallbackStore, type SignedCallback, verifySignature } from "./callback-store.ts";
import { createOpenDialog } from "./feedback-dialog.ts";
import { createInteractions, createPeople, createWhisper, type Interactions } from "./interactions.ts";
import { createWebApiNotifier, createWebhookNotifier } from "./notifiers.ts";
import { createSocketReceiver } from "./socket-mode.ts";
import type { Redact } from "./text.ts";
import { type SlackTransport, transportOf } from "./transport.ts";
import { createWebApi, createWorkspace, type WebApi, type Workspace } from "./web-api.ts";

export interface SlackDeps {
  settings: SlackSettings;
  redact: Redact;
  clock: Clock;
  log: Log;
  /** None is asked where it is not given. */
  proxyOf?: ProxyOf;
}

/** What a pressed button needs of others. */
interface SlackServices {
  readonly announcements: Pick<AnnouncementService, "incidentOf" | "isInFlight" | "reply">;
  readonly decisions: DecisionService;
  readonly feedback: Pick<FeedbackService, "give">;
  /** The kinds of causes that a person may choose from. */
  readonly categories: readonly string[];
  readonly analysis: Pick<AnalysisService, "investigate" | "hasInvestigation">;
  readonly sql: Sql;
  readonly loops: Loops;
}

/** Slack as the settings have it. Nothing is connected yet, and its SDKs are loaded when they are first needed. */
export function createSlack(deps: SlackDeps) {
  const { settings } = deps;
  const connection = transportOf(settings);
  const api =
    settings.token === null
      ? null
      : createWebApi({ ...settings, token: settings.token, proxyOf: deps.proxyOf ?? direct });
  const workspace = api && createWorkspace(api, settings.channel);
  return {
    /** For the start of the server: one line, without a secret. */
    description: connection.description,
    /** Null when nothing is posted to Slack. */
    notifier: notifierOf(deps, connection, api, workspace),
    /** Takes pressed buttons, and decides with these. Null where none can come. */
    receiver(services: SlackServices) {
      if (connection.buttons === "none") return null;
      const interactions = interactionsOf({ ...deps, ...services }, connection, api, workspace);
      return receiverOf(deps, interactions);
    },
  };
}

function notifierOf(
  { settings, redact, log, proxyOf = direct }: SlackDeps,
  { posting, buttons }: SlackTransport,
  api: WebApi | null,
  workspace: Workspace | null,
): Notifier | null {
  const options = { redact, buttons: buttons !== "none" };
  if (posting.by === "webhook") return createWebhookNotifier({ ...options, url: posting.url, proxyOf });
  if (posting.by === "none" || api === null || workspace === null) return null;
  return createWebApiNotifier({ ...options, api, workspace, apiUrl: settings.apiUrl, log });
}

const LOOKING = "A model looks into it; what it asks the host and what it finds is told beneath the message.";

function interactionsOf(
  deps: SlackDeps & SlackServices,
  { posting }: SlackTransport,
  api: WebApi | null,
  workspace: Workspace | null,
): Interactions {
  const { settings, clock, sql, announcements, categories, analysis } = deps;
  return createInteractions({
    ...deps,
    callbacks: createCallbackStore(sql),
    reply: (...reply) => announcements.reply(sql, ...reply),
    async investigate(request) {
      const outcome = await analysis.investigate(request);
      return { ok: outcome.ok, text: outcome.ok ? LOOKING : `Nothing was done: ${outcome.message}.` };
    },
    isInvestigation: (id) => analysis.hasInvestigation(id),
    teamId: async (signal) => (workspace ? (await workspace.identity(signal)).teamId : teamOfWebhook(settings)),
    channelId: async (signal) => (posting.by === "web-api" ? workspace?.channelId(signal) : undefined),
    openDialog: api && createOpenDialog(api, categories),
    knowsMessages: posting.by === "web-api",
    people: createPeople(api, settings.allowedUsers, clock),
    whisper: createWhisper({ ...deps, apiUrl: settings.apiUrl, proxyOf: deps.proxyOf ?? direct }),
  });
}

/** A webhook's path begins with the team's id: /services/T…/B…/secret. */
function teamOfWebhook({ webhookUrl }: SlackSettings): string {
  return /\/services\/(T[A-Z0-9]+)\//.exec(webhookUrl ?? "")?.[1] ?? "unknown";
}

/** Where pressed buttons come in. */
export type SlackReceiver = ReturnType<typeof receiverOf>;

function receiverOf({ settings, clock, log, proxyOf = direct }: SlackDeps, interactions: Interactions) {
  const { appToken, signingSecret, apiUrl } = settings;

  /** An envelope whose acknowledgement was lost comes again, perhaps to another node. */
  async function takeEnvelope(payload: unknown, envelopeId: string): Promise<void> {
    await interactions.take(sha256Hex(`envelope:${envelopeId}`), payload);
  }

  async function takeCallback(secret: string, callback: SignedCallback) {
    const verdict = verifySignature(secret, callback, clock.now());
    if (!verdict.ok || (await interactions.take(verdict.hash, payloadOf(callback.body)))) return verdict;
    return { ok: false, reason: "replayed", message: "the callback was taken before" } as const;
  }

  const socket = appToken && createSocketReceiver({ appToken, apiUrl, proxyOf, clock, log, receive: takeEnvelope });
  return {
    /** For `POST /v1/slack/interactions`; null without a signing secret. Throws when the database is away. */
    callback: signingSecret === null ? null : (callback: SignedCallback) => takeCallback(signingSecret, callback),
    start() {
      interactions.start();
      if (socket) socket.start();
    },
    async stop() {
      if (socket) await socket.stop();
      await interactions.stop();
    },
  };
}

/** The form's `payload`, JSON; undefined when there is none, which is nothing to act on. */
function payloadOf(body: string): unknown {
  const text = new URLSearchParams(body).get("payload");
  return text === null ? undefined : jsonOf(text);
}
