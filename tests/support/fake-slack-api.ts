import { blockMistakes, dialogMistakes } from "./block-kit.ts";

/** What came over the wire, or goes: a test looks into it without describing it first. */
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Json = any;

/** A message as Slack keeps it. `thread` is the ts of the message above it. */
export interface FakeMessage {
  readonly channel: string;
  readonly ts: string;
  readonly thread: string | null;
  readonly via: "api" | "webhook";
  text: string;
  blocks: Json[];
  metadata: Json;
  edits: number;
  readonly bot: string;
}

/** A file that was uploaded; `content` null until the bytes came, `thread` until it was shared. */
export interface FakeFile {
  readonly id: string;
  readonly name: string;
  content: string | null;
  channel: string | null;
  thread: string | null;
  comment: string | null;
}

/** A person in the workspace. */
export interface FakePerson {
  readonly id: string;
  readonly name: string;
  readonly team?: string;
  readonly bot?: boolean;
  readonly guest?: boolean;
  readonly deleted?: boolean;
}

export const TEAM = "T0TEAM0001";
export const CHANNEL = "C0OPS00001";
export const CHANNEL_NAME = "ops";
export const BOT = "B0BOT00001";
export const APP = "A0APP00001";
export const BOT_TOKEN = "xoxb-fake-bot-token";
export const APP_TOKEN = "xapp-fake-app-token";
/** Of each press. */
export const TRIGGER = "1.2.abc";
export const SIGNING_SECRET = "0123456789abcdef0123456789abcdef";
export const SCOPES = [
  "chat:write",
  "channels:read",
  "groups:read",
  "channels:history",
  "groups:history",
  "users:read",
  "files:write",
];

export const PEOPLE: readonly FakePerson[] = [
  { id: "U0ANA00001", name: "ana" },
  { id: "U0BEN00001", name: "ben" },
  { id: "U0GUEST001", name: "gil", guest: true },
  { id: "U0BOT00001", name: "robot", bot: true },
  { id: "U0OTHER001", name: "zoe", team: "T0OTHER001" },
  { id: "U0GONE0001", name: "leo", deleted: true },
];

/** The workspace's content, and what each Web API method does to it. `link` is where files and Socket Mode go. */
export function createWorkspace(link: () => { http: string; socket: string }) {
  const messages: FakeMessage[] = [];
  const files: FakeFile[] = [];
  const views: Json[] = [];
  const people = new Map(PEOPLE.map((one) => [one.id, one]));
  const channel = { isMember: true, archived: false };
  let stamps = 0;

  const nextTs = () => `${Math.floor(Date.now() / 1000)}.${String(++stamps).padStart(6, "0")}`;
  const no = (error: string, more: Json = {}) => ({ ok: false, error, ...more });
  const isHere = (name: string) => name === CHANNEL || name === CHANNEL_NAME || name === `#${CHANNEL_NAME}`;

  function post(args: Json, via: FakeMessage["via"]): Json {
    const mistakes = blockMistakes(args.blocks ?? []);
    if (mistakes.length > 0) return no("invalid_blocks", { response_metadata: { messages: mistakes } });
    if (!args.text && !args.blocks) return no("no_text");
    if (args.thread_ts && !messages.some((one) => one.ts === args.thread_ts)) return no("thread_not_found");
    const message: FakeMessage = {
      channel: CHANNEL,
      ts: nextTs(),
      thread: args.thread_ts ?? null,
      via,
      text: args.text ?? "",
      blocks: args.blocks ?? [],
      metadata: args.metadata ?? null,
      edits: 0,
      bot: BOT,
    };
    messages.push(message);
    return { ok: true, channel: CHANNEL, ts: message.ts, message: onWire(message) };
  }

  function update(args: Json): Json {
    if (args.channel !== CHANNEL) return no("channel_not_found");
    const message = messages.find((one) => one.ts === args.ts);
    if (!message) return no("message_not_found");
    const mistakes = blockMistakes(args.blocks ?? []);
    if (mistakes.length > 0) return no("invalid_blocks", { response_metadata: { messages: mistakes } });
    Object.assign(message, { text: args.text ?? "", blocks: args.blocks ?? [], edits: message.edits + 1 });
    if (args.metadata !== undefined) message.metadata = args.metadata;
    return { ok: true, channel: CHANNEL, ts: message.ts, text: message.text };
  }

  /** Newest first, as Slack lists them; pages by a cursor that is a place in that list. */
  function history(args: Json): Json {
    if (args.channel !== CHANNEL) return no("channel_not_found");
    if (!channel.isMember) return no("not_in_channel");
    const found = messages
      .filter((one) => one.thread === null && Number(one.ts) >= Number(args.oldest ?? 0))
      .toReversed()
      .map((one) => onWire(one, String(args.include_all_metadata) === "true"));
    const from = Number(args.cursor || 0);
    const limit = Number(args.limit ?? 100);
    const next = from + limit < found.length ? String(from + limit) : "";
    return {
      ok: true,
      messages: found.slice(from, from + limit),
      has_more: next !== "",
      response_metadata: { next_cursor: next },
    };
  }

  function person(id: string): Json {
    const one = people.get(id);
    if (!one) return no("user_not_found");
    const { name, team = TEAM, bot = false, guest = false, deleted = false } = one;
    const user = { id, name, team_id: team, deleted, is_bot: bot, is_restricted: guest, is_ultra_restricted: false };
    return { ok: true, user: { ...user, profile: { display_name: name, real_name: name } } };
  }

  function beginUpload(args: Json): Json {
    const file = { id: `F${files.length + 1}`, name: args.filename, content: null };
    files.push({ ...file, channel: null, thread: null, comment: null });
    return { ok: true, file_id: file.id, upload_url: `${link().http}/upload/${file.id}` };
  }

  function endUpload(args: Json): Json {
    for (const { id } of args.files) {
      const file = files.find((one) => one.id === id);
      if (!file || file.content === null) return no("file_not_found");
      Object.assign(file, {
        channel: args.channel_id,
        thread: args.thread_ts ?? null,
        comment: args.initial_comment ?? null,
      });
    }
    return { ok: true, files: args.files };
  }

  const channelInfo = {
    id: CHANNEL,
    name: CHANNEL_NAME,
    is_channel: true,
    get is_member() {
      return channel.isMember;
    },
    get is_archived() {
      return channel.archived;
    },
  };

  const methods: Record<string, (args: Json) => Json> = {
    "auth.test": () => ({
      ok: true,
      url: "https://t.slack.com/",
      team: "Team",
      team_id: TEAM,
      user_id: "U0ROBOT001",
      bot_id: BOT,
    }),
    "chat.postMessage": (args) => {
      if (!isHere(args.channel)) return no("channel_not_found");
      if (!channel.isMember) return no("not_in_channel");
      return channel.archived ? no("is_archived") : post(args, "api");
    },
    "chat.update": update,
    "conversations.history": history,
    "conversations.list": () => ({ ok: true, channels: [{ ...channelInfo }], response_metadata: { next_cursor: "" } }),
    "conversations.info": (args) =>
      args.channel === CHANNEL ? { ok: true, channel: { ...channelInfo } } : no("channel_not_found"),
    "users.info": (args) => person(args.user),
    "views.open": ({ trigger_id, view }) => {
      if (trigger_id !== TRIGGER) return no("expired_trigger_id");
      const mistakes = dialogMistakes(view);
      if (mistakes.length > 0) return no("invalid_arguments", { response_metadata: { messages: mistakes } });
      views.push(view);
      return { ok: true, view: { ...view, id: `V${views.length}` } };
    },
    "apps.connections.open": () => ({ ok: true, url: link().socket }),
    "files.getUploadURLExternal": beginUpload,
    "files.completeUploadExternal": endUpload,
  };
  return { messages, files, views, people, channel, methods, post };
}

/** A message as Slack sends it. */
export function onWire(message: FakeMessage, withMetadata = true): Json {
  const { ts, text, blocks, metadata, bot, thread } = message;
  const base = { type: "message", ts, text, blocks, bot_id: bot, app_id: APP, user: "U0ROBOT001", team: TEAM };
  return {
    ...base,
    ...(thread === null ? {} : { thread_ts: thread }),
    ...(withMetadata && metadata ? { metadata } : {}),
  };
}
