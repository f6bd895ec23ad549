import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { EventDocker, recordedContainer, recordedEvents, recordedLogs } from "../support/event-docker.ts";
import { buttonsIn, Story, shown } from "../support/host-story.ts";
import { rest } from "../support/rest.ts";
import { SECRETS } from "../support/secrets.ts";
import { until } from "../support/until.ts";

const START_LIMIT_MS = 240_000;
const TEST_LIMIT_MS = 240_000;
const WAIT = { ms: 20_000 };
const ALL_BUTTONS = ["opspilot_restart", "opspilot_logs", "opspilot_ignore", "opspilot_more"];
const IN_USE = "listen tcp 0.0.0.0:80: bind: Address already in use";

describe("on a host", () => {
  let story: Story;
  beforeAll(async () => {
    story = await Story.start();
  }, START_LIMIT_MS);
  afterAll(() => story.stop(), START_LIMIT_MS);

  test(
    "a service that fails is explained, announced, restarted by who presses Restart, and seen to be well, in one message",
    async () => {
      const host = await story.host({ OPSPILOT_ALLOW: "restart_service:web" });
      host.systemd.failUnit("web.service", IN_USE);
      const { id, message } = await host.announced("web.service");
      await story.shows(message, /🔴 Critical on/, /web\.service/, /Cause/, /Address already in use/);
      expect(buttonsIn(message)).toEqual(ALL_BUTTONS);
      expect(host.changes()).toEqual([]);

      await story.slack.press(message, "opspilot_restart");
      await story.shows(message, /restarted by @ana, active again after \d+ s/, /✅ Resolved/);
      expect(host.changes()).toEqual([["--no-ask-password", "restart", "--", "web.service"]]);
      expect(shown(message)).not.toContain("waiting");
      expect(buttonsIn(message)).toEqual([]);
      const incident = await story.get(`/v1/incidents/${id}`);
      expect(incident).toMatchObject({ status: "resolved", source: "web.service", occurrences: 1 });
      expect(incident.decisions).toMatchObject([
        { action: "restart", actor: "slack:U0ANA00001", actor_name: "@ana", state: "verified" },
      ]);
      expect(story.messagesOf(id)).toHaveLength(1);

      host.systemd.failUnit("web.service", IN_USE);
      const next = await host.announced("web.service", 2);
      await story.shows(
        next.message,
        /Restart cleared this 1 of 1 time/,
        new RegExp(`The same failure as incident ${id}`),
      );
      expect(buttonsIn(next.message)).toEqual(ALL_BUTTONS);
    },
    TEST_LIMIT_MS,
  );

  test(
    "a service that fails again at once is found out by asking the host, and may be restarted once more",
    async () => {
      const host = await story.host({ OPSPILOT_ALLOW: "restart_service:broken.service" });
      host.systemd.breakUnit("broken.service", "no such file: broken.conf");
      const { id, message } = await host.announced("broken.service");
      await story.shows(message, /Cause/);
      await story.slack.press(message, "opspilot_restart");
      await story.shows(message, /restarted, failed again after \d s \(failed\/failed\)/);
      expect(buttonsIn(message)).toEqual(ALL_BUTTONS);
      expect(host.changes()).toHaveLength(1);
      expect((await story.get(`/v1/incidents/${id}`)).status).toBe("analyzed");
      expect(story.messagesOf(id)).toHaveLength(1);
    },
    TEST_LIMIT_MS,
  );

  test(
    "Logs brings the unit's lines into the thread, a file when they are many, and no secret leaves",
    async () => {
      const host = await story.host({});
      const lines = SECRETS.slice(0, 12).map(({ secret }, at) => `request ${at} sent with ${secret}`);
      host.systemd.failUnit("shop.service", ...lines, "the shop is closed");
      const { message } = await host.announced("shop.service");
      await until(() => buttonsIn(message).includes("opspilot_logs"), WAIT);
      await story.slack.press(message, "opspilot_logs");
      await until(() => story.threadOf(message).length === 1, WAIT);
      const [thread = ""] = story.threadOf(message);
      expect(thread).toContain("The last 100 lines of shop.service");
      expect(thread).toContain("for @ana");
      expect(thread).toContain("the shop is closed");
      expect(thread).toContain("request 3 sent with [redacted:github-token]");
      await story.shows(message, /logs fetched for @ana/);

      for (let line = 0; line < 90; line++) host.systemd.writeAs("shop.service", `${line} ${"closed ".repeat(10)}`);
      await until(() => buttonsIn(message).includes("opspilot_logs"), WAIT);
      await story.slack.press(message, "opspilot_logs");
      const file = await until(() => story.slack.files.find(({ thread }) => thread === message.ts), WAIT);
      expect(file.name).toBe("shop.service.log");
      expect(file.content).toContain("89 closed");
      expect(file.content).toContain("[redacted:github-token]");
      const sent = JSON.stringify(story.slack.seen.map(({ args }) => args));
      expect(SECRETS.filter(({ secret }) => sent.includes(secret))).toEqual([]);
    },
    TEST_LIMIT_MS,
  );

  test.each([
    ["that allows nothing but looking", {}],
    ["that allows it of another service", { OPSPILOT_ALLOW: "restart_service:web" }],
  ])(
    "on one %s no Restart is offered, and who asks for it by the API reads how to allow it",
    async (_, settings) => {
      const host = await story.host(settings);
      host.systemd.failUnit("mail.service", "no more mail");
      const { message } = await host.announced("mail.service");
      await story.shows(message, /Cause/);
      expect(buttonsIn(message)).toEqual(ALL_BUTTONS.slice(1));
      const ask = { agent_id: host.id, command: "restart_service", params: { service: "mail" }, wait_s: 20 };
      const { status, body } = await rest(story.server.url, "/v1/admin/exec", ask);
      expect(status).toBe(200);
      expect(body.result).toMatchObject({
        status: "rejected",
        error: expect.stringMatching(
          /^restart_service:mail is not allowed on this host; add restart_service:mail to OPSPILOT_ALLOW in \S+/,
        ),
      });
      expect(host.changes()).toEqual([]);
    },
    TEST_LIMIT_MS,
  );

  test(
    "what is ignored is silenced: neither its repeats nor, ignored for good, its next failure is announced",
    async () => {
      const host = await story.host({ OPSPILOT_ALLOW: "restart_service:*" });
      host.systemd.failUnit("noisy.service", "it is loud");
      const { id, message } = await host.announced("noisy.service");
      await until(() => buttonsIn(message).includes("opspilot_ignore"), WAIT);
      await story.slack.press(message, "opspilot_ignore");
      await story.shows(message, /ignored until it is resolved by @ana/);
      expect(buttonsIn(message)).toEqual(["opspilot_more"]);
      host.systemd.failUnit("noisy.service", "it is loud");
      host.systemd.giveUp("noisy.service");
      await until(async () => (await story.get(`/v1/incidents/${id}`)).occurrences === 2, WAIT);
      expect((await story.get(`/v1/incidents/${id}`)).status).toBe("ignored");
      expect(story.messagesOf(id)).toHaveLength(1);

      host.systemd.failUnit("dull.service", "it is dull");
      const dull = await host.announced("dull.service");
      await until(() => buttonsIn(dull.message).includes("opspilot_more"), WAIT);
      await story.slack.press(dull.message, "opspilot_more", { option: "ignore_for_good" });
      await story.shows(dull.message, /ignored for good by @ana/);
      host.systemd.setUnit("dull.service", { ActiveState: "active", SubState: "running", InvocationID: "a" });
      await story.shows(dull.message, /✅ Resolved/);
      host.systemd.failUnit("dull.service", "it is dull");
      const next = await host.incident("dull.service", 2);
      const withheld = await until(async () => {
        const { announcements } = await story.get(`/v1/incidents/${next.id}`);
        const isDecided = announcements.some(({ state }: { state: string }) => state !== "undecided");
        return isDecided && announcements;
      }, WAIT);
      expect(withheld).toMatchObject([
        { outlet: "slack", state: "withheld", why: expect.stringContaining("for good") },
      ]);
      expect(story.messagesOf(next.id)).toEqual([]);
    },
    TEST_LIMIT_MS,
  );

  test(
    "a container that dies is announced with its output, and runs again once Restart is pressed",
    async () => {
      const docker = new EventDocker(story.folder);
      docker.containers.set("web", recordedContainer("web"));
      docker.logs.set("web", recordedLogs("web"));
      docker.start();
      const host = await story.host({
        OPSPILOT_ALLOW: "restart_container:we?",
        OPSPILOT_COLLECTORS: "docker",
        OPSPILOT_DOCKER_SOCKET: `${story.folder}/docker.sock`,
      });
      await until(() => docker.followers > 0, WAIT);
      docker.happen(
        ...recordedEvents("web")
          .filter(({ Action }) => Action === "die")
          .slice(0, 1),
      );
      const { id, message } = await host.announced("web");
      await story.shows(message, /container web \(box\) died with exit code 3/);
      expect(buttonsIn(message)).toEqual(ALL_BUTTONS);
      await story.slack.press(message, "opspilot_restart");
      await story.shows(message, /restarted by @ana, active again after \d+ s/, /✅ Resolved/);
      const restarts = docker.requests.filter((request) => request.startsWith("POST "));
      expect(restarts).toEqual([`POST /v1.41/containers/${recordedContainer("web").Id}/restart`]);
      expect((await story.get(`/v1/incidents/${id}`)).status).toBe("resolved");
      expect(story.messagesOf(id)).toHaveLength(1);
      await host.stop();
      await docker.stop();
    },
    TEST_LIMIT_MS,
  );
});

describe("an agent that is killed", () => {
  let story: Story;
  beforeAll(async () => {
    story = await Story.start({ HEARTBEAT_TIMEOUT: "2s" });
  }, START_LIMIT_MS);
  afterAll(() => story.stop(), START_LIMIT_MS);

  test(
    "is a silent agent in one critical message, which is resolved once it is back",
    async () => {
      const host = await story.host({ OPSPILOT_COLLECTORS: "none" });
      const { connected_at } = await host.state();
      await untilHeardOf(() => host.state(), Date.parse(connected_at) + 2_500);
      await host.kill();
      const { id, message } = await host.announced("agent");
      await story.shows(message, /🔴 Critical/, /No sign of life from/, /agent/);
      expect(buttonsIn(message)).not.toContain("opspilot_restart");
      expect(await story.get(`/v1/incidents/${id}`)).toMatchObject({ type: "host", severity: "critical" });

      await host.start();
      await story.shows(message, /✅ Resolved/);
      // Silent agents are looked for each 2 s.
      await untilHeardOf(() => host.state(), Date.now() + 5_000);
      expect(await host.incidents("agent")).toMatchObject([{ id, status: "resolved", occurrences: 1 }]);
      expect(story.slack.messages).toEqual([message]);
    },
    TEST_LIMIT_MS,
  );
});

/** Waits for a sign of life of the agent from after that moment. */
async function untilHeardOf(state: () => Promise<{ last_seen_at: string }>, ms: number): Promise<void> {
  await until(async () => Date.parse((await state()).last_seen_at) > ms, WAIT);
}
