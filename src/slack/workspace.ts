import { DeliveryError } from "../lib/errors.ts";
import type { WebApi } from "./web-api.ts";

/** Who we are, by auth.test. */
export interface OwnIdentity {
  readonly teamId: string;
  readonly botId: string | null;
  readonly team: string;
}

/** What does not change while the server runs, asked for once and kept. A failure is not kept. */
export interface Workspace {
  identity(signal: AbortSignal): Promise<OwnIdentity>;
  /** Where to post: the channel's id, or its name, which Slack takes there as well. */
  target(): string;
  /** The id of the channel that the settings name by id or name. */
  channelId(signal: AbortSignal): Promise<string>;
  /** Slack said the channel's id with an answer, so that it need not be looked for. */
  learnt(channelId: string): void;
}

/** Names of channels have no capital letters. */
const CHANNEL_ID = /^[CGD][A-Z0-9]+$/;
const PAGE = 1_000;
/** A workspace with more channels than this must name its channel by id. */
const PAGES_MAX = 20;

/** Asks Slack who we are and where we post. */
export function createWorkspace(api: WebApi, channel: string | null): Workspace {
  let identity: OwnIdentity | undefined;
  let channelId = channel !== null && CHANNEL_ID.test(channel) ? channel : undefined;
  return {
    async identity(signal) {
      identity ??= await askIdentity(api, signal);
      return identity;
    },
    target() {
      if (channel === null) throw new DeliveryError("never", "SLACK_CHANNEL is not set");
      return channelId ?? `#${channel.replace(/^#/, "")}`;
    },
    learnt(id) {
      channelId ??= id;
    },
    async channelId(signal) {
      if (channel === null) throw new DeliveryError("never", "SLACK_CHANNEL is not set");
      channelId ??= await findChannel(api, channel.replace(/^#/, ""), signal);
      return channelId;
    },
  };
}

async function askIdentity(api: WebApi, signal: AbortSignal): Promise<OwnIdentity> {
  const answer = await api.call("auth.test", signal, (client) => client.auth.test());
  if (!answer.team_id) throw new DeliveryError("later", "auth.test: no team in the answer");
  return { teamId: answer.team_id, botId: answer.bot_id ?? null, team: answer.team ?? answer.team_id };
}

async function findChannel(api: WebApi, name: string, signal: AbortSignal): Promise<string> {
  let cursor: string | undefined;
  for (let page = 0; page < PAGES_MAX; page++) {
    const options = { types: "public_channel,private_channel", exclude_archived: true, limit: PAGE };
    const answer = await api.call("conversations.list", signal, (client) =>
      client.conversations.list(cursor ? { ...options, cursor } : options),
    );
    const found = answer.channels?.find((one) => one.name === name)?.id;
    if (found) return found;
    cursor = answer.response_metadata?.next_cursor || undefined;
    if (!cursor) break;
  }
  const text = `SLACK_CHANNEL: the app sees no channel named ${name.slice(0, 80)}; invite it there, or give the channel's id`;
  throw new DeliveryError("later", text, 60_000);
}
