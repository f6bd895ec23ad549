import { afterAll, beforeAll, expect, test } from "bun:test";
import { fuzzRoutes, type HostileTarget, prepareTarget, readRoutes } from "../support/hostile-routes.ts";
import { fuzzStream } from "../support/hostile-stream.ts";
import { ADMIN_TOKEN } from "../support/http-app.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

/** Of all routes together; on a machine that is busy so many as fit into the time. Millions are for the long form. */
const REQUESTS = 5_000;
const FUZZ_LIMIT_MS = 15_000;
const FRAMES = 1_000;
const TEST_LIMIT_MS = 240_000;

let database: TestDatabase;
let server: TestServer;
let target: HostileTarget;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url, { ADMIN_TOKEN });
  target = await prepareTarget(server.url, ADMIN_TOKEN);
}, TEST_LIMIT_MS);
afterAll(async () => {
  await server.stop();
  await database.close();
}, TEST_LIMIT_MS);

test(
  "whatever is asked of whichever route, the answer is described, names the field, and tells nothing of the inside",
  async () => {
    const routes = await readRoutes(target);
    expect(routes.length).toBeGreaterThan(40);
    const cases = Math.ceil(REQUESTS / routes.length);
    expect(await fuzzRoutes(target, routes, { cases, limitMs: FUZZ_LIMIT_MS })).toBeGreaterThan(routes.length);
    expect((await server.api("/readyz")).status).toBe(200);
    const errors = server.log.filter((line) => JSON.parse(line).level === "error");
    expect(errors).toEqual([]);
  },
  TEST_LIMIT_MS,
);

test(
  "whatever comes on a socket, the server answers by frames of the protocol, and serves on",
  async () => {
    const { body } = await server.api("/v1/agents", { method: "POST", body: {}, token: ADMIN_TOKEN });
    expect(await fuzzStream(server.url, body.token, { cases: FRAMES })).toBeGreaterThan(FRAMES / 4);
    expect((await server.api("/readyz")).status).toBe(200);
  },
  TEST_LIMIT_MS,
);
