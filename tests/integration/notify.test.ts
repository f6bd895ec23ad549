import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runOpspilot } from "../support/command-line.ts";
import { startApi } from "../support/outlets.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { alertFrame, startTestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const TOKEN = "tk_abcdefghijklmnopqrstuvwxyz";
let folder = "";
let database: TestDatabase;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-notify-"));
  database = await createTestDatabase();
});
afterAll(async () => {
  await database.close();
  rmSync(folder, { recursive: true, force: true });
});

const json = (body: unknown) => Response.json(body);

test("an incident goes to the outlets of NOTIFY that take it, and not at once to the one that ESCALATE names", async () => {
  const ntfy = startApi(() => json({ id: "m1" }));
  const gotify = startApi(() => json({ id: 1 }));
  const late = startApi(() => json({ id: "m2" }));
  const server = await startTestServer(database.url, {
    NOTIFY: [
      `ntfy://${TOKEN}@127.0.0.1:${ntfy.port}/ops?scheme=http`,
      `gotify://127.0.0.1:${gotify.port}/${TOKEN}?scheme=http&types=docker`,
      `ntfy://127.0.0.1:${late.port}/late?scheme=http&name=late`,
    ].join("\n"),
    ESCALATE: "1m:late",
  });
  try {
    const { body } = await server.api("/v1/agents", { method: "POST", body: { hostname: "web-1" } });
    const agent = await server.connect();
    agent.send(alertFrame("a1", body.token, { source: "nginx", type: "systemd", severity: "critical" }));
    agent.send(alertFrame("a2", body.token, { source: "shop", type: "docker", severity: "critical" }));
    await until(() => ntfy.calls.length >= 1 && gotify.calls.length >= 1, { ms: 60_000, what: "both are told" });
    expect(ntfy.calls[0]?.body.title).toContain("nginx on web-1");
    expect(gotify.calls.map((call) => call.body.title).join()).toContain("shop on web-1");
    expect(late.calls).toEqual([]);
    await agent.close();
    expect(server.log.join("")).not.toContain(TOKEN);
  } finally {
    await server.stop();
    for (const one of [ntfy, gotify, late]) await one.stop();
  }
}, 120_000);

test("opspilot notify test says of each outlet whether its sample arrived, and ends with 1 where one did not", async () => {
  const good = startApi(() => json({ id: "m1" }));
  const bad = startApi(() => new Response(`no ${TOKEN}`, { status: 403 }));
  const env = {
    NOTIFY: `ntfy://127.0.0.1:${good.port}/ops?scheme=http gotify://127.0.0.1:${bad.port}/${TOKEN}?scheme=http&name=phone`,
  };
  try {
    const all = await runOpspilot(["notify", "test"], { cwd: folder, env });
    expect([all.exitCode, all.stdout]).toEqual([
      1,
      "ntfy   sent\nphone  not sent: Gotify answered 403: no [redacted]\n",
    ]);
    const one = await runOpspilot(["notify", "test", "ntfy"], { cwd: folder, env });
    expect([one.exitCode, one.stdout]).toEqual([0, "ntfy  sent\n"]);
    const none = await runOpspilot(["notify", "test", "pager"], { cwd: folder, env });
    expect([none.exitCode, none.stderr]).toEqual([64, expect.stringContaining("expected one of ntfy, phone")]);
    expect(good.calls[1]?.body.message).toContain("This is a sample: nothing is wrong.");
  } finally {
    for (const api of [good, bad]) await api.stop();
  }
}, 120_000);
