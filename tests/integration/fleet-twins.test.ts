import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { checkDatabase } from "../../src/doctor/database.ts";
import { createTwinStore } from "../../src/fleet/twin-store.ts";
import { fieldsOf } from "../../src/lib/json.ts";
import type { TestAgent } from "../support/agent.ts";
import { HostAgent } from "../support/host-agent.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { alertFrame, startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** A node looks for nothing before it knows which others live. */
const FIRST_LOOK = { ms: 25_000 };

let database: TestDatabase;
let nodes: TestServer[] = [];
let dir = "";

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "opspilot-twins-"));
  database = await createTestDatabase();
  nodes = [await startTestServer(database.url), await startTestServer(database.url)];
});
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await database.close();
  rmSync(dir, { recursive: true });
});
const sql = () => database.database.sql;
const node = (n: number) => nodes[n] as TestServer;

/** What a heartbeat says of who sends it. */
interface Host {
  hostname?: string;
  instance?: unknown;
}

/** A host that has booted, and runs an agent. */
const bootedHost = (name: string, boot: string = crypto.randomUUID()) => ({
  hostname: name,
  instance: { run: crypto.randomUUID(), boot },
});

async function createAgent(name = "web-1"): Promise<{ id: string; token: string }> {
  return (await node(0).api("/v1/agents", { method: "POST", body: { hostname: name } })).body;
}

function beat(socket: TestAgent, token: string, host: Host): void {
  const data = JSON.stringify(host);
  socket.send({ ver: "1.1", id: crypto.randomUUID(), token, ts: Date.now() / 1000, type: "heartbeat", data });
}

const keyOf = ({ instance, hostname: name }: Host) => {
  const { run } = fieldsOf(instance);
  return run === undefined ? `name:${name}` : `run:${run}`;
};

/** The host connects; resolves once the server has taken note of who it is. */
async function comes(agent: { id: string; token: string }, host: Host, server = node(0)): Promise<TestAgent> {
  const socket = await server.connect();
  beat(socket, agent.token, host);
  const isNoted = async () =>
    (
      await sql()`
        select from token_hosts
        where agent_id = ${agent.id} and instance = ${keyOf(host)} and hostname = ${host.hostname ?? ""} and left_at is null`
    ).length === 1;
  await until(isNoted, { what: `${host.hostname} is noted` });
  return socket;
}

async function comeByTurns(agent: { id: string; token: string }, hosts: readonly Host[], servers = nodes) {
  const sockets: TestAgent[] = [];
  for (const [n, host] of hosts.entries())
    sockets.push(await comes(agent, host, servers[n % servers.length] as TestServer));
  return sockets;
}

const sharedSince = async (id: string) =>
  (await sql()`select shared_since from agents where id = ${id}`)[0]?.shared_since as Date | null;
const incidents = async (id: string) =>
  (await sql()`select * from incidents where agent_id = ${id} and origin = 'server' order by id`) as unknown as {
    id: number;
    type: string;
    source: string;
    severity: string;
    raw_error: string;
    status: string;
    occurrences: number;
  }[];
const told = (id: string, source: string, { status = "open", ms = FIRST_LOOK.ms } = {}) =>
  until(
    async () =>
      (await incidents(id)).find((one) => one.source === source && (one.status === "resolved") === (status !== "open")),
    { ms, what: `an incident of ${source} that is ${status}` },
  );
/** The host was heard of last so many minutes ago, when the servers ran already. */
async function minutesAgo(id: string, host: Host, minutes: number): Promise<void> {
  await sql()`delete from outages`;
  await sql()`
    update token_hosts set left_at = now() - ${minutes} * interval '1 min', heard_at = now() - ${minutes + 1} * interval '1 min',
      first_at = least(first_at, now() - ${minutes + 1} * interval '1 min')
    where agent_id = ${id} and instance = ${keyOf(host)}`;
}

describe("two hosts with one token", () => {
  test("are named in one incident, whichever node each comes to, also after the servers were started again", async () => {
    const agent = await createAgent();
    const [web1, web2] = [bootedHost("web-1"), bootedHost("web-2")];
    await comeByTurns(agent, [web1, web2, web1]);
    expect(await sharedSince(agent.id)).toBeNull();
    await comes(agent, web2, node(1));
    const incident = await told(agent.id, "token");
    expect(incident).toMatchObject({ type: "host", severity: "warning", occurrences: 1 });
    expect(incident.raw_error).toStartWith("Two hosts use one token: web-1 and web-2. ");
    expect(incident.raw_error).toContain("`opspilot token create`");
    const shown = (await node(0).api(`/v1/agents/${agent.id}`)).body;
    expect([shown.hostname, shown.shared_with]).toEqual(["web-2", ["web-1"]]);
    const { findings } = await checkDatabase({ database: { url: database.url, directUrl: null }, dataDir: "/" }, quiet);
    const doubts = findings.filter(({ name }) => name === "tokens");
    expect(doubts.map(({ text }) => text)).toEqual(["several hosts use one token: web-1, web-2"]);

    await Promise.all(nodes.map((one) => one.stop()));
    nodes = [await startTestServer(database.url), await startTestServer(database.url)];
    await comeByTurns(agent, [web1, web2, web1, web2]);
    await until(async () => (await sql()`select from nodes where started_at < now() - interval '12 s'`).length === 2, {
      ...FIRST_LOOK,
      what: "both have looked",
    });
    expect((await incidents(agent.id)).map(({ occurrences }) => occurrences)).toEqual([1]);
  }, 180_000);

  test.each<[string, Host[], string]>([
    [
      "that are clones with one name",
      [
        { hostname: "golden", instance: { run: "a", boot: "boot-a" } },
        { hostname: "golden", instance: { run: "b", boot: "boot-b" } },
      ],
      "Two hosts that are both named golden use one token",
    ],
    [
      "that are one host with two agents",
      [
        { hostname: "web-1", instance: { run: "a", boot: "boot-a" } },
        { hostname: "web-1", instance: { run: "b", boot: "boot-a" } },
      ],
      "Two agents on web-1 use one token",
    ],
    [
      "that say no more than their names",
      [{ hostname: "web-1" }, { hostname: "web-2" }],
      "Two hosts use one token: web-1 and web-2",
    ],
    [
      "whose agent calls something else an instance",
      [
        { hostname: "web-1", instance: "i-0abc" },
        { hostname: "web-2", instance: ["i-0def"] },
      ],
      "Two hosts use one token: web-1 and web-2",
    ],
  ])(
    "%s are told apart",
    async (_, [one = {}, other = {}], words) => {
      const agent = await createAgent();
      await comeByTurns(agent, [one, other, one, other]);
      expect((await told(agent.id, "token")).raw_error).toStartWith(`${words}. `);
    },
    180_000,
  );

  test("are told by another server where the first one died before it could", async () => {
    const agent = await createAgent();
    await sql()`
      insert into token_hosts (agent_id, instance, hostname, returns)
      select ${agent.id}, 'run:' || name, name, 1 from unnest('{db-1,db-2}'::text[]) name`;
    await sql()`update agents set shared_since = date_trunc('milliseconds', now()) where id = ${agent.id}`;
    expect((await told(agent.id, "token", { ms: 70_000 })).occurrences).toBe(1);
  }, 180_000);

  test("both have their alerts taken, and nothing is restarted for either", async () => {
    const agent = await createAgent();
    const [web1, web2] = [bootedHost("web-1"), bootedHost("web-2")];
    const sockets = await comeByTurns(agent, [web1, web2, web1, web2]);
    for (const [n, host] of [web1, web2].entries()) {
      const socket = await comes(agent, host);
      socket.send(alertFrame(`alert-${n}`, agent.token, { source: `service-${n}` }));
      await until(() => socket.frames.some((frame) => frame.type === "ack" && frame.id === `alert-${n}`));
      sockets.push(socket);
    }
    const found =
      await sql()`select source from incidents where agent_id = ${agent.id} and origin = 'agent' order by id`;
    expect(found.map(({ source }) => source)).toEqual(["service-0", "service-1"]);
    const exec = (command: string) =>
      node(1).api("/v1/admin/exec", {
        method: "POST",
        body: { agent_id: agent.id, command, params: { service: "nginx" } },
      });
    expect(await exec("restart_service")).toMatchObject({ status: 409, body: { code: "token_shared" } });
    expect(await exec("service_status")).toMatchObject({ status: 200, body: { status: "sent" } });
    expect(sockets.at(-1)?.frames.flatMap((frame) => (frame.type === "command" ? [frame.command] : []))).toEqual([
      "service_status",
    ]);
  }, 180_000);
});

describe("what is normal makes no incident:", () => {
  const life = (run: number, boot: number, name = "web-1"): Host => ({
    hostname: name,
    instance: { run: `run-${run}`, boot: `boot-${boot}` },
  });
  test.each<[string, Host[]]>([
    ["a connection that is made again and again", [1, 1, 1, 1, 1, 1].map((run) => life(run, 1))],
    ["an agent that is started again and again", [1, 2, 3, 4, 5, 6].map((run) => life(run, 1))],
    ["a host that boots again and again", [1, 2, 3, 4, 5, 6].map((run) => life(run, run))],
    ["a host that is renamed, there and back", ["a", "b", "a", "b", "a"].map((name) => life(1, 1, name))],
    ["a container with another name each time", ["a", "b", "c", "d", "e"].map((name) => ({ hostname: name }))],
    ["an agent that moved to another machine", [life(1, 1), life(1, 1), life(2, 2, "web-2"), life(2, 2, "web-2")]],
    ["another host that came once", [life(1, 1), life(2, 2, "test"), life(1, 1), life(1, 1)]],
    [
      "an agent that was replaced by one that says who it is",
      [{ hostname: "web-1" }, life(1, 1), { hostname: "web-1" }],
    ],
  ])("%s", async (_, hosts) => {
    const agent = await createAgent();
    await comeByTurns(agent, hosts);
    expect(await sharedSince(agent.id)).toBeNull();
  });

  test("a host that is renamed while it is connected, also where it says no more than its name", async () => {
    const agent = await createAgent();
    const socket = await comes(agent, { hostname: "localhost" });
    for (const name of ["web-1", "localhost", "web-1", "localhost", "web-1"]) {
      beat(socket, agent.token, { hostname: name });
      const isNoted = async () =>
        (await sql()`select hostname from token_hosts where agent_id = ${agent.id}`)[0]?.hostname === name;
      await until(isNoted, { what: `${name} is noted` });
    }
    expect(await sql()`select from token_hosts where agent_id = ${agent.id}`).toHaveLength(1);
    expect(await sharedSince(agent.id)).toBeNull();
  });

  test("what was heard before the agent came elsewhere, and is written after that", async () => {
    const agent = await createAgent();
    const store = createTwinStore(sql());
    const [former, present] = [bootedHost("web-1"), bootedHost("web-2")];
    const note = (connectionId: string, { hostname: name, instance }: typeof former, ageMs = 0) =>
      store.note([
        {
          agentId: agent.id,
          connectionId,
          instance: `run:${instance.run}`,
          boot: instance.boot,
          hostname: name,
          ageMs,
        },
      ]);
    const connections = [crypto.randomUUID(), crypto.randomUUID()] as const;
    const claim = (id: string) => sql()`update agents set connection_id = ${id} where id = ${agent.id}`;
    await claim(connections[0]);
    await note(connections[0], former);
    await claim(connections[1]);
    await note(connections[1], present);
    expect(await note(connections[0], former)).toEqual({ noted: [], shared: 0 });
    await claim(connections[0]);
    await note(connections[0], former, 60_000);
    const returns = await sql()`select returns from token_hosts where agent_id = ${agent.id}`;
    expect(returns.map((row) => row.returns)).toEqual([0, 0]);
  });

  test("an agent that goes on costs no write", async () => {
    const agent = await createAgent();
    const web1 = bootedHost("web-1");
    await comes(agent, web1);
    const version = async () => (await sql()`select xmin from token_hosts where agent_id = ${agent.id}`)[0]?.xmin;
    const before = await version();
    const socket = await comes(agent, web1, node(1));
    const later: Host & { os: string } = { ...web1, os: "later" };
    beat(socket, agent.token, later);
    await until(() => socket.frames.filter((frame) => frame.type === "ack").length === 2);
    await until(async () => (await node(1).api(`/v1/agents/${agent.id}`)).body.meta?.os === "later");
    expect(await version()).toBe(before);
  });
});

describe("one of two hosts with one token", () => {
  async function share() {
    const agent = await createAgent();
    const [web1, web2] = [bootedHost("web-1"), bootedHost("web-2")];
    await comeByTurns(agent, [web1, web2, web1, web2, web1]);
    await told(agent.id, "token");
    return { agent, web1, web2 };
  }

  test("that goes dark is told, and its return ends that; the token is shared all the time", async () => {
    const { agent, web2 } = await share();
    await minutesAgo(agent.id, web2, 3);
    const dark = await told(agent.id, "token:web-2");
    expect(dark).toMatchObject({ type: "host", severity: "critical" });
    expect(dark.raw_error).toBe("No sign of life from web-2, which uses one token with web-1");
    await comes(agent, web2, node(1));
    await told(agent.id, "token:web-2", { status: "resolved" });
    expect((await incidents(agent.id)).map(({ source, occurrences }) => [source, occurrences])).toEqual([
      ["token", 1],
      ["token:web-2", 1],
    ]);
    expect((await incidents(agent.id))[0]?.status).not.toBe("resolved");
  }, 180_000);

  test("that boots, or whose agent starts again, is not missed as what it was", async () => {
    const { agent, web1, web2 } = await share();
    const booted = bootedHost("web-2");
    await comes(agent, booted);
    await comes(agent, web1);
    await minutesAgo(agent.id, web2, 3);
    await sql()`update token_hosts set first_at = now() - interval '3 min' where agent_id = ${agent.id} and instance = ${keyOf(booted)}`;
    const other = await share();
    await minutesAgo(other.agent.id, other.web2, 3);
    await told(other.agent.id, "token:web-2");
    expect((await incidents(agent.id)).map(({ source }) => source)).toEqual(["token"]);
  }, 180_000);

  test("that gets a token of its own leaves the other: both incidents are over", async () => {
    const { agent, web2 } = await share();
    await minutesAgo(agent.id, web2, 3);
    await told(agent.id, "token:web-2");
    const own = await createAgent("web-2");
    await comes(own, bootedHost("web-2", web2.instance.boot));
    await told(agent.id, "token", { status: "resolved" });
    await told(agent.id, "token:web-2", { status: "resolved" });
    await until(async () => (await sharedSince(agent.id)) === null);
    expect((await node(0).api(`/v1/agents/${agent.id}`)).body.shared_with).toEqual([]);
  }, 180_000);

  test("is alone for a day: then the token is shared no more", async () => {
    const { agent, web2 } = await share();
    await minutesAgo(agent.id, web2, 1_450);
    await told(agent.id, "token", { status: "resolved" });
  }, 180_000);

  test("has no part in it once the token is another", async () => {
    const { agent } = await share();
    await node(1).api(`/v1/agents/${agent.id}/rotate-token`, { method: "POST" });
    await told(agent.id, "token", { status: "resolved" });
  }, 180_000);

  test("goes on though a person said it was done: it is told anew", async () => {
    const { agent, web1, web2 } = await share();
    const { id } = await told(agent.id, "token");
    await node(0).api(`/v1/incidents/${id}`, { method: "PATCH", body: { status: "resolved" } });
    await until(async () => (await sharedSince(agent.id)) === null, FIRST_LOOK);
    await comeByTurns(agent, [web2, web1, web2, web1]);
    const again = await told(agent.id, "token");
    expect(again.id).not.toBe(id);
  }, 180_000);
});

describe("two agents with one token", () => {
  test("take turns, and both deliver what they have", async () => {
    const token = "token-of-two-agents";
    const start = (name: string) =>
      HostAgent.start(node(0).url.replace("http", "ws"), { dir: join(dir, name), env: { OPSPILOT_TOKEN: token } });
    const agents = [await start("one"), await start("two")];
    try {
      const find = async () =>
        (
          await sql()`select agent_id from incidents where raw_error like ${`Two agents on ${hostname()} use one token%`}`
        )[0];
      const found = await until(find, { ms: 40_000, what: "the incident" });
      await Promise.all(agents.map((agent, n) => agent.report({ source: `service-${n}` })));
      const sources = async () => sql()`
        select source from incidents where agent_id = ${found.agent_id} and origin = 'agent'`;
      await until(async () => (await sources()).length === 2, { ms: 20_000, what: "both alerts" });
      for (const agent of agents) expect(agent.said("error").join()).toContain("another agent uses this agent's token");
    } finally {
      await Promise.all(agents.map((agent) => agent.stop()));
    }
  }, 180_000);
});
