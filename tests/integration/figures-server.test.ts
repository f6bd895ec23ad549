import { expect, test } from "bun:test";
import { createTestDatabase } from "../support/postgres.ts";
import { alertFrame, startTestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

test("what a host's heartbeats say is shown by the API after the server was restarted, also around its incident", async () => {
  const database = await createTestDatabase();
  const token = "a-host-with-figures";
  const heartbeat = { ...alertFrame("h1", token), type: "heartbeat" };
  // The host believes that it is tomorrow, or that it was long ago.
  const sent = [
    { ...heartbeat, ts: Date.now() / 1_000 + 86_400, data: JSON.stringify({ metrics: { cpu_pct: 20, load1: 0.25 } }) },
    { ...heartbeat, id: "h2", ts: 1_000, data: JSON.stringify({ metrics: { cpu_pct: 40 } }) },
  ];
  const first = await startTestServer(database.url);
  const startS = Math.floor(Date.now() / 1_000);
  try {
    const agent = await first.connect();
    for (const frame of sent) agent.send(frame);
    agent.send(alertFrame("a1", token));
    await until(() => agent.frames.filter(({ type }) => type === "ack").length === 3, { ms: 20_000, what: "all acks" });
  } finally {
    await first.stop();
  }
  const second = await startTestServer(database.url);
  try {
    const [{ id }] = (await second.api("/v1/agents")).body;
    const { status, body } = await second.api(`/v1/agents/${id}/metrics`);
    expect(status).toBe(200);
    const found = (body.series.cpu_pct as (number[] | null)[]).filter((point) => point !== null);
    // The minute may have ended between the two.
    expect([
      Math.min(...found.map((point) => point[1] ?? 0)),
      Math.max(...found.map((point) => point[3] ?? 0)),
    ]).toEqual([20, 40]);
    for (const [t = 0] of found) expect(t).toBeWithin(startS - 120, startS + 120);

    const [incident] = (await second.api("/v1/incidents")).body;
    const around = (await second.api(`/v1/incidents/${incident.id}/metrics`)).body;
    expect(around).toMatchObject({ step_s: 60, to: around.from + 61 * 60 });
    expect(around.series.load1.filter((point: unknown) => point !== null)).toHaveLength(1);

    await second.api(`/v1/agents/${id}`, { method: "DELETE" });
    expect((await second.api(`/v1/agents/${id}/metrics`)).status).toBe(404);
    expect((await second.api(`/v1/incidents/${incident.id}/metrics`)).body).toEqual(around);
  } finally {
    await second.stop();
    await database.close();
  }
}, 180_000);
