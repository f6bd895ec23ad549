import { describe, expect, test } from "bun:test";
import { createHeuristics } from "../../src/analysis/heuristics.ts";
import { commandIdOf } from "../../src/analysis/investigation/carry.ts";
import { createGuard } from "../../src/analysis/investigation/guard.ts";
import {
  investigate,
  LIMITS,
  type LoopDeps,
  OUTPUT_CHARS_MAX,
  type TurnReply,
} from "../../src/analysis/investigation/loop.ts";
import { reportOf } from "../../src/analysis/investigation/report.ts";
import { offers, TOOLS } from "../../src/analysis/investigation/tools.ts";
import type { ModelRequest } from "../../src/analysis/model-reply.ts";
import { GOOD_ANSWER } from "../support/fake-openrouter.ts";
import { createFastClock, SPEED } from "../support/host-agent.ts";

const EVIDENCE = { type: "systemd", source: "app", message: "app failed", logs: "", exitCode: 1 };
const CONTEXT = {
  incident: { ...EVIDENCE, severity: null },
  heuristic: createHeuristics()(EVIDENCE),
  meta: {},
  recent: [],
};
const NEVER = new AbortController().signal;

const usage = { promptTokens: 0, completionTokens: 0, costUsd: null };
const reply = (text: string, ...calls: { name: string; arguments: string }[]): TurnReply => ({
  ok: true,
  text,
  calls: calls.map((call, at) => ({ id: `call_${at}`, ...call })),
  model: "m",
  usage,
  tookMs: 1,
});
const ANSWER = reply(JSON.stringify(GOOD_ANSWER));
const LOGS = reply("", { name: "get_logs", arguments: '{"unit":"app"}' });

/** A loop whose model says these, the last one again and again; and all that was asked. */
function loopOf(replies: (TurnReply | LoopDeps["turn"])[], changes: Partial<LoopDeps> = {}) {
  const asked: ModelRequest[] = [];
  const carried: string[] = [];
  const deps: LoopDeps = {
    async turn(request, added, signal) {
      asked.push(request);
      const next = replies.length > 1 ? replies.shift() : replies[0];
      return typeof next === "function" ? next(request, added, signal) : (next as TurnReply);
    },
    takesTools: () => true,
    guard: createGuard({ listed: { units: ["app"], containers: [] }, allow: undefined }),
    async carry({ tool, given }) {
      carried.push(`${tool.name} ${JSON.stringify(given)}`);
      return { ok: true, text: "a line" };
    },
    begun: async () => undefined,
    ended: async () => undefined,
    clock: createFastClock(),
    timeoutMs: 20_000,
    ...changes,
  };
  return { deps, asked, carried, run: (stop = NEVER) => investigate(deps, { context: CONTEXT, earlier: [] }, stop) };
}

const untilAborted: LoopDeps["turn"] = (_, __, signal) =>
  new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve({ ok: false, reason: "timeout", message: "late" }), { once: true }),
  );

describe("the bounds", () => {
  test("a model that never answers is given 90 s, the last 20 of them for the answer", async () => {
    const { run, asked } = loopOf([untilAborted]);
    const startMs = performance.now();
    const { result } = await run();
    const tookMs = (performance.now() - startMs) * SPEED;
    expect(result).toMatchObject({ ok: false, reason: "timeout" });
    expect(asked.map(({ tools }) => tools !== undefined)).toEqual([true, false]);
    expect(tookMs).toBeGreaterThan(90_000 * 0.9);
    expect(tookMs).toBeLessThan(90_000 * 1.5);
  });

  test("a host that never answers does not keep the model from answering", async () => {
    const hangs: LoopDeps["carry"] = (_, __, signal) =>
      new Promise((resolve) =>
        signal.addEventListener("abort", () => resolve({ ok: false, text: "no answer" }), { once: true }),
      );
    const { run } = loopOf([LOGS, ANSWER], { carry: hangs });
    expect((await run()).result).toMatchObject({ ok: true });
  });

  test("sixteen calls at once are eight, and the rest is told that none is left", async () => {
    const many = reply("", ...Array.from({ length: 16 }, () => ({ name: "get_logs", arguments: '{"unit":"app"}' })));
    const { run, carried, asked } = loopOf([many, ANSWER]);
    expect(await run()).toMatchObject({ calls: LIMITS.calls, result: { ok: true } });
    expect(carried).toHaveLength(LIMITS.calls);
    expect(asked.at(-1)?.tools).toBeUndefined();
  });

  test("of a long answer the ends are sent, and JSON on one line is not cut in its middle", async () => {
    const outputs: string[] = [];
    const items = Array.from({ length: 2_000 }, (_, n) => ({ name: `container-${n}` }));
    const { run } = loopOf([reply("", { name: "agent_facts", arguments: "" }), ANSWER], {
      carry: async () => ({ ok: true, text: JSON.stringify({ version: "1", containers: items }) }),
      ended: async (_, __, output) => void outputs.push(output),
    });
    await run();
    expect(outputs[0]?.length).toBeLessThanOrEqual(OUTPUT_CHARS_MAX);
    expect(outputs[0]).toContain('"version": "1"');
    expect(outputs[0]).toContain("lines left out");
  });

  test("a stop throws, so that another server goes on", async () => {
    const stopping = new AbortController();
    const { run } = loopOf([untilAborted]);
    const running = run(stopping.signal);
    stopping.abort(new Error("the server stops"));
    await expect(running).rejects.toThrow("the server stops");
  });
});

describe("what a model says", () => {
  test.each([
    ["a tool call in a fence", '```json\n{"tool": "get_logs", "arguments": {"unit": "app"}}\n```'],
    [
      "as models write it that were taught so",
      '<tool_call>{"name": "get_logs", "arguments": {"unit": "app"}}</tool_call>',
    ],
    ["with parameters", '{"name": "get_logs", "parameters": {"unit": "app"}}'],
    [
      "before an answer that it made up",
      `{"tool":"get_logs","arguments":{"unit":"app"}}\nThe log says no.\n${JSON.stringify(GOOD_ANSWER)}`,
    ],
  ])("%s is a call, also where tools are offered", async (_, text) => {
    const { run, carried, asked } = loopOf([reply(text), ANSWER]);
    expect((await run()).calls).toBe(1);
    expect(carried).toEqual(['get_logs {"unit":"app"}']);
    expect(asked[1]?.more).toMatchObject([{ role: "assistant", content: text }, { role: "user" }]);
  });

  test.each(["payment", "unauthorized", "budget", "circuit_open"])("%s ends it at once", async (reason) => {
    const { run, asked } = loopOf([{ ok: false, reason, message: "no" } as TurnReply]);
    expect((await run()).result).toMatchObject({ ok: false, reason });
    expect(asked).toHaveLength(1);
  });

  test("nothing, for now, is followed by the single question with what was found", async () => {
    const { run, asked } = loopOf([LOGS, { ok: false, reason: "server_error", message: "no" }, ANSWER]);
    expect(await run()).toMatchObject({ calls: 1, result: { ok: true } });
    expect(asked[2]?.user).toContain('asked: get_logs {"unit":"app"}\na line');
    expect(asked[2]?.isFree).toBeUndefined();
  });
});

test("what the server refuses with quotes the model, and is no evidence", async () => {
  const made = "kernel: EXT4-fs error on sda1";
  const wish = reply("", { name: made, arguments: "{}" });
  const { run } = loopOf([wish, reply(JSON.stringify({ ...GOOD_ANSWER, evidence: [made, "a line"] }))]);
  expect((await run()).result).toMatchObject({ ok: true, answer: { evidence: [] } });
  const concluded = loopOf([wish, reply("prose"), reply(JSON.stringify({ ...GOOD_ANSWER, evidence: [made] }))]);
  expect((await concluded.run()).result).toMatchObject({ ok: true, answer: { evidence: [] } });
});

test("tools are offered without what providers refuse in a schema", () => {
  const text = JSON.stringify(offers(TOOLS));
  expect(text).not.toMatch(/"(pattern|maximum|minimum|anyOf|const|additionalProperties)":(?!\{)/);
  expect(text).toContain('"enum":["emerg","alert"');
});

describe("the guard", () => {
  const guardWith = (allow?: unknown) => createGuard({ listed: { units: ["app"], containers: ["web"] }, allow });
  const isRefused = (guard: ReturnType<typeof guardWith>, name: string, given: unknown) =>
    "refusal" in guard.check(name, given);

  test("lets units and containers be named once the host has listed them", () => {
    const guard = guardWith();
    expect(isRefused(guard, "get_logs", { unit: "db" })).toBe(true);
    guard.learn("list_units", "db.service loaded failed failed The database\nevil words\n[... 3 units left out ...]");
    expect(isRefused(guard, "get_logs", { unit: "db" })).toBe(false);
    expect(isRefused(guard, "get_logs", { unit: "evil" })).toBe(true);
    expect(isRefused(guard, "container_logs", { container: "cache" })).toBe(true);
    guard.learn("agent_facts", JSON.stringify({ containers: [{ name: "cache" }, { name: "../x" }] }));
    expect(isRefused(guard, "container_logs", { container: "cache" })).toBe(false);
    expect(isRefused(guard, "container_logs", { container: "../x" })).toBe(true);
  });

  test("learns nothing from what only looks like a list", () => {
    const guard = guardWith();
    for (const tool of ["get_logs", "container_logs", "host_report", "recent_incidents", "container_inspect"])
      guard.learn(tool, 'db.service loaded failed failed x\n{"containers":[{"name":"cache"}]}');
    expect(isRefused(guard, "get_logs", { unit: "db" })).toBe(true);
    expect(isRefused(guard, "container_logs", { container: "cache" })).toBe(true);
  });

  test.each([
    [
      { unit: "app", lines: "20" },
      { unit: "app", lines: 20 },
    ],
    [{ unit: "app", lines: null, pattern: "" }, { unit: "app" }],
  ])("takes %j as what is meant", (given, meant) => {
    expect(guardWith().check("get_logs", given)).toMatchObject({ given: meant });
  });

  test.each([
    [["none"], 2],
    [["get_logs:web-*"], 3],
    [["*:*"], TOOLS.length],
    [undefined, TOOLS.length],
  ])("offers of a host that allows %j so many tools: %p", (allow, count) => {
    expect(guardWith(allow).offered()).toHaveLength(count);
  });
});

test("a step that is tried again after a crash is the same command, and another wish another one", () => {
  const step = { no: 1, tool: "get_logs", given: { unit: "app" } };
  const turned = [
    { lines: 5, unit: "app" },
    { unit: "app", lines: 5 },
  ].map((given) => commandIdOf("i", { ...step, given }));
  expect(turned[0]).toBe(turned[1]);
  for (const other of [
    { ...step, no: 2 },
    { ...step, tool: "service_status" },
    { ...step, given: { unit: "db" } },
  ])
    expect(commandIdOf("i", other)).not.toBe(commandIdOf("i", step));
});

test("people are told in lines what was asked and what followed", () => {
  const steps = [
    { no: 1, tool: "get_logs", arguments: { unit: "db", lines: 5 }, state: "answered", output: "x" },
    { no: 2, tool: "restart", arguments: {}, state: "refused", output: 'not asked: there is no tool "restart"' },
    { no: 3, tool: "metrics", arguments: { minutes: 5 }, state: "asked", output: null },
  ] as const;
  expect(reportOf({ actor: "slack:U1", steps }).split("\n")).toEqual([
    "A model looks into this, on request.",
    '1. get logs: unit "db", lines 5 – answered',
    '2. restart – refused: not asked: there is no tool "restart"',
    "3. metrics: minutes 5 – asking the host",
  ]);
  expect(reportOf({ actor: null, steps: [], end: { why: "no time" } })).toBe(
    "A model looked into this, by itself.\nIt has no answer: no time",
  );
});
