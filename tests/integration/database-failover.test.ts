import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { checkDatabase } from "../../src/doctor/database.ts";
import { quiet } from "../support/log.ts";
import { type ReplicatedPostgres, startReplicatedPostgres } from "../support/replicated-postgres.ts";
import { occurrencesBySource } from "../support/rest.ts";
import { alertFrame, startTestServer, type TestServer } from "../support/server.ts";
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

/** A batch of alerts is written, and its commit not yet answered. */
const COMMITTING = `select from pg_stat_activity where wait_event = 'SyncRep' and application_name = 'opspilot' and query = 'commit'`;
const OWN_CONNECTIONS = `select application_name from pg_stat_activity where datname = '${LOGIN.database}'`;

function comeAgain(error: Error): undefined {
  if (!error.message.includes(": 503 ")) throw error;
}

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
  /** A connection that the crash has cut may answer 503 once: who asks comes again. */
  const told = (id: string) =>
    until(() => occurrencesBySource(server.url, id).catch(comeAgain), { what: "the incidents of an agent" });
  const isReady = async () => (await server.api("/readyz")).status === 200;

  test(
    "acknowledges nothing that the standby does not have, not even what it finds there when the primary has crashed meanwhile",
    async () => {
      const { token } = (await server.api("/v1/agents", { method: "POST", body: {} })).body;
      const agent = await server.connect();
      const isAcknowledged = (id: string) => agent.frames.some((frame) => frame.type === "ack" && frame.id === id);
      const isCommitting = async () => (await postgres.primary.query(COMMITTING)).length > 0;
      agent.send(alertFrame("before", token, { source: "before" }));
      await until(() => isAcknowledged("before"), { what: "the first ack" });

      postgres.standby.freeze();
      agent.send(alertFrame("waits", token, { source: "waits" }));
      await until(isCommitting, { what: "the commit waits for the standby" });
      await postgres.primary.kill();
      await postgres.primary.start();
      await until(async () => isAcknowledged("waits") || (await isCommitting()), { what: "the batch comes again" });
      expect(isAcknowledged("waits")).toBe(false);
      postgres.standby.thaw();
      await until(() => isAcknowledged("waits"), { what: "the second ack" });
      expect(agent.closed).toBeUndefined();
      await agent.close();
    },
    LIMIT_MS,
  );

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
        expect(await told(id)).toEqual(new Map(spool.sources.map((source) => [source, 1])));
        expect({ closings: spool.closings, surprises: spool.surprises }).toEqual({ closings: [], surprises: [] });
      }
    },
    LIMIT_MS,
  );

  test(
    "stays there when the former primary comes back and would take writes",
    async () => {
      await postgres.primary.start({ synchronous_standby_names: "" });
      // It is asked what it is, and answers.
      await until(async () => (await postgres.primary.query(OWN_CONNECTIONS)).length > 0, { what: "it is looked at" });
      const { id, spool } = await startAgent(sourcesOf(50, "late"));
      await until(() => spool.left === 0, { what: "all are acknowledged" });
      const names = (await postgres.primary.query(OWN_CONNECTIONS)).map((row) => row.application_name);
      expect([...new Set(names)]).toEqual(["opspilot hosts"]);
      expect((await postgres.standby.query(OWN_CONNECTIONS)).length).toBeGreaterThan(1);
      expect((await occurrencesBySource(server.url, id)).size).toBe(50);
      const config = { database: { url: postgres.url, directUrl: null }, dataDir: "/nowhere" };
      const { findings } = await checkDatabase(config, quiet);
      expect(findings.filter(({ status }) => status !== "ok")).toMatchObject([
        {
          text: expect.stringContaining(`${postgres.primary.port} is writable`),
          todo: expect.stringContaining("pg_rewind"),
        },
      ]);
    },
    LIMIT_MS,
  );
});
