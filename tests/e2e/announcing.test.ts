import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { TestAgent } from "../support/agent.ts";
import { AnnouncingServer, resultOf, serviceAlert } from "../support/announcing.ts";
import { actionOf, type Behaviour } from "../support/fake-slack.ts";
import { occurrencesBySource } from "../support/rest.ts";
import { SpoolAgent } from "../support/spool-agent.ts";
import { until } from "../support/until.ts";

const START_LIMIT_MS = 240_000;
const TEST_LIMIT_MS = 240_000;
const REACHED_LIMIT_MS = 30_000;
/** A dead process's jobs are given to the next one within this; then there is a message a second. */
const RESUMED_LIMIT_MS = 60_000;

let byApi: AnnouncingServer;
let byWebhook: AnnouncingServer;

beforeAll(async () => {
  // One after the other: a file that is still being copied cannot be run, and a child that is being started holds it open.
  byApi = await AnnouncingServer.start("web-api");
  byWebhook = await AnnouncingServer.start("webhook");
}, START_LIMIT_MS);

afterAll(async () => {
  await Promise.all([byApi.stop(), byWebhook.stop()]);
}, START_LIMIT_MS);

describe("a message that is sent once, however often its server is killed", () => {
  interface Scene {
    readonly server: AnnouncingServer;
    readonly spool: SpoolAgent;
    readonly agentId: string;
    /** How often somebody has posted since the scene began. */
    readonly posts: () => number;
  }
  interface Point {
    readonly when: string;
    readonly sources: readonly string[];
    readonly slack: Behaviour;
    readonly isReached: (scene: Scene) => Promise<boolean> | boolean;
  }

  const POINTS: Point[] = [
    {
      when: "as soon as the incident is there",
      sources: ["there-1", "there-2", "there-3"],
      slack: "works",
      isReached: ({ spool }) => spool.acknowledged.size > 0,
    },
    {
      when: "as soon as it is explained",
      sources: ["explained-1", "explained-2", "explained-3"],
      slack: "works",
      isReached: async ({ server, agentId }) => (await server.incidents(agentId)).some((one) => one.analysis !== null),
    },
    {
      when: "while its message is under way, before Slack has taken it",
      sources: ["untaken-1", "untaken-2"],
      slack: "hangs",
      isReached: ({ posts }) => posts() > 0,
    },
    {
      when: "after Slack has taken its message, before the answer",
      sources: ["taken-1", "taken-2"],
      slack: "taken",
      isReached: ({ posts }) => posts() > 0,
    },
    {
      when: "after its message was sent",
      sources: ["sent-1", "sent-2"],
      slack: "works",
      isReached: async ({ server, agentId }) =>
        (await server.stories(agentId)).some((one) => one.announcements[0]?.state === "sent"),
    },
  ];
  const agents: [server: AnnouncingServer, agentId: string][] = [];

  async function killAt({ when, sources, slack, isReached }: Point, server: AnnouncingServer): Promise<void> {
    const { id: agentId, token } = await server.newAgent();
    agents.push([server, agentId]);
    const before = server.slack.calls(server.method).length;
    const posts = () => server.slack.calls(server.method).length - before;
    server.slack.behave(server.method, slack);
    const spool = new SpoolAgent(server.url, token, sources);
    await until(() => isReached({ server, spool, agentId, posts }), { ms: REACHED_LIMIT_MS, what: when });
    await server.kill();
    server.slack.behave(server.method, "works");
    await server.startAgain();
    await until(() => spool.left === 0, { ms: REACHED_LIMIT_MS, what: "all acks" });
    spool.stop();
    // A webhook cannot be asked what came through: a message that is cut off twice is given up.
    if (server === byWebhook)
      await until(async () => (await server.waiting()) === 0, { ms: RESUMED_LIMIT_MS, what: "all messages" });
  }

  // Nobody waits for the messages of the API here: what one kill leaves behind is still under way at the next.
  test.each(POINTS.map((point) => [point.when, point] as const))(
    "killed %s",
    async (_, point) => {
      await Promise.all([killAt(point, byApi), killAt(point, byWebhook)]);
    },
    TEST_LIMIT_MS,
  );

  const sources = POINTS.flatMap((point) => point.sources);

  test.each([
    ["the Web API", () => byApi, [1]],
    ["an incoming webhook", () => byWebhook, [1, 2]],
  ] as const)(
    "by %s",
    async (_, serverOf, allowed) => {
      const server = serverOf();
      const told = () => sources.every((source) => server.messagesOf(source).length > 0);
      await until(async () => told() && (await server.waiting()) === 0, { ms: RESUMED_LIMIT_MS, what: "all messages" });
      const wrong = sources.filter(
        (source) => !(allowed as readonly number[]).includes(server.messagesOf(source).length),
      );
      expect(wrong).toEqual([]);
      const mine = agents.filter(([one]) => one === server);
      const stories = (await Promise.all(mine.map(([, agentId]) => server.stories(agentId)))).flat();
      expect(stories.map(({ source }) => source).sort()).toEqual([...sources].sort());
      for (const { announcements, timeline } of stories) {
        expect(announcements).toMatchObject([{ kind: "incident", state: "sent" }]);
        expect(timeline.filter(({ kind }: { kind: string }) => kind === "announced")).toHaveLength(1);
      }
    },
    TEST_LIMIT_MS,
  );
});

test(
  "a decision is kept, and is one command, however often its server is killed",
  async () => {
    const { slack } = byApi;
    const { id, token } = await byApi.newAgent();
    const sources = ["edited", "pressed", "asked", "answered"];
    const sockets = [await byApi.connect(token)];
    for (const source of sources) sockets[0]?.send(serviceAlert(token, source));
    for (const source of sources) await byApi.messageOf(source);

    const press = async (source: string, actionId: string, option?: string) => {
      const message = await byApi.messageOf(source);
      return byApi.callback(slack.payloadOf({ ts: message.ts, action: actionOf(message, actionId, option) }));
    };
    const restarts = () =>
      sockets
        .flatMap(({ frames }) => frames)
        .flatMap((frame) => (frame.type === "command" && frame.command === "restart_service" ? [frame] : []));
    const restartOf = (source: string) =>
      until(() => restarts().find(({ params }) => params.service === source), {
        ms: RESUMED_LIMIT_MS,
        what: `a command for ${source}`,
      });
    const startAgain = async () => {
      await byApi.startAgain();
      sockets.push(await byApi.connect(token));
    };
    const agent = () => sockets.at(-1) as TestAgent;
    const answer = async (source: string) => {
      const { id: commandId } = await restartOf(source);
      agent().send(resultOf(token, commandId));
      await until(() => agent().frames.some((frame) => frame.type === "ack" && frame.id === commandId));
    };

    slack.behave("chat.update", "hangs");
    const edits = slack.calls("chat.update").length;
    expect(await press("edited", "opspilot_more", "acknowledge")).toEqual([200]);
    await until(() => slack.calls("chat.update").length > edits, { what: "an edit under way" });
    await byApi.kill();
    slack.behave("chat.update", "works");
    await startAgain();

    // The agent is away, for else nobody knows whether the command was written when the server died.
    await agent().close();
    expect(await press("pressed", "opspilot_restart")).toEqual([200]);
    await byApi.kill();
    await startAgain();

    expect(await press("asked", "opspilot_restart")).toEqual([200]);
    await restartOf("asked");
    await byApi.kill();
    await startAgain();

    expect(await press("answered", "opspilot_restart")).toEqual([200]);
    await answer("answered");
    await byApi.kill();
    await startAgain();

    await answer("pressed");
    await answer("asked");
    const restarted = sources.slice(1);
    for (const source of restarted) agent().send(serviceAlert(token, source, "resolved"));
    const shows = (source: string, ...words: string[]) => {
      const text = JSON.stringify(byApi.messagesOf(source)[0]?.blocks);
      return words.every((word) => text.includes(word));
    };
    await until(
      () =>
        shows("edited", "acknowledged by @ana") &&
        restarted.every((source) => shows(source, "restarted by @ana", "✅ Resolved")),
      { ms: RESUMED_LIMIT_MS, what: "every outcome in its message" },
    );
    expect(sources.map((source) => byApi.messagesOf(source).length)).toEqual([1, 1, 1, 1]);
    expect(
      restarts()
        .map(({ params }) => params.service)
        .sort(),
    ).toEqual(restarted.toSorted());
    const stories = await byApi.stories(id);
    for (const { decisions } of stories) expect(decisions).toHaveLength(1);
  },
  TEST_LIMIT_MS,
);

test(
  "a press is decided once although its server is killed after Slack was told that it is taken, before it is decided",
  async () => {
    const { slack } = byApi;
    const { id, token } = await byApi.newAgent();
    const first = await byApi.connect(token);
    first.send(serviceAlert(token, "left"));
    const { ts, ...message } = await byApi.messageOf("left");
    // Slack does not say who that is: the answer to its callback cannot wait for it.
    slack.behave("users.info", "hangs");
    const action = actionOf({ ts, ...message }, "opspilot_restart");
    expect(await byApi.callback(slack.payloadOf({ ts, user: "U0BEN00001", action }))).toEqual([200]);
    await byApi.kill();
    slack.behave("users.info", "works");
    await byApi.startAgain();
    const again = await byApi.connect(token);
    const command = await until(() => again.frames.find((frame) => frame.type === "command"), {
      ms: RESUMED_LIMIT_MS,
      what: "the command",
    });
    expect(command).toMatchObject({ command: "restart_service", params: { service: "left" } });
    const [story] = await byApi.stories(id);
    expect(story?.decisions).toMatchObject([{ action: "restart", actor: "slack:U0BEN00001", outlet: "slack" }]);
    await Promise.all([first.close(), again.close()]);
  },
  TEST_LIMIT_MS,
);

test("a forged, a stale and a replayed callback are refused, and change nothing", async () => {
  const { token } = await byApi.newAgent();
  const agent = await byApi.connect(token);
  agent.send(serviceAlert(token, "guarded"));
  const message = await byApi.messageOf("guarded");
  const action = actionOf(message, "opspilot_more", "acknowledge");
  const payload = byApi.slack.payloadOf({ ts: message.ts, action });
  const nowS = Math.floor(Date.now() / 1000);
  const decisions = async () => (await byApi.storyOf("guarded")).decisions;

  expect(await byApi.callback(payload, { secret: "f".repeat(32) })).toEqual([401, "forged"]);
  expect(await byApi.callback(payload, { atS: nowS - 301 })).toEqual([401, "stale"]);
  expect(await byApi.callback(payload, { atS: nowS + 302 })).toEqual([401, "stale"]);
  expect(await decisions()).toEqual([]);

  expect(await byApi.callback(payload, { atS: nowS })).toEqual([200]);
  await until(async () => (await byApi.storyOf("guarded")).status === "acknowledged");
  const story = await byApi.storyOf("guarded");
  expect(await byApi.callback(payload, { atS: nowS })).toEqual([401, "replayed"]);
  expect(await byApi.storyOf("guarded")).toEqual(story);
  await agent.close();
});

test(
  "of 500 different incidents within a minute none is lost, and the channel has 25 messages at most",
  async () => {
    const server = await AnnouncingServer.start("web-api");
    try {
      const names = Array.from({ length: 500 }, (_, n) => `storm-${n}`);
      const agents = await Promise.all([1, 2, 3, 4, 5].map(() => server.newAgent()));
      const spools = agents.map(
        ({ token }, at) => new SpoolAgent(server.url, token, names.slice(at * 100, at * 100 + 100)),
      );
      await until(() => spools.every(({ left }) => left === 0), { ms: 60_000, what: "all acks" });
      for (const spool of spools) spool.stop();
      const counts = await Promise.all(agents.map(({ id }) => occurrencesBySource(server.url, id)));
      expect(counts.flatMap((count) => [...count.keys()]).sort()).toEqual(names.toSorted());
      expect(counts.flatMap((count) => [...count.values()])).toEqual(names.map(() => 1));
      const isAllTold = async () => server.told() === names.length && (await server.waiting()) === 0;
      await until(isAllTold, { ms: 60_000, what: "everything is told" });
      expect(server.slack.messages.length).toBeLessThanOrEqual(25);
    } finally {
      await server.stop();
    }
  },
  TEST_LIMIT_MS,
);
