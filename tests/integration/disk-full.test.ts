import { expect } from "bun:test";
import { openDatabase } from "../../src/db/client.ts";
import { findRunning } from "../../src/db/embedded/embedded.ts";
import type { TestAgent } from "../support/agent.ts";
import { quiet } from "../support/log.ts";
import { alertFrame, startTestServer, type TestServer } from "../support/server.ts";
import { mountSmallDisk, smallDiskTest } from "../support/small-disk.ts";
import { until } from "../support/until.ts";

const MIB = 2 ** 20;
const AGENT_TOKEN = "a-token-of-an-agent";
const LIMIT = { ms: 60_000 };

interface Told {
  id: number;
  source: string;
  severity: string;
  status: string;
  origin: string;
  type: string;
  analysis: { category: string } | null;
  raw_error: string;
}

async function own(server: TestServer): Promise<Told[]> {
  const { body } = await server.api("/v1/incidents?limit=100");
  return Array.isArray(body) ? body.filter(({ origin }: Told) => origin === "server") : [];
}

const acks = (agent: TestAgent) =>
  agent.frames.flatMap((frame) => (frame.type === "ack" ? [frame.id] : [])).toSorted((a, b) => Number(a) - Number(b));

await smallDiskTest(
  "a disk that fills is told before, holds ingest back when it is full, and costs no alert; with room all goes on by itself",
  async () => {
    const disk = await mountSmallDisk(512 * MIB);
    const settings = { OPSPILOT_DATA_DIR: `${disk.path}/opspilot`, WEBHOOK_SECRET: "a-secret-of-16-characters" };
    const told: string[] = [];
    const outlet = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: async (request) => {
        told.push(await request.text());
        return new Response("ok");
      },
    });
    const start = () => startTestServer("", { ...settings, WEBHOOK_URL: `http://127.0.0.1:${outlet.port}/` });
    let server = await start();
    const target = findRunning(settings.OPSPILOT_DATA_DIR);
    if (!target) throw new Error("the built-in PostgreSQL does not run");
    const database = openDatabase({ target, log: quiet });
    try {
      const agent = await server.connect();
      let sent = 0;
      const send = () => agent.send(alertFrame(String(++sent), AGENT_TOKEN, { source: `service-${sent}` }));
      const sentIds = () => Array.from({ length: sent }, (_, at) => String(at + 1));
      const allAcked = () => acks(agent).length === sent;
      const ready = async () => (await server.api("/readyz")).body;
      const figure = async (name: string) => {
        const text = await (await fetch(`${server.url}/metrics`, { keepalive: false })).text();
        return Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1]);
      };
      send();
      await until(allAcked, LIMIT);
      expect(await ready()).toMatchObject({ status: "ready", checks: { disk: "ok" } });
      expect(await own(server)).toEqual([]);
      expect((await server.api("/v1/agents")).body).toHaveLength(1);

      await disk.fill(100 * MIB);
      const low = await until(async () => (await own(server)).find(({ status }) => status === "analyzed"), LIMIT);
      expect(low).toMatchObject({
        type: "host",
        source: "disk",
        severity: "warning",
        analysis: { category: "disk_full" },
      });
      expect(low.raw_error).toMatch(/opspilot is \d+ % full: 0\.\d\d GiB of 0\.50 GiB left/);
      await until(() => told.some((text) => text.includes('"disk"')), LIMIT);
      expect(await ready()).toMatchObject({ status: "ready" });
      send();
      await until(allAcked, LIMIT);

      await disk.fill(40 * MIB);
      await until(async () => (await ready()).checks.disk !== "ok", LIMIT);
      expect(await ready()).toMatchObject({ status: "unavailable", checks: { disk: expect.stringContaining("full") } });
      const full = (await own(server)).find(({ source }) => source === "ingest");
      expect(full).toMatchObject({ severity: "critical", type: "host" });
      const before = acks(agent).length;
      for (let n = 0; n < 20; n++) send();
      await until(async () => (await figure("opspilot_ingest_queue_bytes")) > 0, LIMIT);
      expect(await figure("opspilot_ingest_held")).toBe(1);
      expect(acks(agent)).toHaveLength(before);

      // Somebody else takes the rest, and the database is asked to write all the same.
      await disk.fill(0);
      const writing = database.sql`create table spill as select repeat(md5(g::text), 100) from generate_series(1, 50000) g`;
      await expect(writing.then(() => "written")).rejects.toThrow();
      // It dies of it, and cannot come back.
      process.kill(
        Number.parseInt(await Bun.file(`${settings.OPSPILOT_DATA_DIR}/data/postmaster.pid`).text(), 10),
        "SIGKILL",
      );
      await until(async () => (await figure("opspilot_postgres_up")) === 0, LIMIT);
      for (let n = 0; n < 20; n++) send();
      await until(async () => (await ready()).checks.database === "away", LIMIT);
      expect(acks(agent)).toHaveLength(before);

      await disk.empty();
      await until(allAcked, { ms: 120_000 });
      expect(acks(agent)).toEqual(sentIds());
      await until(async () => (await own(server)).every(({ status }) => status === "resolved"), LIMIT);
      expect((await own(server)).map(({ source }) => source).toSorted()).toEqual(["disk", "ingest"]);
      await until(async () => (await ready()).status === "ready", LIMIT);
      expect(await figure("opspilot_ingest_held")).toBe(0);
      expect(await figure("opspilot_postgres_restarts_total")).toBe(1);
      await agent.close();

      // What is on the disk is sound: another start finds all of it, and each page can be read.
      await database.close();
      await server.stop();
      server = await start();
      const { body } = await server.api("/v1/incidents?limit=1000");
      expect(body.filter(({ origin }: Told) => origin === "agent")).toHaveLength(sent);
      expect(await ready()).toMatchObject({ status: "ready", checks: { disk: "ok" } });
    } finally {
      await database.close();
      await server.stop();
      outlet.stop(true);
      await disk.unmount();
    }
  },
  400_000,
);
