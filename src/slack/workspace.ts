import { DeliveryError } from "../lib/errors.ts";
import { pagesOf, type WebApi } from "./web-api.ts";

/** Names of channels have no capital letters. */
const CHANNEL_ID = /^[CGD][A-Z0-9]+$/;
const PAGE = 1_000;
/** A workspace with more channels than this must name its channel by id. */
const PAGES_MAX = 20;

/** Who we are and where we post, which does not change while the server runs: asked for once and kept. A failure is not kept. */
export function createWorkspace(api: WebApi, channel: string | null) {
  let identity: Awaited<ReturnType<typeof askIdentity>> | undefined;
  let channelId = channel !== null && CHANNEL_ID.test(channel) ? channel : undefined;
  return {
    async identity(signal: AbortSignal) {
      identity ??= await askIdentity(api, signal);
      return identity;
    },
    /** Where to post: the channel's id, or its name, which Slack takes there as well. */
    target() {
      if (channel === null) throw new DeliveryError("never", "SLACK_CHANNEL is not set");
      return channelId ?? `#${channel.replace(/^#/, "")}`;
    },
    /** Slack said the channel's id with an answer, so that it need not be looked for. */
    learnt(id: string) {
      channelId ??= id;
    },
    /** The id of the channel that the settings name by id or name. */
    async channelId(signal: AbortSignal) {
      if (channel === null) throw new DeliveryError("never", "SLACK_CHANNEL is not set");
      channelId ??= await findChannel(api, channel.replace(/^#/, ""), signal);
      return channelId;
    },
  };
}

export type Workspace = ReturnType<typeof createWorkspace>;

/** By auth.test. */
async function askIdentity(api: WebApi, signal: AbortSignal) {
  const answer = await api.call("auth.test", signal, (client) => client.auth.test());
  if (!answer.team_id) throw new DeliveryError("later", "auth.test: no team in the answer");
  return { teamId: answer.team_id, botId: answer.bot_id ?? null };
}

async function findChannel(api: WebApi, name: string, signal: AbortSignal): Promise<string> {
  const options = { types: "public_channel,private_channel", exclude_archived: true, limit: PAGE };
  const pages = pagesOf(PAGES_MAX, (cursor) =>
    api.call("conversations.list", signal, (client) => client.conversations.list({ ...options, ...cursor })),
  );
  for await (const { channels } of pages) {
    const found = channels?.find((one) => one.name === name)?.id;
    if (found) return found;
  }
  const text = `SLACK_CHANNEL: the app sees no channel named ${name.slice(0, 80)}; invite it there, or give the channel's id`;
  throw new DeliveryError("later", text, 60_000);
}
