import type { Sql } from "postgres";
import type { AnnouncementService, Notifier } from "../announcements/model.ts";
import type { SlackSettings } from "../config.ts";
import type { DecisionReader, DecisionService } from "../decisions/model.ts";
import type { Clock } from "../lib/clock.ts";
import { sha256Hex } from "../lib/hash.ts";
import { jsonOf } from "../lib/json.ts";
import type { Log } from "../lib/log.ts";
import type { Loops } from "../lib/loops.ts";
import { createCallbackStore } from "./callback-store.ts";
import { createInteractions, type Interactions } from "./interactions.ts";
import { createPeople } from "./people.ts";
import { createWhisper } from "./response-url.ts";
import { type SignatureVerdict, type SignedCallback, verifySignature } from "./signature.ts";
import { createSocketReceiver, type SocketReceiver } from "./socket-mode.ts";
import type { Redact } from "./text.ts";
import { type SlackTransport, transportOf } from "./transport.ts";
import { createWebApi, type WebApi } from "./web-api.ts";
import { createWebApiNotifier } from "./web-api-notifier.ts";
import { createWebhookNotifier } from "./webhook-notifier.ts";
import { createWorkspace, type Workspace } from "./workspace.ts";

export interface SlackDeps {
  settings: SlackSettings;
  redact: Redact;
  clock: Clock;
  log: Log;
}

/** What became of a callback that came over HTTP. */
export type CallbackOutcome =
  | { ok: true }
  | Exclude<SignatureVerdict, { ok: true }>
  | { ok: false; reason: "replayed"; message: string };

/** Slack as the settings have it. Its SDKs are loaded when they are first needed. */
export interface Slack {
  /** For the start of the server: one line, without a secret. */
  readonly description: string;
  /** Null when nothing is posted to Slack. */
  readonly notifier: Notifier | null;
  /** Takes pressed buttons, and decides with these. Null where none can come. */
  receiver(services: SlackServices): SlackReceiver | null;
}

/** What a pressed button needs of others. */
export interface SlackServices {
  readonly announcements: Pick<AnnouncementService, "incidentOf" | "isInFlight" | "reply">;
  readonly decisions: DecisionService & DecisionReader;
  readonly sql: Sql;
  readonly loops: Loops;
}

/** Where pressed buttons come in. */
export interface SlackReceiver {
  /** For `POST /v1/slack/interactions`; null without a signing secret. Throws when the database is away. */
  readonly callback: ((callback: SignedCallback) => Promise<CallbackOutcome>) | null;
  start(): void;
  stop(): Promise<void>;
}

/** Makes the way to Slack. Nothing is connected and no SDK loaded yet. */
export function createSlack(deps: SlackDeps): Slack {
  const { settings } = deps;
  const connection = transportOf(settings);
  const api = settings.token === null ? null : createWebApi({ token: settings.token, apiUrl: settings.apiUrl });
  const workspace = api && createWorkspace(api, settings.channel);
  return {
    description: connection.description,
    notifier: notifierOf(deps, connection, api, workspace),
    receiver(services) {
      if (connection.buttons === "none") return null;
      const interactions = interactionsOf({ ...deps, ...services }, connection, api, workspace);
      return receiverOf(deps, interactions);
    },
  };
}

function notifierOf(
  { settings, redact, log }: SlackDeps,
  { posting, buttons }: SlackTransport,
  api: WebApi | null,
  workspace: Workspace | null,
): Notifier | null {
  const options = { redact, buttons: buttons !== "none" };
  if (posting.by === "webhook") return createWebhookNotifier({ ...options, url: posting.url });
  if (posting.by === "none" || api === null || workspace === null) return null;
  return createWebApiNotifier({ ...options, api, workspace, apiUrl: settings.apiUrl, log });
}

function interactionsOf(
  deps: SlackDeps & SlackServices,
  { posting }: SlackTransport,
  api: WebApi | null,
  workspace: Workspace | null,
): Interactions {
  const { settings, clock, sql, announcements } = deps;
  return createInteractions({
    ...deps,
    callbacks: createCallbackStore(sql),
    reply: (...reply) => announcements.reply(sql, ...reply),
    teamId: async (signal) => (workspace ? (await workspace.identity(signal)).teamId : teamOfWebhook(settings)),
    channelId: async (signal) => (posting.by === "web-api" ? workspace?.channelId(signal) : undefined),
    knowsMessages: posting.by === "web-api",
    people: createPeople({ api, allowedUsers: settings.allowedUsers, clock }),
    whisper: createWhisper({ ...deps, apiUrl: settings.apiUrl }),
  });
}

/** A webhook's path begins with the team's id: /services/T…/B…/secret. */
function teamOfWebhook({ webhookUrl }: SlackSettings): string {
  return /\/services\/(T[A-Z0-9]+)\//.exec(webhookUrl ?? "")?.[1] ?? "unknown";
}

function receiverOf({ settings, clock, log }: SlackDeps, interactions: Interactions): SlackReceiver {
  const { appToken, signingSecret, apiUrl } = settings;

  /** An envelope whose acknowledgement was lost comes again, perhaps to another node. */
  async function takeEnvelope(payload: unknown, envelopeId: string): Promise<void> {
    await interactions.take(sha256Hex(`envelope:${envelopeId}`), payload);
  }

  async function takeCallback(secret: string, callback: SignedCallback): Promise<CallbackOutcome> {
    const verdict = verifySignature(secret, callback, clock.now());
    if (!verdict.ok) return verdict;
    if (await interactions.take(verdict.hash, payloadOf(callback.body))) return { ok: true };
    return { ok: false, reason: "replayed", message: "the callback was taken before" };
  }

  const socket: SocketReceiver | null =
    appToken === null ? null : createSocketReceiver({ appToken, apiUrl, clock, log, receive: takeEnvelope });
  return {
    callback: signingSecret === null ? null : (callback) => takeCallback(signingSecret, callback),
    start() {
      interactions.start();
      socket?.start();
    },
    async stop() {
      await socket?.stop();
      await interactions.stop();
    },
  };
}

/** The form's `payload`, JSON; undefined when there is none, which is nothing to act on. */
function payloadOf(body: string): unknown {
  const text = new URLSearchParams(body).get("payload");
  return text === null ? undefined : jsonOf(text);
}
