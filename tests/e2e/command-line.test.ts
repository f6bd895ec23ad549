import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { version } from "../../package.json" with { type: "json" };
import { TestAgent } from "../support/agent.ts";
import { emptyFolder, postmasterPid, removeFolder, runExecutable, runningPostmaster, USERS } from "../support/e2e.ts";
import { freePort, type RunningExecutable, startExecutable } from "../support/executable.ts";
import { rest } from "../support/rest.ts";
import { until } from "../support/until.ts";

const START_LIMIT_MS = 240_000;
/** On a machine that is busy with something else. */
const READY_LIMIT_MS = 60_000;
const TEST_LIMIT_MS = 240_000;
/** From the end of `token revoke` to the end of the socket, on whatever node it is. */
const REVOKE_LIMIT_MS = 1_000;

let empty = "";
beforeAll(async () => {
  empty = await emptyFolder();
}, START_LIMIT_MS);
afterAll(() => removeFolder(empty), START_LIMIT_MS);

/** Runs it in the folder where no server runs. */
const alone = (args: string[], env: Record<string, string> = {}) => runExecutable({ dir: empty, args, env });

const STACK = /^\s+at .*[:(]/m;

describe("the executable without a server", () => {
  test(
    "tells its version",
    async () => {
      const { status, lines } = await alone(["version", "--json"]);
      expect({ status, lines: lines.length }).toEqual({ status: 0, lines: 1 });
      const platform = `${process.platform}-${process.arch}`;
      expect(JSON.parse(lines[0] ?? "")).toMatchObject({ version, bun: Bun.version, platform });
    },
    TEST_LIMIT_MS,
  );

  test(
    "refuses an unknown word",
    async () => {
      const { status, lines } = await alone(["frobnicate"]);
      expect(status).toBe(64);
      expect(lines.join("\n")).toContain("Usage: opspilot");
    },
    TEST_LIMIT_MS,
  );

  test(
    "prints the unit for where it lies",
    async () => {
      const { status, lines } = await alone(["systemd"]);
      expect(status).toBe(0);
      for (const line of [`ExecStart=${join(empty, "opspilot")} serve`, "KillMode=mixed", "TimeoutStopSec=60"])
        expect(lines).toContain(line);
    },
    TEST_LIMIT_MS,
  );

  test.each([[["serve"]], [["migrate"]], [["token", "list"]]])(
    "%p names every mistake in the settings at once",
    async (words) => {
      const wrong = {
        RETENTION: "soon",
        ADMIN_TOKEN: "hunter2",
        LOG_LEVEL: "loud",
        DATABASE_URL: "mysql://hunter2@db",
      };
      const { status, lines } = await alone(words, wrong);
      const text = lines.join("\n");
      expect(status).toBe(78);
      for (const name of Object.keys(wrong)) expect(text).toContain(`  ${name}: expected`);
      expect(text).not.toContain("hunter2");
      expect(text).not.toMatch(STACK);
    },
    TEST_LIMIT_MS,
  );

  test(
    "migrates a database of its own, and leaves nothing running; what `token create` makes there stays",
    async () => {
      const migrated = await alone(["migrate"]);
      expect(migrated).toMatchObject({ status: 0, lines: expect.arrayContaining(["The database is up to date."]) });
      expect(postmasterPid(empty)).toBeUndefined();
      expect((await alone(["token", "create", "--hostname", "web-1"])).status).toBe(0);
      const { status, lines } = await alone(["token", "list"]);
      expect({ status, text: lines.join("\n") }).toEqual({ status: 0, text: expect.stringContaining("web-1") });
      expect(postmasterPid(empty)).toBeUndefined();
    },
    TEST_LIMIT_MS,
  );

  test(
    "says which port is taken, and leaves nothing running",
    async () => {
      const other = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
      const { status, lines } = await alone(["serve"], { PORT: String(other.port) });
      other.stop(true);
      const text = lines.join("\n");
      expect(status).not.toBe(0);
      expect(text).toContain(`port ${other.port} is taken`);
      expect(text).not.toMatch(STACK);
      expect(postmasterPid(empty)).toBeUndefined();
    },
    TEST_LIMIT_MS,
  );
});

describe.each(USERS)("beside a server, as %s", (_, user) => {
  let folder = "";
  let server: RunningExecutable;

  beforeAll(async () => {
    folder = await emptyFolder();
    server = await startExecutable({ dir: folder, ...user, env: { AGENT_ENROLLMENT: "closed" } });
    await server.waitReady(READY_LIMIT_MS);
  }, START_LIMIT_MS);
  afterAll(async () => {
    await server?.stop();
    await removeFolder(folder);
  }, START_LIMIT_MS);

  const beside = (...args: string[]) => runExecutable({ dir: folder, ...user, args });

  async function newAgent(): Promise<{ id: string; token: string }> {
    const { status, lines } = await beside("token", "create", "--hostname", "db-1", "--json");
    expect(status).toBe(0);
    return JSON.parse(lines.find((line) => line.includes('"token"')) ?? "");
  }

  async function connect(token: string): Promise<TestAgent> {
    const agent = await TestAgent.connect(`${server.url.replace("http", "ws")}/v1/stream`);
    agent.send({ ver: "1.1", token });
    return agent;
  }

  test(
    "`migrate` changes nothing",
    async () => {
      const pid = runningPostmaster(folder);
      expect(await beside("migrate")).toMatchObject({ status: 0 });
      expect(postmasterPid(folder)).toBe(pid);
      expect((await rest(server.url, "/readyz")).status).toBe(200);
    },
    TEST_LIMIT_MS,
  );

  test(
    "a token is made, listed and revoked; its socket closes within a second and it opens none any more",
    async () => {
      const { id, token } = await newAgent();
      const agent = await connect(token);
      expect(await agent.frame(0)).toMatchObject({ type: "welcome", agent_id: id });
      await until(async () => (await rest(server.url, `/v1/agents/${id}`)).body.status === "online");

      const listed = (await beside("token", "list")).lines.join("\n");
      expect(listed).toContain(id);
      expect(listed).toContain("db-1");
      expect(listed).not.toContain(token);

      expect((await beside("token", "revoke", id)).status).toBe(0);
      await until(() => agent.closed, { ms: REVOKE_LIMIT_MS, what: "the revoked token's socket is closed" });
      expect(agent.closed?.code).toBe(4401);
      const again = await connect(token);
      expect(await again.ended()).toMatchObject({ code: 1008 });
      expect(again.frames[0]).toMatchObject({ type: "error", code: "unauthorized" });
      expect((await rest(server.url, `/v1/agents/${id}`)).status).toBe(404);
    },
    TEST_LIMIT_MS,
  );

  test(
    "an integration is made, listed, given another token and revoked",
    async () => {
      const made = async (...args: string[]): Promise<{ id: string; token: string; url: string }> => {
        const { status, lines } = await beside("integration", ...args, "--json");
        expect(status).toBe(0);
        return JSON.parse(lines.find((line) => line.includes('"token"')) ?? "");
      };
      const send = async (token: string) => {
        const headers = { authorization: `Bearer ${token}` };
        const body = JSON.stringify({ type: "backup", source: "nightly", message: "it failed" });
        return (await fetch(`${server.url}/v1/alerts`, { method: "POST", headers, body, keepalive: false })).status;
      };
      const { id, token, url, ...rest } = await made("create", "--kind", "generic", "--name", "scripts");
      expect({ url, rest }).toEqual({
        url: expect.stringMatching(/^http:.*\/v1\/alerts$/),
        rest: { kind: "generic", name: "scripts" },
      });
      expect(await send(token)).toBe(202);
      const listed = (await beside("integration", "list")).lines.join("\n");
      expect(listed).toContain(id);
      expect(listed).not.toContain(token);
      expect((await beside("integration", "create", "--kind", "generic", "--name", "Scripts")).status).toBe(1);
      expect((await beside("integration", "create", "--kind", "generic")).status).toBe(64);
      expect((await beside("integration", "create", "--kind", "pigeon", "--name", "x")).status).toBe(64);
      const { token: other } = await made("rotate", id);
      expect([await send(token), await send(other)]).toEqual([401, 202]);
      expect((await beside("integration", "revoke", id)).status).toBe(0);
      expect([await send(other), (await beside("integration", "revoke", id)).status]).toEqual([401, 1]);
    },
    TEST_LIMIT_MS,
  );

  test(
    "`eval` measures by what was said of an incident",
    async () => {
      const { id, token } = await newAgent();
      const agent = await connect(token);
      const logs = "nginx: bind() to 0.0.0.0:80 failed (98: Address already in use)";
      const data = JSON.stringify({ type: "systemd", source: "nginx", message: "nginx failed", logs });
      agent.send({ ver: "1.1", token, type: "alert", id: "eval", data });
      const [incident] = await until(async () => {
        const { body } = await rest(server.url, `/v1/agents/${id}/incidents`);
        return body[0]?.analysis && body;
      });
      expect((await rest(server.url, `/v1/incidents/${incident.id}/feedback`, { verdict: "right" })).status).toBe(200);
      const { status, lines } = await beside("eval");
      expect({ status, lines }).toEqual({ status: 0, lines: expect.arrayContaining(["1 of 1 right: 100.0 %"]) });
      await agent.close();
    },
    TEST_LIMIT_MS,
  );

  test.each([
    ["a second server on its data", async () => undefined],
    ["and one that finds no lock file there", () => rm(join(folder, "data/serve.lock"))],
  ])(
    "%s is refused, names it, and harms nothing",
    async (_, prepare) => {
      await prepare();
      const { id, token } = await newAgent();
      const agent = await connect(token);
      await agent.frame(0);
      const pid = runningPostmaster(folder);
      const env = { PORT: String(await freePort()) };
      const { status, lines } = await runExecutable({ dir: folder, ...user, env });
      const text = lines.join("\n");
      expect({ status, text }).toEqual({ status: 78, text: expect.stringMatching(new RegExp(`\\b${server.pid}\\b`)) });
      expect(text).not.toMatch(STACK);

      expect(postmasterPid(folder)).toBe(pid);
      expect((await rest(server.url, "/readyz")).status).toBe(200);
      agent.send({
        ver: "1.1",
        token,
        type: "alert",
        id: "after",
        data: '{"type":"host","source":"disk","message":"full"}',
      });
      expect(await agent.frame(1)).toEqual({ type: "ack", id: "after" });
      expect((await rest(server.url, `/v1/agents/${id}/incidents`)).body).toHaveLength(1);
      await agent.close();
    },
    TEST_LIMIT_MS,
  );
});
