import { createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import {
  APP,
  APP_TOKEN,
  BOT_TOKEN,
  CHANNEL,
  CHANNEL_NAME,
  createWorkspace,
  type FakeMessage,
  type Json,
  onWire,
  SCOPES,
  SIGNING_SECRET,
  TEAM,
  TRIGGER,
} from "./fake-slack-api.ts";
import { startFakeSocketMode } from "./fake-slack-socket.ts";

/** One call as the server saw it. `method` is "chat.postMessage", "webhook", "response_url", "upload". */
export interface SeenCall {
  readonly method: string;
  readonly args: Json;
  readonly headers: IncomingMessage["headers"];
  readonly atMs: number;
}

/**
 * How one call goes. `lost`: it has its effect, but the connection ends before the answer. `taken`: it has its effect, and no
 * answer comes. `cut`: neither effect nor answer. `hangs`: as `cut`, but the connection stays.
 */
export type Behaviour =
  | "works"
  | "lost"
  | "taken"
  | "cut"
  | "hangs"
  | { error: string; needed?: string }
  | { limitedS: number }
  | { status: number; body?: string; headers?: Record<string, string> }
  | { delayMs: number };

/** What a person presses. */
export interface FakePress {
  user?: string;
  userTeam?: string;
  team?: string;
  channel?: string;
  ts?: string;
  message?: Json;
  action: Json;
  more?: Json;
}

/**
 * A server that speaks Slack's Web API, webhooks, response URLs, file uploads and Socket Mode. Settings for it:
 * SLACK_API_URL=apiUrl, SLACK_TOKEN=BOT_TOKEN, SLACK_CHANNEL=CHANNEL, SLACK_APP_TOKEN=APP_TOKEN,
 * SLACK_SIGNING_SECRET=SIGNING_SECRET, SLACK_WEBHOOK_URL=webhookUrl (all exported by fake-slack-api.ts). `host` is the name that
 * its addresses bear; it listens on 127.0.0.1.
 */
export async function startFakeSlack({ host = "127.0.0.1" } = {}) {
  const seen: SeenCall[] = [];
  const ephemerals: Json[] = [];
  const queues = new Map<string, Behaviour[]>();
  const scopes = { granted: [...SCOPES] };
  let base = "";
  const sockets = startFakeSocketMode(host);
  const workspace = createWorkspace(() => ({ http: base, socket: sockets.url }));

  function effectOf(method: string, args: Json): Json {
    if (method === "webhook") return workspace.post(args, "webhook");
    if (method === "response_url") return { ok: ephemerals.push(args) > 0 };
    if (method === "upload") return { ok: workspace.files.some((file) => file.id === args.id && set(file, args)) };
    return workspace.methods[method]?.(args) ?? { ok: false, error: "unknown_method" };
  }

  const set = (file: { content: string | null }, { content }: Json) => {
    file.content = content;
    return true;
  };

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    const { method, args } = callOf(request, body);
    seen.push({ method, args, headers: request.headers, atMs: performance.now() });
    const queue = queues.get(method) ?? [];
    const behaviour = (queue.length > 1 ? queue.shift() : queue[0]) ?? "works";
    if (behaviour === "hangs") return;
    if (behaviour === "cut") return void request.socket.destroy();
    if (typeof behaviour === "object" && !("delayMs" in behaviour))
      return send(response, ...refusalOf(method, behaviour));
    if (typeof behaviour === "object") await Bun.sleep(behaviour.delayMs);
    const result = tokenMistake(method, request, args) ?? effectOf(method, args);
    if (behaviour === "lost") return void request.socket.destroy();
    if (behaviour === "taken") return;
    if (method === "webhook") return send(response, result.ok ? 200 : 400, result.ok ? "ok" : result.error);
    const headers = { "content-type": "application/json", "x-oauth-scopes": scopes.granted.join(",") };
    send(response, 200, JSON.stringify(result), headers);
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error) => {
      response.destroy();
      throw error;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  base = `http://${host}:${address.port}`;

  /** The payload of a pressed button, as Slack makes it for a message of the workspace. */
  function payloadOf(press: FakePress): Json {
    const { user = "U0ANA00001", userTeam = TEAM, team = TEAM, channel = CHANNEL } = press;
    const found = workspace.messages.find((one) => one.ts === press.ts);
    const name = workspace.people.get(user)?.name ?? "nobody";
    return {
      type: "block_actions",
      user: { id: user, username: name, name, team_id: userTeam },
      api_app_id: APP,
      container: { type: "message", message_ts: press.ts, channel_id: channel, is_ephemeral: false },
      trigger_id: TRIGGER,
      team: { id: team, domain: "team" },
      enterprise: null,
      is_enterprise_install: false,
      channel: { id: channel, name: CHANNEL_NAME },
      message: press.message ?? (found ? onWire(found) : undefined),
      state: { values: {} },
      response_url: `${base}/actions/${TEAM}/1/abc`,
      actions: [{ action_ts: "1.0", ...press.action }],
      ...press.more,
    };
  }

  /** The payload of a dialog that was filled in and sent. */
  function submissionOf(view: Json, said: { cause?: string; category?: string; fix?: string }, press: FakePress): Json {
    const { user = "U0ANA00001", userTeam = TEAM, team = TEAM, more } = press;
    const text = (value?: string) => ({ text: { type: "plain_text_input", value: value ?? null } });
    const chosen = said.category === undefined ? null : { text: {}, value: said.category };
    const category = { choice: { type: "static_select", selected_option: chosen } };
    const values = { cause: text(said.cause), category, fix: text(said.fix) };
    return {
      type: "view_submission",
      team: { id: team, domain: "team" },
      user: { id: user, username: "nobody", name: "nobody", team_id: userTeam },
      api_app_id: APP,
      token: "old",
      trigger_id: TRIGGER,
      view: { id: "V1", team_id: team, ...view, state: { values }, hash: "1.a", app_id: APP, bot_id: "B1" },
      response_urls: [],
      is_enterprise_install: false,
      enterprise: null,
      ...more,
    };
  }

  return {
    apiUrl: `${base}/api`,
    webhookUrl: `${base}/services/${TEAM}/B0HOOK0001/secretsecret`,
    seen,
    /** What was answered to people through response_url. */
    ephemerals,
    messages: workspace.messages,
    files: workspace.files,
    /** Dialogs that were opened. */
    views: workspace.views,
    people: workspace.people,
    channel: workspace.channel,
    scopes,
    sockets,
    /** The next calls of a method, in order; the last behaviour stays. */
    behave(method: string, ...behaviours: Behaviour[]) {
      queues.set(method, behaviours);
    },
    calls: (method: string) => seen.filter((call) => call.method === method),
    payloadOf,
    /** Presses a button (or chooses an overflow option by its value) of a message, over Socket Mode; resolves when it was acknowledged. */
    async press(message: FakeMessage, actionId: string, options: { user?: string; option?: string } = {}) {
      const action = actionOf(message, actionId, options.option);
      return sockets.deliver("interactive", payloadOf({ ts: message.ts, user: options.user, action }));
    },
    submissionOf,
    /** Fills in the last dialog that was opened, and sends it, over Socket Mode. */
    async submit(said: Parameters<typeof submissionOf>[1], options: { user?: string } = {}) {
      return sockets.deliver("interactive", submissionOf(workspace.views.at(-1), said, { ...options, action: null }));
    },
    /** Presses a button by a signed callback to `url`. */
    async callback(url: string, payload: Json, options: { secret?: string; atS?: number } = {}) {
      return fetch(url, signedRequest(payload, options));
    },
    async stop() {
      sockets.stop();
      server.close();
      server.closeAllConnections();
    },
  };
}

export type FakeSlack = Awaited<ReturnType<typeof startFakeSlack>>;

/** The action that pressing an element of the message makes. */
export function actionOf(message: FakeMessage, actionId: string, option?: string): Json {
  for (const block of message.blocks) {
    for (const element of [...(block.elements ?? []), ...(block.accessory ? [block.accessory] : [])]) {
      if (element.action_id !== actionId) continue;
      const base = { action_id: actionId, block_id: block.block_id, type: element.type };
      if (element.type !== "overflow") return { ...base, text: element.text, value: element.value };
      const chosen = element.options.find((one: Json) => one.value === option);
      if (!chosen) throw new Error(`the menu has no ${option}`);
      return { ...base, selected_option: { text: chosen.text, value: chosen.value } };
    }
  }
  throw new Error(`the message has no ${actionId}`);
}

/** A callback's request, signed as Slack signs it. */
export function signedRequest(payload: Json, options: { secret?: string; atS?: number } = {}) {
  const { secret = SIGNING_SECRET, atS = Math.floor(Date.now() / 1000) } = options;
  const body = `payload=${encodeURIComponent(JSON.stringify(payload))}`;
  const signature = `v0=${createHmac("sha256", secret).update(`v0:${atS}:${body}`).digest("hex")}`;
  const headers = {
    "content-type": "application/x-www-form-urlencoded",
    "x-slack-request-timestamp": String(atS),
    "x-slack-signature": signature,
  };
  return { method: "POST", headers, body };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function callOf(request: IncomingMessage, body: string): { method: string; args: Json } {
  const path = request.url ?? "";
  if (path.startsWith("/services/")) return { method: "webhook", args: JSON.parse(body) };
  if (path.startsWith("/actions/")) return { method: "response_url", args: JSON.parse(body) };
  if (path.startsWith("/upload/")) return { method: "upload", args: { id: path.slice(8), content: body } };
  return { method: path.replace("/api/", ""), args: formOf(body) };
}

/** The SDK sends a form whose structured values are JSON. */
function formOf(body: string): Json {
  const entries = [...new URLSearchParams(body)];
  return Object.fromEntries(entries.map(([key, value]) => [key, /^[[{]/.test(value) ? JSON.parse(value) : value]));
}

function tokenMistake(method: string, { headers }: IncomingMessage, args: Json): Json {
  if (!method.includes(".")) return undefined;
  const token = headers.authorization?.replace(/^Bearer /, "") ?? args.token;
  if (token === (method.startsWith("apps.") ? APP_TOKEN : BOT_TOKEN)) return undefined;
  return { ok: false, error: token ? "invalid_auth" : "not_authed" };
}

function refusalOf(
  method: string,
  behaviour: Exclude<Behaviour, string | { delayMs: number }>,
): [number, string, Record<string, string>?] {
  if ("limitedS" in behaviour) return [429, "", { "retry-after": String(behaviour.limitedS) }];
  if ("status" in behaviour) return [behaviour.status, behaviour.body ?? "", behaviour.headers];
  if (method === "webhook") return [400, behaviour.error];
  return [200, JSON.stringify({ ok: false, ...behaviour }), { "content-type": "application/json" }];
}

function send(response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, headers).end(body);
}
