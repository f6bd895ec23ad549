import { afterAll, beforeAll, expect, test } from "bun:test";
import { createCommandService } from "../../src/commands/service.ts";
import { createCommandStore } from "../../src/commands/store.ts";
import { createIncidentWriter } from "../../src/incidents/write-store.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLoops, type LoopOptions } from "../../src/lib/loops.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

const AGENTS = 25_000;

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.close());

/** A node that holds many agents; what it asks of the database is noted, and how long its loop rests. */
async function nodeOf() {
  const { sql } = database.database;
  const nodeId = crypto.randomUUID();
  const agents = Array.from({ length: AGENTS }, () => crypto.randomUUID());
  await sql`insert into agents (id, token_hash, node_id) select id, id::text, ${nodeId} from unnest(${agents}::uuid[]) id`;
  const asked: { bytes: number }[] = [];
  const counted = new Proxy(sql, {
    apply(target, self, args) {
      if (Array.isArray(args[0])) asked.push({ bytes: JSON.stringify(args.slice(1)).length });
      return Reflect.apply(target, self, args);
    },
  });
  const clock = createSystemClock();
  const loops = createLoops(clock, quiet);
  const rests: (number | undefined)[] = [];
  const noting = (options: LoopOptions): LoopOptions => ({
    ...options,
    async turn(signal) {
      const restMs = await options.turn(signal);
      rests.push(restMs);
      return restMs;
    },
  });
  const sent: string[] = [];
  const held = new Set<string>(agents);
  const commands = createCommandService({
    store: createCommandStore(counted, createIncidentWriter()),
    delivery: { holds: (id) => held.has(id), deliver: (_, { id }) => sent.push(id) > 0 },
    whereabouts: async () => "online",
    isShared: async () => false,
    nodeId,
    loops: { ...loops, start: (options) => loops.start(noting(options)) },
    clock,
  });
  return { commands, agents, asked, rests, sent };
}

test("a node with 25,000 agents asks one short question at rest, and sends what waits for them without naming them all", async () => {
  const { commands, agents, asked, rests, sent } = await nodeOf();
  const { sql } = database.database;
  commands.start();
  await until(() => rests.length === 1, { what: "the first look" });
  expect({ asked: asked.length, rests }).toEqual({ asked: 1, rests: [undefined] });
  commands.onNotice(crypto.randomUUID());
  const [agentId = ""] = agents;
  const id = crypto.randomUUID();
  await sql`
    insert into commands (id, agent_id, command, params, target, actor, ttl_s, expires_at)
    values (${id}, ${agentId}, 'ping', '{}', '', 'api:x', 60, now() + interval '5 s')`;
  expect(rests).toHaveLength(1);
  commands.onNotice("");
  await until(() => sent.length === 1, { what: "the command is sent" });
  expect(sent).toEqual([id]);
  await until(() => rests.length >= 3, { what: "the look that finds nothing to send" });
  expect(rests.at(-1)).toBeGreaterThan(60_000);
  await commands.stop();
  expect(asked.length).toBeLessThanOrEqual(10);
  expect(Math.max(...asked.map(({ bytes }) => bytes))).toBeLessThan(1_000);
}, 180_000);
