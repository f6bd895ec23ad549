import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createHmac, timingSafeEqual } from "node:crypto";
import { redact } from "../../src/analysis/redact.ts";
import { createFeedback } from "../../src/feedback/service.ts";
import { createFeedbackStore } from "../../src/feedback/store.ts";
import { createIncidentWriter } from "../../src/incidents/write-store.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { DeliveryError } from "../../src/lib/errors.ts";
import { createWebhookNotifier } from "../../src/webhook/notifier.ts";
import { createNode, type TestNode } from "../support/announcements.ts";
import { addAgent, addIncident } from "../support/incident-rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { stormView } from "../support/slack-views.ts";
import { until } from "../support/until.ts";

const SECRET = "a-secret-that-two-share";

interface Delivery {
  event: string | null;
  delivery: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: JSON as a receiver sees it
  body: any;
}

let database: TestDatabase;
let agent: string;
let node: TestNode | undefined;
let receiver: ReturnType<typeof startReceiver>;

/** Takes deliveries as a careful receiver does: a wrong or stale signature is refused, and one that comes twice is known. */
function startReceiver() {
  const taken: Delivery[] = [];
  const statuses: number[] = [];
  const answers: (() => Response)[] = [];
  const server = Bun.serve({
    port: 0,
    async fetch(request) {
      const text = await request.text();
      const answer = answers.shift()?.() ?? new Response("", { status: isAuthentic(request, text) ? 204 : 401 });
      statuses.push(answer.status);
      const { headers } = request;
      if (answer.ok) {
        const delivery = headers.get("x-opspilot-delivery");
        const isKnown = taken.some((one) => one.delivery === delivery);
        if (!isKnown) taken.push({ event: headers.get("x-opspilot-event"), delivery, body: JSON.parse(text) });
      }
      return answer;
    },
  });
  return { url: `http://127.0.0.1:${server.port}/hook?key=1`, taken, statuses, answers, stop: () => server.stop(true) };
}

function isAuthentic({ headers }: Request, body: string): boolean {
  const timestamp = headers.get("x-opspilot-timestamp") ?? "";
  const given = Buffer.from(headers.get("x-opspilot-signature") ?? "");
  const right = Buffer.from(`v1=${createHmac("sha256", SECRET).update(`${timestamp}.${body}`).digest("hex")}`);
  const isFresh = Math.abs(Date.now() / 1000 - Number(timestamp)) < 300;
  return isFresh && given.length === right.length && timingSafeEqual(given, right);
}

beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  agent = await addAgent(database);
  receiver = startReceiver();
});
afterEach(async () => {
  await node?.stop();
  node = undefined;
  await receiver.stop();
  await database.database.sql`truncate announcements, events, alerts, incidents, agents cascade`;
});
afterAll(() => database.close());

const notifier = (url = receiver.url) =>
  createWebhookNotifier({ url, secret: SECRET, redact, clock: createSystemClock() });

async function announce(): Promise<number> {
  node ??= createNode(database, [notifier()]);
  node.start();
  const id = await addIncident(database, agent);
  await node.decide([id]);
  node.wake();
  return id;
}
/** Something changed incidents, and whoever follows them is woken. */
const change = async (changing: PromiseLike<unknown>) => {
  await changing;
  node?.wake();
};
const events = () => receiver.taken.map((one) => one.event);
const stateOf = async (id: number) => {
  const [row] = await database.database.sql`select state, last_error from announcements where incident_id = ${id}`;
  return row;
};

describe("a webhook", () => {
  test("is told of the announcement, changes of state and the end, each signed", async () => {
    const { sql } = database.database;
    const id = await announce();
    await until(() => receiver.taken.length === 1);
    expect(receiver.taken[0]?.body).toMatchObject({
      event: "incident.announced",
      incident: {
        id,
        agent_id: agent,
        hostname: "web-01",
        status: "analyzed",
        severity: "warning",
        why: "a new problem on this host",
        explanation: {
          by: "heuristic",
          category: "port_conflict",
          cause: "Port 80 is taken.",
          evidence: ["bind() failed"],
        },
        url: `https://ops.example.com/app/incidents/${id}`,
      },
    });
    expect(receiver.taken[0]?.body.delivery).toBe(receiver.taken[0]?.delivery);
    await change(
      sql`update incidents set status = 'acknowledged', updated_at = now(), revision = revision + 1 where id = ${id}`,
    );
    await until(() => receiver.taken.length === 2);
    await change(
      sql`update incidents set occurrences = 7, updated_at = now(), revision = revision + 1 where id = ${id}`,
    );
    await until(async () => {
      const [row] =
        await sql`select a.shown_revision = i.revision as is_shown from announcements a join incidents i on i.id = a.incident_id`;
      return row?.is_shown;
    });
    await change(
      sql`update incidents set status = 'resolved', resolved_at = now(), updated_at = now(), revision = revision + 1 where id = ${id}`,
    );
    await until(() => receiver.taken.length === 3);
    expect(events()).toEqual(["incident.announced", "incident.updated", "incident.resolved"]);
    expect(receiver.taken[2]?.body.incident).toMatchObject({ status: "resolved", occurrences: 7 });
    expect(new Set(receiver.statuses)).toEqual(new Set([204]));
  });

  test("is told what people said of the explanation, and of earlier ones, without secrets", async () => {
    const { sql } = database.database;
    const fingerprint = crypto.randomUUID();
    const earlier = await addIncident(database, agent, { fingerprint, resolvedAgoS: 9 });
    const id = await addIncident(database, agent, { fingerprint });
    const feedback = createFeedback({
      sql,
      store: createFeedbackStore(sql),
      writer: createIncidentWriter(),
      given: async () => undefined,
    });
    const ana = { actor: "slack:U1", actorName: "@ana", outlet: "slack" };
    await feedback.give({ incidentId: earlier, verdict: "wrong", cause: "password=hunter2hunter2", ...ana });
    await feedback.give({ incidentId: id, verdict: "right", ...ana });
    node = createNode(database, [notifier()]);
    node.start();
    await node.decide([id]);
    node.wake();
    await until(() => receiver.taken.length === 1);
    expect(receiver.taken[0]?.body.incident).toMatchObject({
      feedback: { incident_id: id, verdict: "right", cause: "Port 80 is taken.", actor_name: "@ana" },
      earlier_feedback: [{ incident_id: earlier, verdict: "wrong", cause: "password=[redacted:password]" }],
    });
  });

  test.each([429, 500, 503])("that answers %d is tried again, with the same delivery", async (status) => {
    receiver.answers.push(() => new Response("", { status, headers: { "retry-after": "0" } }));
    await announce();
    await until(() => receiver.taken.length === 1);
    expect(receiver.statuses).toEqual([status, 204]);
  });

  test("whose answer is lost is told again, and knows the delivery again", async () => {
    const id = await announce();
    await until(() => receiver.taken.length === 1);
    await until(async () => (await stateOf(id))?.state === "sent");
    await database.database.sql`update announcements set state = 'waiting'`;
    await until(() => receiver.statuses.length === 2);
    expect(receiver.taken).toHaveLength(1);
  });

  test.each([400, 401, 404, 410])("that answers %d is not asked again", async (status) => {
    receiver.answers.push(() => new Response("", { status }));
    const id = await announce();
    await until(async () => (await stateOf(id))?.state === "failed");
    expect(await stateOf(id)).toMatchObject({ last_error: `the webhook answered ${status}` });
    expect(receiver.statuses).toEqual([status]);
  });

  test("is sent no secret", async () => {
    const id = await addIncident(database, agent);
    await database.database.sql`
      update incidents set raw_error = 'login: postgres://app:hunter2-horse@db/prod', message_chars = 43,
        ai_analysis = 'The password=hunter2-horse is wrong.', reason = 'by ana@example.com' where id = ${id}`;
    node = createNode(database, [notifier()]);
    node.start();
    await node.decide([id]);
    await until(() => receiver.taken.length === 1);
    const text = JSON.stringify(receiver.taken[0]?.body);
    expect(text).not.toContain("hunter2");
    expect(text).not.toContain("ana@example.com");
    expect(text).toContain("[redacted:");
  });
});

describe("a storm", () => {
  test.each(["https://ops.example.com/app/incidents", null])("leads to the page at %p", async (url) => {
    const storm = stormView({ url });
    await notifier().post({ kind: "storm", storm }, AbortSignal.timeout(10_000));
    const newest = [{ ...storm.newest[0], url: url && `${url}/43` }];
    expect(receiver.taken[0]?.body).toMatchObject({ event: "storm.announced", storm: { url, newest } });
  });
});

describe("a call", () => {
  const view = {
    kind: "storm",
    storm: {
      id: 1,
      startedAt: new Date(0),
      endedAt: null,
      total: 0,
      open: 0,
      byHost: [],
      byCategory: [],
      newest: [],
      url: null,
    },
  } as const;
  const failureOf = (call: Promise<unknown>) =>
    call.then(
      () => undefined,
      (error) => (error instanceof DeliveryError ? error : Promise.reject(error)),
    );
  const post = (url?: string) =>
    notifier(url).post(
      { kind: "storm", storm: { ...view.storm, byHost: [], byCategory: [], newest: [] } },
      new AbortController().signal,
    );

  test("follows no redirect", async () => {
    receiver.answers.push(() => new Response("", { status: 307, headers: { location: receiver.url } }));
    expect(await failureOf(post())).toMatchObject({ reason: "never" });
    expect(receiver.statuses).toEqual([307]);
  });

  test("to nobody is for later, and so is one that is cut", async () => {
    expect(await failureOf(post("http://127.0.0.1:1/"))).toMatchObject({ reason: "later" });
    const cutting = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket) => void socket.terminate() },
    });
    expect(await failureOf(post(`http://127.0.0.1:${cutting.port}/`))).toMatchObject({ reason: "later" });
    cutting.stop(true);
  });

  test("says for how long it is to wait, when the receiver does", async () => {
    receiver.answers.push(() => new Response("", { status: 429, headers: { "retry-after": "7" } }));
    expect(await failureOf(post())).toMatchObject({ reason: "later", retryAfterMs: 7_000 });
    receiver.answers.push(
      () => new Response("", { status: 503, headers: { "retry-after": "Wed, 21 Oct 2026 07:28:00 GMT" } }),
    );
    expect(await failureOf(post())).toMatchObject({ reason: "later", retryAfterMs: null });
  });

  test("of a storm is an event of its own", async () => {
    await post();
    expect(events()).toEqual(["storm.announced"]);
    await notifier().edit(
      null,
      { kind: "storm", storm: { ...view.storm, endedAt: new Date(), byHost: [], byCategory: [], newest: [] } },
      new AbortController().signal,
    );
    expect(events()).toEqual(["storm.announced", "storm.ended"]);
  });
});
