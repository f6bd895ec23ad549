import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { acquireDatabase } from "../../src/db/open.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { quiet } from "../support/log.ts";
import { findPgBouncer, type PgBouncer, startPgBouncer } from "../support/pgbouncer.ts";
import { alertFrame, startTestServer } from "../support/server.ts";
import { type StockPostgres, startStockPostgres } from "../support/stock-postgres.ts";
import { until } from "../support/until.ts";

const LIMIT_MS = 240_000;
const LOGIN = { user: "opspilot", password: "opspilot", database: "opspilot" };
const ALERTS = 100;
const MISSING = "PgBouncer is not installed (Debian's package pgbouncer): not tested with it";

describe("PgBouncer in transaction mode", () => {
  const program = findPgBouncer();
  let postgres: StockPostgres | undefined;
  const poolers: PgBouncer[] = [];
  /** As it is installed, and as many set it up: it then swallows the settings of a connection. */
  const KINDS = [
    ["as it is", []],
    ["told to ignore what it does not know", ["ignore_startup_parameters = options,extra_float_digits"]],
  ] as const;
  beforeAll(async () => {
    if (program === undefined) return;
    postgres = await startStockPostgres(LOGIN, { hasTls: false });
    for (const [, settings] of KINDS) poolers.push(await startPgBouncer(program, postgres.port, LOGIN, settings));
  }, LIMIT_MS);
  afterAll(async () => {
    await Promise.all(poolers.map((pooler) => pooler.stop()));
    await postgres?.stop();
  }, LIMIT_MS);

  /** Its tests; without it one says so, and fails where all must be tested. */
  const needing = (name: string, run: (directUrl: string, pooledUrl: (kind: number) => string) => Promise<void>) =>
    test(
      name,
      async () => {
        if (postgres === undefined) {
          process.stdout.write(`${MISSING}\n`);
          expect(Bun.env.CI === "true").toBe(false);
          return;
        }
        const { user, password, database } = LOGIN;
        const directUrl = `postgres://${user}:${password}@127.0.0.1:${postgres.port}/${database}`;
        await run(directUrl, (kind) => poolers[kind]?.url ?? "");
      },
      LIMIT_MS,
    );

  for (const [kind, [name]] of KINDS.entries())
    needing(`${name}, carries a server that has another way for its sessions`, async (directUrl, pooledUrl) => {
      const server = await startTestServer(pooledUrl(kind), { DATABASE_URL_DIRECT: directUrl });
      const { id, token } = (await server.api("/v1/agents", { method: "POST", body: {} })).body;
      const agent = await server.connect();
      for (let n = 0; n < ALERTS; n++) agent.send(alertFrame(`${n}`, token, { source: `${kind}-${n}` }));
      const explained = async () => {
        const { body } = await server.api(`/v1/agents/${id}/incidents?limit=1000&status=analyzed`);
        return body.length === ALERTS;
      };
      await until(explained, { ms: 30_000, what: "all are explained" });
      expect(agent.frames.filter(({ type }) => type === "ack")).toHaveLength(ALERTS);
      const body = { agent_id: id, command: "restart_service", params: { service: "nginx" }, wait_s: 20 };
      const given = server.api("/v1/admin/exec", { method: "POST", body });
      const command = await until(() => agent.frames.find(({ type }) => type === "command"), { what: "the command" });
      const data = JSON.stringify({ command_id: "id" in command ? command.id : "", status: "done", exit_code: 0 });
      agent.send({ ver: "1.1", id: "r", token, type: "result", ts: Date.now() / 1000, data });
      expect(await given).toMatchObject({ status: 200, body: { result: { status: "done" } } });
      expect((await server.api("/readyz")).body).toMatchObject({ status: "ready" });
      await agent.close();
      await server.stop();
      expect(server.log.filter((line) => /"level":"(warn|error)"/.test(line))).toEqual([]);
    });

  needing(
    "is found out at the start where there is no other way, or that leads elsewhere",
    async (directUrl, pooledUrl) => {
      const elsewhere = directUrl.replace(/opspilot$/, "postgres");
      const cases = [
        [pooledUrl(0), null, "DATABASE_URL) cannot be used: leads through a transaction pooler"],
        [pooledUrl(1), null, "DATABASE_URL) cannot be used: leads through a transaction pooler"],
        [directUrl, pooledUrl(0), "DATABASE_URL_DIRECT) cannot be used: leads through a transaction pooler"],
        [pooledUrl(0), elsewhere, "DATABASE_URL and DATABASE_URL_DIRECT lead to two different databases"],
      ] as const;
      for (const [url, direct, message] of cases) {
        const config = { database: { url, directUrl: direct }, dataDir: "/nowhere" };
        const options = { config, clock: createSystemClock(), log: quiet, role: "command" as const };
        await expect(acquireDatabase(options)).rejects.toThrow(message);
      }
    },
  );
});
