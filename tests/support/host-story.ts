import { join } from "node:path";
import { emptyFolder, isAlive, killAndWait, removeFolder } from "./e2e.ts";
import { freePort, type RunningExecutable, startExecutable } from "./executable.ts";
import { type FakeSlack, startFakeSlack } from "./fake-slack.ts";
import { APP_TOKEN, BOT_TOKEN, CHANNEL, type FakeMessage, type Json } from "./fake-slack-api.ts";
import { FakeSystemd } from "./fake-systemd.ts";
import { rest } from "./rest.ts";
import { until } from "./until.ts";

const START_LIMIT_MS = 240_000;
/** An alert waits for its log's last lines, and Slack takes one message a second. */
const STEP_LIMIT_MS = 20_000;

/** Everything between a host and the people: the server's executable, a workspace, and hosts with the agent's executable. */
export class Story {
  readonly #hosts: StoryHost[] = [];

  private constructor(
    readonly folder: string,
    readonly slack: FakeSlack,
    readonly server: RunningExecutable,
  ) {}

  /** `settings` are the server's. */
  static async start(settings: Readonly<Record<string, string>> = {}): Promise<Story> {
    const folder = await emptyFolder();
    const slack = await startFakeSlack();
    const server = await startExecutable({
      dir: folder,
      env: {
        PORT: String(await freePort()),
        SLACK_API_URL: slack.apiUrl,
        SLACK_TOKEN: BOT_TOKEN,
        SLACK_CHANNEL: CHANNEL,
        SLACK_APP_TOKEN: APP_TOKEN,
        ...settings,
      },
    });
    const story = new Story(folder, slack, server);
    await server.waitReady(START_LIMIT_MS);
    await until(() => slack.sockets.open() > 0, { ms: START_LIMIT_MS, what: "a Socket Mode connection" });
    return story;
  }

  /** A host whose agent is connected and has said what it allows. `settings` are the agent's. */
  async host(settings: Readonly<Record<string, string>>): Promise<StoryHost> {
    const host = await StoryHost.create(this, join(this.folder, `host-${this.#hosts.length + 1}`), settings);
    this.#hosts.push(host);
    await host.start();
    return host;
  }

  get(path: string): Promise<Json> {
    return rest(this.server.url, path).then(({ body }) => body);
  }

  /** The messages in the channel that are about this incident: there should be one. */
  messagesOf(incidentId: number): FakeMessage[] {
    const isOf = ({ thread, metadata }: FakeMessage) =>
      thread === null && metadata?.event_payload?.incident_id === incidentId;
    return this.slack.messages.filter(isOf);
  }

  /** What is said beneath a message. */
  threadOf(message: FakeMessage): string[] {
    return this.slack.messages.filter(({ thread }) => thread === message.ts).map(shown);
  }

  /** Waits until the message shows all of these. */
  async shows(message: FakeMessage, ...patterns: RegExp[]): Promise<void> {
    const shows = () => patterns.every((pattern) => pattern.test(shown(message)));
    await until(shows, { ms: STEP_LIMIT_MS, what: `${patterns.join(", ")} in the message` }).catch((error) => {
      throw new Error(`${error.message}, which says:\n${shown(message)}`);
    });
  }

  async stop(): Promise<void> {
    for (const host of this.#hosts) await host.stop();
    if (isAlive(this.server.pid)) await this.server.stop();
    await this.slack.stop();
    await removeFolder(this.folder);
  }
}

/** A host: its own systemd, journal and agent. */
export class StoryHost {
  readonly systemd: FakeSystemd;
  agent: RunningExecutable | undefined;

  private constructor(
    readonly story: Story,
    readonly id: string,
    readonly token: string,
    readonly dir: string,
    readonly settings: Readonly<Record<string, string>>,
  ) {
    this.systemd = new FakeSystemd(dir);
    this.systemd.writeAs("init.scope", "the machine was started");
  }

  static async create(story: Story, dir: string, settings: Readonly<Record<string, string>>): Promise<StoryHost> {
    const { body } = await rest(story.server.url, "/v1/agents", {});
    return new StoryHost(story, body.id, body.token, dir, settings);
  }

  /** Starts the agent, and waits until it has said what it allows and follows the journal, where it does. */
  async start(): Promise<void> {
    const followed = this.systemd.followers().length;
    const env = {
      OPSPILOT_SERVER: this.story.server.url,
      OPSPILOT_TOKEN: this.token,
      OPSPILOT_DATA_DIR: this.dir,
      OPSPILOT_COLLECTORS: "systemd",
      OPSPILOT_RECOVERY: "1s",
      PATH: this.systemd.searchPath,
      ...this.settings,
    };
    this.agent = await startExecutable({ dir: this.story.folder, args: ["agent"], env });
    const isHere = async () => {
      const agent = await this.state();
      return agent.status === "online" && agent.meta?.allow !== undefined;
    };
    await until(isHere, { ms: STEP_LIMIT_MS, what: "the agent is online" }).catch((error) => {
      throw new Error(`${error.message}\n${this.agent?.lines.join("\n")}`);
    });
    if (env.OPSPILOT_COLLECTORS === "systemd")
      await until(() => this.systemd.followers().length > followed, { ms: STEP_LIMIT_MS, what: "a follower" });
  }

  /** The agent as the server knows it. */
  async state(): Promise<Json> {
    const agents = await this.story.get("/v1/agents?limit=1000");
    return agents.find(({ id }: Json) => id === this.id);
  }

  /** Its incidents of a source, oldest first. */
  async incidents(source: string): Promise<Json[]> {
    const found = await this.story.get(`/v1/agents/${this.id}/incidents?limit=1000`);
    return found.filter((one: Json) => one.source === source).toSorted((a: Json, b: Json) => a.id - b.id);
  }

  /** Waits for the so many-th incident of a source. */
  async incident(source: string, count = 1): Promise<Json> {
    const found = async () => (await this.incidents(source))[count - 1];
    return until(found, { ms: STEP_LIMIT_MS, what: `incident ${count} of ${source}` }).catch((error) => {
      throw new Error(`${error.message}\n${this.agent?.lines.join("\n")}`);
    });
  }

  /** The same, and its message, once the server has heard from Slack that it is there: no person presses sooner. */
  async announced(source: string, count = 1): Promise<{ id: number; message: FakeMessage }> {
    const { id } = await this.incident(source, count);
    const isSent = async () => (await this.story.get(`/v1/incidents/${id}`)).announcements[0]?.state === "sent";
    const found = async () => (await isSent()) && this.story.messagesOf(id)[0];
    const message = await until(found, { ms: STEP_LIMIT_MS, what: `a message of ${id}` });
    return { id, message };
  }

  /** How systemctl was called to change something. */
  changes(): string[][] {
    const calls = this.systemd.calls("systemctl").map(({ words }) => words);
    return calls.filter((words) => ["restart", "start", "stop"].some((verb) => words.includes(verb)));
  }

  async kill(): Promise<void> {
    if (this.agent) await killAndWait(this.agent.pid);
    await this.#endFollowers();
  }

  async stop(): Promise<void> {
    if (this.agent && isAlive(this.agent.pid)) await this.agent.stop();
    await this.#endFollowers();
  }

  /** Those of a killed agent have nobody to end them. */
  async #endFollowers(): Promise<void> {
    for (const pid of this.systemd.followers()) await killAndWait(pid);
  }
}

/** All that people read in a message, in its order. */
export function shown({ blocks }: FakeMessage): string {
  const textOf = (value: Json): string[] => {
    if (typeof value !== "object" || value === null) return [];
    const own = typeof value.text === "string" ? [value.text] : [];
    return [...own, ...Object.values(value).flatMap(textOf)];
  };
  return textOf(blocks).join("\n");
}

/** The ids of what can be pressed in a message. */
export function buttonsIn({ blocks }: FakeMessage): string[] {
  return blocks.flatMap(({ type, elements }) =>
    type === "actions" ? elements.map(({ action_id }: Json) => action_id) : [],
  );
}
