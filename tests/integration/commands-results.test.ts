import { afterAll, beforeAll, expect, test } from "bun:test";
import type { TransactionSql } from "postgres";
import { type AgentResult, createCommandStore } from "../../src/commands/store.ts";
import { createIncidentWriter } from "../../src/incidents/write-store.ts";
import type { ResultPayload } from "../../src/protocol/frames.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.close());

/** Commands of a new agent in this state. */
async function commandsOf(count: number, status = "sent") {
  const { sql } = database.database;
  const agentId = crypto.randomUUID();
  await sql`insert into agents (id, token_hash) values (${agentId}, ${agentId})`;
  const ids = Array.from({ length: count }, () => crypto.randomUUID());
  await sql`
    insert into commands (id, agent_id, command, params, target, actor, status, ttl_s, sent_at, expires_at)
    select id, ${agentId}, 'ping', '{}', id::text, 'api:x', ${status}, 60, now(), now() from unnest(${ids}::uuid[]) id`;
  return { agentId, ids };
}

function resultOf(agentId: string, id: string, result: Partial<ResultPayload> = {}): AgentResult {
  return { agentId, result: { command_id: id, status: "done", ...result } };
}

/** Records as ingest does, and counts the statements. */
async function record(results: readonly AgentResult[]) {
  const store = createCommandStore(database.database.sql, createIncidentWriter());
  let statements = 0;
  const effects = await database.database.sql.begin((tx) => {
    const counted = new Proxy(tx, {
      apply(target, self, args) {
        statements++;
        return Reflect.apply(target as never, self, args);
      },
    });
    return store.recordResults(counted as TransactionSql, results);
  });
  return { effects, statements };
}

test("results of one frame cost as many statements as one result, and are each stored once, with a line and a notice", async () => {
  const { sql } = database.database;
  const noticed: string[] = [];
  const session = database.database.createSession({ onNotify: (_, payload) => noticed.push(...payload.split(",")) });
  await session`listen opspilot_commands`;
  const one = await commandsOf(1);
  const many = await commandsOf(500);
  const single = await record(one.ids.map((id) => resultOf(one.agentId, id)));
  const batch = await record(
    many.ids.map((id, n) => resultOf(many.agentId, id, { output: `output ${n}`, exit_code: n })),
  );
  expect(batch.statements).toBe(single.statements);
  expect(new Set(batch.effects)).toEqual(new Set(["stored"]));
  const rows = await sql`select output, exit_code from commands where agent_id = ${many.agentId} and status = 'done'`;
  expect(rows.map((row) => row.output).sort()).toEqual(many.ids.map((_, n) => `output ${n}`).sort());
  expect(rows.every((row) => row.output === `output ${row.exit_code}`)).toBe(true);
  const lines =
    await sql`select command_id from events where agent_id = ${many.agentId} and kind = 'result' order by id`;
  expect(lines.map((line) => line.command_id)).toEqual(many.ids);
  await until(() => noticed.length === 501, { what: "a notice of each" });
  expect(new Set(noticed)).toEqual(new Set([...one.ids, ...many.ids]));
});

test("in one frame the first result of a command counts; late, strange and unknown ones are told apart", async () => {
  const { sql } = database.database;
  const [mine, other, expired] = [await commandsOf(2), await commandsOf(1), await commandsOf(1, "expired")];
  const [first = "", second = ""] = mine.ids;
  const [strange = ""] = other.ids;
  const [late = ""] = expired.ids;
  const { effects } = await record([
    resultOf(mine.agentId, second, { output: "second" }),
    resultOf(mine.agentId, first, { output: "first", status: "failed" }),
    resultOf(mine.agentId, first, { output: "again" }),
    resultOf(mine.agentId, strange),
    resultOf(expired.agentId, late, { output: "late", duration_ms: 12.6 }),
    resultOf(expired.agentId, late, { output: "later" }),
    resultOf(mine.agentId, crypto.randomUUID()),
  ]);
  expect(effects).toEqual(["stored", "stored", "repeated", "unknown", "late", "repeated", "unknown"]);
  const rows =
    await sql`select id, status, late, output, duration_ms from commands where id = any(${[first, second, strange, late]}::uuid[])`;
  const byId = new Map(rows.map(({ id, ...row }) => [id, row]));
  expect(byId.get(first)).toMatchObject({ status: "failed", late: false, output: "first" });
  expect(byId.get(second)).toMatchObject({ status: "done", late: false, output: "second" });
  expect(byId.get(strange)).toMatchObject({ status: "sent", output: null });
  expect(byId.get(late)).toMatchObject({ status: "expired", late: true, output: "late", duration_ms: "13" });
  const { effects: repeated } = await record([resultOf(expired.agentId, late), resultOf(mine.agentId, first)]);
  expect(repeated).toEqual(["repeated", "repeated"]);
});

test("two batches that bring the same results in other orders do not wait for each other for ever", async () => {
  const { agentId, ids } = await commandsOf(200);
  const results = ids.map((id) => resultOf(agentId, id));
  const both = await Promise.all([record(results), record(results.toReversed())]);
  const stored = both.flatMap(({ effects }) => effects.filter((effect) => effect === "stored"));
  expect(stored).toHaveLength(200);
});
