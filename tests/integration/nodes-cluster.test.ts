import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { TestAgent } from "../support/agent.ts";
import { type Balancer, startBalancer } from "../support/balancer.ts";
import { type DatabaseProxy, startDatabaseProxy } from "../support/database-proxy.ts";
import { freePort } from "../support/executable.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { occurrencesBySource, rest } from "../support/rest.ts";
import { type ServedProcess, serveInProcess } from "../support/served-process.ts";
import { SpoolAgent } from "../support/spool-agent.ts";
import { until } from "../support/until.ts";

const LIMIT_MS = 240_000;
const NODES = 3;
const AGENTS = 6;
/** Alerts of each agent in one go, each of a source of its own. */
const ALERTS = 200;
/** A lease, and what a busy machine makes of the look that comes then. */
const LEASE_MS = 15_000 + 8_000;

let database: TestDatabase;
let way: DatabaseProxy;
let receiver: { url: string; deliveries: string[]; stop(): void };
let nodes: ServedProcess[];
let balancer: Balancer;
beforeAll(async () => {
  database = await createTestDatabase();
  way = await startDatabaseProxy(database.target);
  receiver = startReceiver();
  nodes = await Promise.all((await freePorts()).map(startNode));
  balancer = await startBalancer(nodes.map(({ port }) => port));
}, LIMIT_MS);
afterAll(async () => {
  balancer.stop();
  await Promise.all(nodes.map((node) => node.kill("SIGTERM")));
  receiver.stop();
  await way.stop();
  await database.close();
}, LIMIT_MS);

const startNode = (port: number) =>
  serveInProcess(way.url, port, { WEBHOOK_URL: receiver.url, WEBHOOK_SECRET: "0123456789abcdef" });

async function freePorts(): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < NODES) ports.push(await freePort());
  return ports;
}

/** Takes the webhook's events, and notes which delivery each was of. */
function startReceiver() {
  const deliveries: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      await request.arrayBuffer();
      deliveries.push(request.headers.get("x-opspilot-delivery") ?? "");
      return new Response();
    },
  });
  return { url: server.url.href, deliveries, stop: () => void server.stop(true) };
}

async function createAgent(): Promise<{ id: string; token: string }> {
  return (await rest(balancer.url, "/v1/agents", { hostname: "web-1" })).body;
}

/** An agent that only listens; on that node, or on whichever the balancer chooses. */
async function greet(base = balancer.url): Promise<{ id: string; token: string; socket: TestAgent }> {
  const { id, token } = await createAgent();
  const socket = await TestAgent.connect(`${base.replace("http", "ws")}/v1/stream`);
  socket.send({ ver: "1.1", id: "hello", token, ts: Date.now() / 1000 });
  await until(() => socket.frames.some((frame) => frame.type === "ack"), { what: "the ack" });
  await until(async () => (await statusOf(id)) === "online", { what: "it is online" });
  return { id, token, socket };
}

const sql = () => database.database.sql;
const statusOf = async (id: string) => (await sql()`select status from agents where id = ${id}`)[0]?.status;

interface Loaded {
  id: string;
  spool: SpoolAgent;
}

async function startLoad(prefix: string): Promise<Loaded[]> {
  const sources = Array.from({ length: ALERTS }, (_, n) => `${prefix}-${n}`);
  return Promise.all(
    Array.from({ length: AGENTS }, async () => {
      const { id, token } = await createAgent();
      return { id, spool: new SpoolAgent(balancer.url, token, sources) };
    }),
  );
}

const acknowledged = (load: readonly Loaded[]) => load.reduce((sum, { spool }) => sum + spool.acknowledged.size, 0);

/** Ends a node in the middle of alerts, and starts another in its place. Sockets that were on it close with the code. `gone` is called in between. */
async function replace(
  n: number,
  signal: NodeJS.Signals,
  code: number,
  gone: () => Promise<void> = async () => undefined,
): Promise<void> {
  const node = nodes[n] as ServedProcess;
  const load = await startLoad(`${signal}-${n}`);
  await until(() => acknowledged(load) > (AGENTS * ALERTS) / 10, { what: "the middle of the alerts" });
  await node.kill(signal);
  await gone();
  const starting = startNode(node.port);
  await expectEachOnce(load, [code]);
  nodes[n] = await starting;
}

async function expectEachOnce(load: readonly Loaded[], closings: readonly number[]): Promise<void> {
  for (const { id, spool } of load) {
    await until(() => spool.left === 0, { ms: 30_000, what: "all are acknowledged" });
    expect(await occurrencesBySource(balancer.url, id)).toEqual(new Map(spool.sources.map((source) => [source, 1])));
    expect(spool.surprises).toEqual([]);
    expect(closings).toEqual(expect.arrayContaining(spool.closings));
    spool.stop();
  }
}

describe("three nodes behind a balancer", () => {
  test(
    "a command given to any of them reaches its agent, and each problem is worked on and told once",
    async () => {
      const { id, token, socket } = await greet();
      for (const [n, node] of nodes.entries()) {
        const given = rest(node.url, "/v1/admin/exec", {
          agent_id: id,
          command: "restart_service",
          params: { service: `s-${n}` },
          wait_s: 20,
        });
        const command = await until(() => socket.frames.filter((frame) => frame.type === "command")[n], {
          what: "the command",
        });
        const result = {
          command_id: command.type === "command" ? command.id : "",
          status: "done",
          exit_code: 0,
          output: "ok",
        };
        socket.send({
          ver: "1.1",
          id: `r-${n}`,
          token,
          type: "result",
          ts: Date.now() / 1000,
          data: JSON.stringify(result),
        });
        expect(await given).toMatchObject({ status: 200, body: { result: { status: "done" } } });
      }
      expect(socket.frames.filter((frame) => frame.type === "command")).toHaveLength(NODES);
      await socket.close();

      const one = await createAgent();
      const spool = new SpoolAgent(balancer.url, one.token, ["once-1", "once-2", "once-3"]);
      const told = async () =>
        (
          await sql()`select id from incidents i where agent_id = ${one.id} and status = 'analyzed'
      and exists (select from announcements a where a.incident_id = i.id and a.state = 'sent')`
        ).length;
      await until(async () => (await told()) === 3, { ms: 30_000, what: "all are explained and told" });
      spool.stop();
      const lines = await sql()`
        select kind, count(*)::int as times from events e join incidents i on i.id = e.incident_id
        where i.agent_id = ${one.id} group by kind order by kind`;
      expect(lines.map(({ kind, times }) => `${kind} ${times}`)).toEqual(["announced 3"]);
      expect(receiver.deliveries.toSorted()).toEqual([...new Set(receiver.deliveries)].toSorted());
    },
    LIMIT_MS,
  );

  test(
    "are killed and replaced under load: agents go on elsewhere, nothing is lost or doubled, and who does not is offline within the lease",
    async () => {
      const stranded = await greet(nodes[0]?.url);
      const unhurt = await greet(nodes[2]?.url);
      let offlineMs = Promise.resolve(Number.NaN);
      await replace(0, "SIGKILL", 1006, async () => {
        const killedMs = performance.now();
        expect(await statusOf(stranded.id)).toBe("online");
        const offline = until(async () => (await statusOf(stranded.id)) === "offline", {
          ms: LEASE_MS,
          what: "offline",
        });
        offlineMs = offline.then(() => performance.now() - killedMs);
      });
      await replace(1, "SIGTERM", 1001);
      expect(await statusOf(unhurt.id)).toBe("online");
      await replace(2, "SIGTERM", 1001);
      expect(await unhurt.socket.ended()).toMatchObject({ code: 1001 });
      expect(await offlineMs).toBeLessThan(LEASE_MS);
    },
    LIMIT_MS,
  );

  test(
    "set nobody offline when the database was away for longer than their leases",
    async () => {
      const there = await Promise.all(nodes.map(({ url }) => greet(url)));
      const ready = () => Promise.all(nodes.map(async ({ url }) => (await rest(url, "/readyz")).status));
      way.cut();
      await until(async () => (await ready()).every((status) => status === 503), { what: "none is ready" });
      // As if it had been away for so long.
      await sql()`update nodes set lease_until = lease_until - interval '30 s'`;
      way.mend();
      const seen = new Set<string>();
      const live = async () => (await sql()`select from nodes where lease_until > now()`).length;
      await until(
        async () => {
          for (const { id } of there) seen.add(await statusOf(id));
          return (await live()) === NODES && (await ready()).every((status) => status === 200);
        },
        { ms: 30_000, what: "all are back" },
      );
      for (const { id, socket } of there) {
        seen.add(await statusOf(id));
        expect(socket.closed).toBeUndefined();
        await socket.close();
      }
      expect([...seen]).toEqual(["online"]);
    },
    LIMIT_MS,
  );
});
