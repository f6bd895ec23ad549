import { afterAll, beforeAll, expect, test } from "bun:test";
import type { TestAgent } from "../support/agent.ts";
import { alertFrame } from "../support/server.ts";
import { type SlackServer, startSlackServer } from "../support/slack-server.ts";
import { until } from "../support/until.ts";

let running: SlackServer;
let slack: SlackServer["slack"];
let server: SlackServer["server"];

beforeAll(async () => {
  running = await startSlackServer();
  ({ slack, server } = running);
});
afterAll(() => running.stop());

async function connect(): Promise<{ agent: TestAgent; token: string }> {
  const { token } = (await server.api("/v1/agents", { method: "POST", body: {} })).body;
  return { agent: await server.connect(), token };
}

/** The message in the channel that is about this source. */
const messageOf = (source: string) =>
  until(() => slack.messages.find(({ blocks }) => JSON.stringify(blocks).includes(`*${source}*`)), {
    ms: 10_000,
    what: `a message about ${source}`,
  });

test("an alert that comes with the agent's first heartbeat is announced with the host's name and its buttons", async () => {
  const { agent, token } = await connect();
  const allow = ["restart_service:billing", "get_logs:*"];
  const heartbeat = { hostname: "fresh-host-7", version: "1", allow };
  agent.send({ ver: "1.1", token, ts: Date.now() / 1000, data: JSON.stringify(heartbeat) });
  agent.send(alertFrame("first", token, { type: "systemd", source: "billing", severity: "critical" }));
  const shown = JSON.stringify((await messageOf("billing")).blocks);
  expect(shown).toContain("fresh-host-7");
  for (const action of ["opspilot_restart", "opspilot_logs", "opspilot_ignore"]) expect(shown).toContain(action);
}, 180_000);

test("nothing that an agent says of itself withholds what it reports", async () => {
  const { agent, token } = await connect();
  agent.send({ ver: "1.1", token, ts: Date.now() / 1000, data: JSON.stringify({ hostname: "script-host" }) });
  const claims = { type: "host", source: "agent", severity: "info", message: "No sign of life from script-host" };
  agent.send(alertFrame("claim", token, claims));
  agent.send(alertFrame("unit", token, { type: "systemd", source: "checkout", severity: "critical" }));
  await messageOf("checkout");
  const incidents = (await server.api("/v1/incidents?limit=10")).body;
  const critical = incidents.find((one: { source: string }) => one.source === "checkout");
  expect(critical).toMatchObject({ parent_id: null, origin: "agent" });
  expect(incidents.find((one: { source: string }) => one.source === "agent")).toMatchObject({ origin: "agent" });
}, 180_000);
