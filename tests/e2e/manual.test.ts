import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { emptyFolder, isAlive, removeFolder, runningPostmaster, USERS } from "../support/e2e.ts";
import { type RunningExecutable, startExecutable } from "../support/executable.ts";
import { gzipped } from "../support/frames.ts";
import { rest } from "../support/rest.ts";
import { until } from "../support/until.ts";
import { connectWscat, type Wscat } from "../support/wscat.ts";

const START_LIMIT_MS = 240_000;
/** On a machine that is busy with something else. */
const READY_LIMIT_MS = 60_000;
const TEST_LIMIT_MS = 240_000;

const HEARTBEAT =
  '{"ver":"1.0","ts":1706140800,"token":"my-secret-token","type":"heartbeat","data":"","compression":"none"}';
const CRASH = gzipped({
  type: "systemd",
  source: "nginx",
  message: "nginx crashed",
  logs: "error logs",
  exit_code: 1,
});
const ALERT = `{"ver":"1.0","ts":1706140800,"token":"my-secret-token","type":"alert","data":"${CRASH}","compression":"gzip"}`;

describe.each(USERS)("the manual, as %s", (_, user) => {
  let folder = "";
  let server: RunningExecutable;
  let wscat: Wscat;

  beforeAll(async () => {
    folder = await emptyFolder();
    server = await startExecutable({ dir: folder, ...user });
    await server.waitReady(READY_LIMIT_MS);
    wscat = await connectWscat(`ws://localhost:${new URL(server.url).port}/v1/stream`);
  }, START_LIMIT_MS);

  afterAll(async () => {
    await wscat?.quit();
    await server?.stop();
    await removeFolder(folder);
  }, START_LIMIT_MS);

  /** The only agent there is. */
  async function onlyAgent() {
    const { status, body } = await rest(server.url, "/v1/agents");
    expect({ status, agents: body.length }).toEqual({ status: 200, agents: 1 });
    return body[0];
  }

  test(
    "a heartbeat brings the agent online, and a stranger's token is nowhere to be seen",
    async () => {
      expect((await rest(server.url, "/v1/agents")).body).toEqual([]);
      wscat.type(HEARTBEAT);
      const isThere = async () => (await rest(server.url, "/v1/agents")).body.length > 0;
      await until(isThere, { what: "the agent is listed" });
      const isHeard = async () => {
        const { status, last_seen_at } = await onlyAgent();
        return status === "online" && last_seen_at !== null;
      };
      await until(isHeard, { what: "the heartbeat is recorded" });
      expect(await onlyAgent()).toMatchObject({ hostname: null });
      expect(JSON.stringify(await onlyAgent())).not.toContain("secret");
    },
    TEST_LIMIT_MS,
  );

  test(
    "an alert becomes an incident",
    async () => {
      const { id } = await onlyAgent();
      wscat.type(ALERT);
      const path = `/v1/agents/${id}/incidents`;
      const isExplained = async () => (await rest(server.url, path)).body[0]?.status === "analyzed";
      await until(isExplained, { what: "the incident is listed, and explained" });
      const { body } = await rest(server.url, path);
      expect(body).toHaveLength(1);
      expect(body[0]).toMatchObject({
        type: "systemd",
        source: "nginx",
        exit_code: 1,
        status: "analyzed",
        occurrences: 1,
      });
      expect(body[0].raw_error).toContain("nginx crashed");
      expect(body[0].raw_error).toContain("error logs");
    },
    TEST_LIMIT_MS,
  );

  test(
    "a command reaches the socket",
    async () => {
      const { id } = await onlyAgent();
      const order = { agent_id: id, command: "restart_service", params: { service: "nginx" } };
      const { status, body } = await rest(server.url, "/v1/admin/exec", order);
      expect({ status, body }).toMatchObject({ status: 200, body: { status: "sent" } });
      await until(() => wscat.frames().length > 0, { what: "wscat shows a frame" });
      const { command, params } = order;
      expect(wscat.frames()).toEqual([
        { type: "command", id: body.command_id, command, params, ttl_s: expect.any(Number) },
      ]);
    },
    TEST_LIMIT_MS,
  );

  test("PostgreSQL is at work, and not as root", () => {
    const pid = runningPostmaster(folder);
    expect(statSync(`/proc/${pid}`).uid).not.toBe(0);
  });

  test(
    "Ctrl-C in wscat takes the agent offline; SIGTERM ends the server and its PostgreSQL",
    async () => {
      const pid = runningPostmaster(folder);
      await wscat.quit();
      await until(async () => (await onlyAgent()).status === "offline", { what: "the agent is offline" });
      expect(await server.stop("SIGTERM")).toBe(0);
      expect(isAlive(pid)).toBeFalse();
    },
    TEST_LIMIT_MS,
  );
});
