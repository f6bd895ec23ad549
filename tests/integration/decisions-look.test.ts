import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Registry } from "prom-client";
import type { Reply } from "../../src/announcements/model.ts";
import type { ExecOutcome, ExecRequest } from "../../src/commands/model.ts";
import { createDecisions } from "../../src/decisions/service.ts";
import { createDecisionStore } from "../../src/decisions/store.ts";
import { createIncidentWriter } from "../../src/incidents/write-store.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLoops } from "../../src/lib/loops.ts";
import { commandOf } from "../support/fake-services.ts";
import { quiet } from "../support/log.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.close());

/** A node without a server around it: what it asks of hosts and replies is noted. */
function nodeOf(
  asking: () => Promise<ExecOutcome> = () => Promise.reject(new Error("the host cannot be asked")),
  sql = database.database.sql,
) {
  const replies: { incidentId: number; subject: string; reply: Reply }[] = [];
  const asked: ExecRequest[] = [];
  const clock = createSystemClock();
  const registry = new Registry();
  const decisions = createDecisions({
    sql,
    store: createDecisionStore(sql),
    writer: createIncidentWriter(),
    commands: {
      async exec(request) {
        asked.push(request);
        return asking();
      },
      get: async () => undefined,
    },
    silences: { ignore: async () => undefined },
    announcements: {
      reply: async (_, incidentId, subject, reply) => void replies.push({ incidentId, subject, reply }),
    },
    changeStatus: async () => true,
    loops: createLoops(clock, quiet),
    registry,
    clock,
    log: quiet,
  });
  const isDue = async (id: string) => void (await sql`update decisions set due_at = now() where id = ${id}`);
  return { decisions, replies, asked, registry, isDue };
}

/** A decision whose command has this answer; times are seconds ago. */
async function made(
  action: string,
  answer: {
    status?: string;
    output?: string;
    sentAgo?: number;
    finishedAgo?: number;
    took?: number;
    receivedAgo?: number;
  },
) {
  const { sql } = database.database;
  const [agent, decision, command] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
  const { status = "done", output = null, sentAgo = 10, finishedAgo = 5, took = 100, receivedAgo = 4 } = answer;
  await sql`insert into agents (id, token_hash, hostname) values (${agent}, ${agent}, 'web-1')`;
  const [incident] = await sql<{ id: number }[]>`
    insert into incidents (agent_id, type, source, raw_error, message_chars, fingerprint, last_seen_at)
    values (${agent}, 'systemd', 'nginx', 'x', 1, ${crypto.randomUUID()}, now() - interval '1 h') returning id`;
  const incidentId = incident?.id ?? 0;
  const ago = (seconds: number) => new Date(Date.now() - seconds * 1000);
  await sql`
    insert into commands (id, agent_id, incident_id, command, params, target, actor, status, ttl_s, output, sent_at,
      finished_at, expires_at, duration_ms)
    values (${command}, ${agent}, ${incidentId}, 'restart_service', '{}', 'nginx', 'slack:U1', ${status}, 60, ${output},
      ${ago(sentAgo)}, ${ago(finishedAgo)}, now(), ${took})`;
  await sql`
    insert into events (at, kind, actor, agent_id, incident_id, command_id)
    values (${ago(receivedAgo)}, 'result', 'agent', ${agent}, ${incidentId}, ${command})`;
  await sql`
    insert into decisions (id, incident_id, action, actor, actor_name, outlet, state, command_id)
    values (${decision}, ${incidentId}, ${action}, 'slack:U1', '@ana', 'slack', 'sent', ${command})`;
  return { decision, incidentId };
}

async function carriedAgo(decision: string): Promise<number> {
  const [row] = await database.database.sql<{ ago: number }[]>`
    select extract(epoch from now() - carried_out_at)::float8 as ago from decisions where id = ${decision}`;
  return row?.ago ?? Number.NaN;
}

describe("logs that came", () => {
  test("go beneath the incident's message once, and lose their middle when they are long", async () => {
    const { decisions, replies } = nodeOf();
    const { decision, incidentId } = await made("logs", { output: `first\n${"x".repeat(100_000)}\nlast` });
    await Promise.all([decisions.look(), decisions.look()]);
    await decisions.look();
    expect(replies).toHaveLength(1);
    const [{ subject, reply, incidentId: beneath }] = replies as [(typeof replies)[0]];
    expect({ subject, beneath }).toEqual({ subject: `logs ${decision}`, beneath: incidentId });
    expect(reply.text).toBe("The last 100 lines of nginx on web-1, for @ana");
    expect(reply.file?.name).toBe("nginx.log");
    expect(reply.file?.content).toStartWith("first\n");
    expect(reply.file?.content).toEndWith("\nlast");
    expect(Buffer.byteLength(reply.file?.content ?? "")).toBeLessThanOrEqual(60 * 1024);
  });

  test("are a sentence alone when there are none", async () => {
    const { decisions, replies } = nodeOf();
    await made("logs", { output: "" });
    await decisions.look();
    expect(replies.map(({ reply }) => reply.file)).toEqual([null]);
  });
});

describe("when it was carried out", () => {
  test.each([
    ["is what the host says", { sentAgo: 10, finishedAgo: 6, receivedAgo: 4 }, 6],
    ["is no later than its result, when the host's clock is ahead", { finishedAgo: -7_200 }, 4],
    ["is no earlier than it was sent and took, when the clock is behind", { finishedAgo: 7_200, took: 3_000 }, 7],
  ])("%s", async (_, answer, ago) => {
    const { decisions } = nodeOf();
    const { decision } = await made("restart", answer);
    await decisions.look();
    expect(await carriedAgo(decision)).toBeCloseTo(ago, 0);
  });
});

describe("what is due", () => {
  test("is taken by one node, and taken again only after a while", async () => {
    const { sql } = database.database;
    const nodes = [1, 2, 3].map(() => nodeOf(async () => ({ ok: true, command: commandOf(1) })));
    const { decision, incidentId } = await made("restart", { finishedAgo: 1, receivedAgo: 0 });
    await nodes[0]?.decisions.look();
    await nodes[0]?.isDue(decision);
    await Promise.all(nodes.map(({ decisions }) => decisions.look()));
    await nodes[0]?.decisions.look();
    const asked = nodes.flatMap((node) => node.asked.filter((one) => one.incidentId === incidentId));
    expect(asked.map(({ command }) => command)).toEqual(["service_status"]);
    const [row] = await sql`select due_at > now() as later from decisions where id = ${decision}`;
    expect(row).toEqual({ later: true });
  });

  test("and throws to the end is told to people, counted, and can be decided again", async () => {
    const { decisions, asked, registry, isDue } = nodeOf();
    const { decision, incidentId } = await made("restart", {});
    await decisions.look();
    for (let tries = 1; tries <= 4; tries++) {
      expect((await decisions.get(decision))?.ended_at).toBeNull();
      await isDue(decision);
      await decisions.look();
      await decisions.look();
      expect(asked.filter((one) => one.incidentId === incidentId)).toHaveLength(tries);
    }
    expect(await decisions.get(decision)).toMatchObject({
      state: "no_word",
      outcome: "it could not be found out whether the restart helped",
      ended_at: expect.any(Date),
    });
    expect(await registry.metrics()).toContain("opspilot_decisions_given_up_total 1");
  });

  test("and throws is tried again later each time", async () => {
    const { sql } = database.database;
    const { decisions, isDue } = nodeOf();
    const { decision } = await made("restart", {});
    await decisions.look();
    for (const later of [2, 4, 8]) {
      await isDue(decision);
      await decisions.look();
      const [row] =
        await sql`select extract(epoch from due_at - now())::float8 as s from decisions where id = ${decision}`;
      expect(row?.s).toBeWithin(later - 1, later);
    }
  });

  test("does not wait for one whose host is slow", async () => {
    const never = Promise.withResolvers<ExecOutcome>();
    const slow = nodeOf(() => never.promise);
    const first = await made("restart", {});
    await slow.decisions.look();
    await slow.isDue(first.decision);
    slow.decisions.start();
    await until(() => slow.asked.some(({ incidentId }) => incidentId === first.incidentId), {
      what: "the slow host is asked",
    });
    const second = await made("logs", { output: "a line" });
    slow.decisions.wake();
    await until(() => slow.replies.some(({ subject }) => subject === `logs ${second.decision}`), { what: "the logs" });
    never.resolve({ ok: true, command: commandOf(1) });
    await slow.decisions.stop();
  });
});

test("without open decisions a look is one query", async () => {
  const { sql } = database.database;
  await sql`truncate decisions`;
  let queries = 0;
  const counted = new Proxy(sql, {
    apply(target, self, args) {
      if (Array.isArray(args[0])) queries++;
      return Reflect.apply(target, self, args);
    },
  });
  await nodeOf(undefined, counted).decisions.look();
  expect(queries).toBe(1);
});
