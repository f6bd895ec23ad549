import { afterAll, beforeAll, expect, test } from "bun:test";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { alertFrame, startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const AGENT_TOKEN = "a-token-of-an-agent";

/** What is looked at of a span, as OTLP has it in JSON. */
interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { key: string; value: Record<string, unknown> }[];
}

interface Exported {
  readonly resourceSpans: readonly {
    readonly resource: unknown;
    readonly scopeSpans: readonly { readonly spans: Span[] }[];
  }[];
}

let database: TestDatabase;
let collector: ReturnType<typeof Bun.serve>;
const seen: { path: string; authorization: string | null; body: Exported }[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  collector = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname: path } = new URL(request.url);
      if (path === "/hook") return new Response("ok");
      seen.push({
        path,
        authorization: request.headers.get("authorization"),
        body: (await request.json()) as Exported,
      });
      return Response.json({});
    },
  });
});
afterAll(async () => {
  await collector.stop(true);
  await database.close();
});

const spans = (): Span[] =>
  seen.flatMap(({ body }) => body.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((one) => one.spans)));
const attributeOf = (span: Span | undefined, key: string) =>
  Object.values(span?.attributes.find((one) => one.key === key)?.value ?? {})[0];

function start(env: Record<string, string>): Promise<TestServer> {
  const away = `http://127.0.0.1:${collector.port}`;
  return startTestServer(database.url, {
    OTEL_EXPORTER_OTLP_ENDPOINT: away,
    WEBHOOK_URL: `${away}/hook`,
    WEBHOOK_SECRET: "a-secret-of-16-characters",
    ...env,
  });
}

async function sendAlert(server: TestServer, id: string): Promise<string> {
  const agent = await server.connect();
  agent.send(alertFrame(id, AGENT_TOKEN, { source: `service-${id}` }));
  await until(() => agent.frames.some((frame) => frame.type === "ack" && frame.id === id), { ms: 60_000 });
  await agent.close();
  const [row] = await database.database.sql`select uuid from alerts where message_id = ${id}`;
  return row?.uuid.replaceAll("-", "");
}

test("the way of an alert is one trace, from its frame to the message, whoever does what", async () => {
  const server = await start({ OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20otlp-secret" });
  let first: string;
  try {
    first = await sendAlert(server, "first");
    await until(() => spans().length >= 3, { ms: 60_000 });
  } finally {
    await server.stop();
  }
  const ofFirst = spans().filter(({ traceId }) => traceId === first);
  const byName = (name: string) => ofFirst.find((span) => span.name === name);
  const stored = byName("alert stored");
  expect(ofFirst.map(({ name }) => name).toSorted()).toEqual([
    "alert stored",
    "incident announced",
    "incident explained",
  ]);
  expect(stored?.parentSpanId ?? "").toBe("");
  for (const name of ["incident explained", "incident announced"])
    expect(byName(name)?.parentSpanId).toBe(stored?.spanId ?? "none");
  expect(attributeOf(byName("incident announced"), "opspilot.outlet")).toBe("webhook");
  expect(Number(attributeOf(byName("incident explained"), "opspilot.incident"))).toBeGreaterThan(0);
  const takesMs = (span: Span) => Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6;
  for (const span of ofFirst) {
    expect(takesMs(span)).toBeGreaterThanOrEqual(0);
    expect(Math.abs(Number(BigInt(span.startTimeUnixNano) / 1_000_000n) - Date.now())).toBeLessThan(300_000);
  }
  expect(new Set(seen.map(({ path, authorization }) => `${path} ${authorization}`))).toEqual(
    new Set(["/v1/traces Bearer otlp-secret"]),
  );
  expect(JSON.stringify(seen[0]?.body.resourceSpans[0]?.resource)).toContain('"service.name"');
  expect(server.log.join("")).not.toContain("otlp-secret");

  // What is left of an incident's way is told by whoever does it: here by a server that was started since.
  seen.length = 0;
  await database.database
    .sql`update announcements set state = 'waiting', external_id = null, sent_at = null, next_attempt_at = now()`;
  const other = await start({});
  try {
    await until(() => spans().some(({ name }) => name === "incident announced"), { ms: 60_000 });
  } finally {
    await other.stop();
  }
  expect(spans().map(({ traceId, parentSpanId, name }) => ({ traceId, parentSpanId, name }))).toEqual([
    { traceId: first, parentSpanId: stored?.spanId, name: "incident announced" },
  ]);
}, 180_000);

test("of a share of 0 nothing is told, and a collector that is away holds nothing up", async () => {
  seen.length = 0;
  const silent = await start({ OTEL_TRACES_SAMPLER_ARG: "0" });
  await sendAlert(silent, "second").finally(() => silent.stop());
  expect(spans()).toEqual([]);
  const alone = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" });
  await sendAlert(alone, "third").finally(() => alone.stop());
  expect(alone.log.filter((line) => line.includes("could not stop"))).toEqual([]);
}, 120_000);
