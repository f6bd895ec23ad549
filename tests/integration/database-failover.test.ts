import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ReplicatedPostgres, startReplicatedPostgres } from "../support/replicated-postgres.ts";
import { occurrencesBySource } from "../support/rest.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { SpoolAgent } from "../support/spool-agent.ts";
import { until } from "../support/until.ts";

const LOGIN = { user: "opspilot", password: "opspilot", database: "opspilot" };
const LIMIT_MS = 240_000;
const AGENTS = 3;
const ALERTS = 1_000;
/** So many acknowledged is the middle: more are on their way, and more have not been sent. */
const MIDDLE = 200;
/** After the promotion. */
const BACK_MS = 10_000;

const sourcesOf = (count: number, prefix = "service") => Array.from({ length: count }, (_, n) => `${prefix}-${n}`);

describe("a server on a primary and its synchronous standby", () => {
  let postgres: ReplicatedPostgres;
  let server: TestServer;
  const agents: { id: string; spool: SpoolAgent }[] = [];
  beforeAll(async () => {
    postgres = await startReplicatedPostgres(LOGIN);
    server = await startTestServer(postgres.url);
  }, LIMIT_MS);
  afterAll(async () => {
    for (const { spool } of agents) spool.stop();
    await server.stop();
    await postgres.stop();
  }, LIMIT_MS);

  async function startAgent(sources: readonly string[]): Promise<{ id: string; spool: SpoolAgent }> {
    const { id, token } = (await server.api("/v1/agents", { method: "POST", body: {} })).body;
    const one = { id, spool: new SpoolAgent(server.url, token, sources) };
    agents.push(one);
    return one;
  }
  const acknowledged = () => agents.reduce((sum, { spool }) => sum + spool.acknowledged.size, 0);
  const isReady = async () => (await server.api("/readyz")).status === 200;

  test(
    "when the primary dies under load goes on with the promoted standby: nothing is lost or doubled, no socket closes",
    async () => {
      for (let n = 0; n < AGENTS; n++) await startAgent(sourcesOf(ALERTS));
      await until(() => acknowledged() > MIDDLE, { what: "the middle of the alerts" });
      await postgres.primary.kill();
      expect(acknowledged()).toBeLessThan(AGENTS * ALERTS);
      await until(async () => !(await isReady()), { what: "readiness goes" });
      await postgres.promote();
      const promotedMs = performance.now();
      const before = acknowledged();
      await until(async () => acknowledged() > before && (await isReady()), { what: "it goes on" });
      expect(performance.now() - promotedMs).toBeLessThan(BACK_MS);
      for (const { id, spool } of agents) {
        await until(() => spool.left === 0, { ms: 30_000, what: "all are acknowledged" });
        expect(await occurrencesBySource(server.url, id)).toEqual(new Map(spool.sources.map((source) => [source, 1])));
        expect({ closings: spool.closings, surprises: spool.surprises }).toEqual({ closings: [], surprises: [] });
      }
    },
    LIMIT_MS,
  );
});
