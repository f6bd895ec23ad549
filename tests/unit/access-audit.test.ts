import { expect, test } from "bun:test";
import { createAccessAudit } from "../../src/access/audit.ts";
import { createTestClock } from "../support/clock.ts";
import { quiet } from "../support/log.ts";

function setUp() {
  const clock = createTestClock();
  const lines: string[] = [];
  const audit = createAccessAudit({ clock, log: quiet, note: async ({ actor }) => void lines.push(actor) });
  const refuse = (actor: string, route = "GET /v1/agents") =>
    audit.refused({ kind: "access.refused", actor, data: { route } });
  return { audit, clock, lines, refuse };
}

test("the same refusal is one line a minute", () => {
  const { clock, lines, refuse } = setUp();
  for (let n = 0; n < 50; n++) refuse("api:a@10.0.0.1");
  refuse("api:a@10.0.0.1", "POST /v1/agents");
  expect(lines).toHaveLength(2);
  clock.leap(60_000);
  refuse("api:a@10.0.0.1");
  expect(lines).toHaveLength(3);
});

test("strangers from everywhere cause few lines", () => {
  const { clock, lines, refuse } = setUp();
  for (let minute = 0; minute < 3; minute++) {
    for (let n = 0; n < 5_000; n++) refuse(`api:10.${n >> 8}.${n & 255}.1`);
    clock.leap(60_000);
  }
  expect(lines).toHaveLength(60);
});

test("a line that cannot be written keeps nobody from signing in", async () => {
  const clock = createTestClock();
  const note = () => Promise.reject(new Error("the database is away"));
  const audit = createAccessAudit({ clock, log: quiet, note });
  await audit.session("session.started", "api:a@10.0.0.1");
});
