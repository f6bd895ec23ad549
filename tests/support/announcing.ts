import { TestAgent } from "./agent.ts";
import { emptyFolder, isAlive, killAndWait, removeFolder } from "./e2e.ts";
import { freePort, type RunningExecutable, startExecutable } from "./executable.ts";
import { type FakeSlack, startFakeSlack } from "./fake-slack.ts";
import { BOT_TOKEN, CHANNEL, type FakeMessage, type Json, SIGNING_SECRET } from "./fake-slack-api.ts";
import { rest } from "./rest.ts";
import { alertFrame } from "./server.ts";
import { until } from "./until.ts";

const READY_LIMIT_MS = 60_000;
/** Slack takes a message a second, and what was said before goes first. */
const MESSAGE_LIMIT_MS = 30_000;
const LIST_MAX = 1_000;

/** How Slack is reached. */
export type Way = "web-api" | "webhook";

/** How each way is set up; buttons arrive over HTTP. */
const settingsOf = (way: Way, slack: FakeSlack): Record<string, string> =>
  way === "webhook"
    ? { SLACK_WEBHOOK_URL: slack.webhookUrl }
    : {
        SLACK_API_URL: slack.apiUrl,
        SLACK_TOKEN: BOT_TOKEN,
        SLACK_CHANNEL: CHANNEL,
        SLACK_SIGNING_SECRET: SIGNING_SECRET,
      };

/** The executable with a database and a Slack of its own. It can be killed, and started again in the same place. */
export class AnnouncingServer {
  #running: RunningExecutable | undefined;

  private constructor(
    readonly way: Way,
    readonly slack: FakeSlack,
    readonly folder: string,
    readonly port: string,
  ) {}

  static async start(way: Way): Promise<AnnouncingServer> {
    const server = new AnnouncingServer(way, await startFakeSlack(), await emptyFolder(), String(await freePort()));
    await server.startAgain();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** What a message is posted by. */
  get method(): string {
    return this.way === "webhook" ? "webhook" : "chat.postMessage";
  }

  async startAgain(): Promise<void> {
    const env = { PORT: this.port, ...settingsOf(this.way, this.slack) };
    this.#running = await startExecutable({ dir: this.folder, env });
    await this.#running.waitReady(READY_LIMIT_MS);
  }

  async kill(): Promise<void> {
    if (this.#running && isAlive(this.#running.pid)) await killAndWait(this.#running.pid);
  }

  async stop(): Promise<void> {
    if (this.#running && isAlive(this.#running.pid)) await this.#running.stop();
    await this.slack.stop();
    await removeFolder(this.folder);
  }

  async newAgent(): Promise<{ id: string; token: string }> {
    return (await rest(this.url, "/v1/agents", {})).body;
  }

  /** An agent's socket, after its first frame and the answer to that. */
  async connect(token: string): Promise<TestAgent> {
    const agent = await TestAgent.connect(`${this.url.replace("http", "ws")}/v1/stream`);
    agent.send({ ver: "1.1", token, ts: Date.now() / 1000 });
    await agent.frame(0);
    return agent;
  }

  async incidents(agentId: string): Promise<Json[]> {
    return (await rest(this.url, `/v1/agents/${agentId}/incidents?limit=${LIST_MAX}`)).body;
  }

  /** The agent's incidents with their whole story. */
  async stories(agentId: string): Promise<Json[]> {
    const ids = (await this.incidents(agentId)).map(({ id }) => id);
    return Promise.all(ids.map(async (id) => (await rest(this.url, `/v1/incidents/${id}`)).body));
  }

  /** The story of the one incident of this source. */
  async storyOf(source: string): Promise<Json> {
    const found = (await rest(this.url, `/v1/incidents?limit=${LIST_MAX}`)).body;
    const { id } = found.find((one: Json) => one.source === source);
    return (await rest(this.url, `/v1/incidents/${id}`)).body;
  }

  /** The messages in the channel that are about the incident of this source. */
  messagesOf(source: string): FakeMessage[] {
    return this.slack.messages.filter(({ thread, blocks }) => {
      return thread === null && JSON.stringify(blocks).includes(`*${source}* ·`);
    });
  }

  async messageOf(source: string): Promise<FakeMessage> {
    return until(() => this.messagesOf(source)[0], { ms: MESSAGE_LIMIT_MS, what: `a message about ${source}` });
  }

  /** How many incidents the channel tells of: each has a message of its own, or is counted in that of a storm. */
  told(): number {
    const countOf = ({ text }: FakeMessage) => Number(/storm.*: (\d+) incidents/i.exec(text)?.[1] ?? 1);
    return this.slack.messages.reduce((sum, message) => sum + countOf(message), 0);
  }

  /** How many messages are still to be said, or in doubt. */
  async waiting(): Promise<number> {
    const answer = await fetch(`${this.url}/metrics`, { keepalive: false });
    return Number(/^opspilot_announcements_waiting\{outlet="slack"\} (\d+)$/m.exec(await answer.text())?.[1]);
  }

  /** Sends a signed callback; the answer's status, and the reason of a refusal. */
  async callback(payload: Json, options: { secret?: string; atS?: number } = {}): Promise<[number, string?]> {
    const answer = await this.slack.callback(`${this.url}/v1/slack/interactions`, payload, options);
    const text = await answer.text();
    return text === "" ? [answer.status] : [answer.status, JSON.parse(text).code];
  }
}

/** An alert of a service that can be restarted, or the report that it works again. */
export function serviceAlert(token: string, source: string, state: "firing" | "resolved" = "firing") {
  return alertFrame(`${source} ${state}`, token, { type: "systemd", source, message: `${source} ${state}`, state });
}

/** A command's result: it was done. Its frame has the command's id, too. */
export function resultOf(token: string, commandId: string): Record<string, unknown> {
  const finishedAt = Date.now() / 1000;
  const result = { command_id: commandId, status: "done", exit_code: 0, duration_ms: 900, finished_at: finishedAt };
  return { ver: "1.1", id: commandId, token, type: "result", ts: finishedAt, data: JSON.stringify(result) };
}
