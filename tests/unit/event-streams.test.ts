import { expect, test } from "bun:test";
import { Registry } from "prom-client";
import type { ChangeSources } from "../../src/http/event-feed.ts";
import { createEventStreams, type Listener } from "../../src/http/event-streams.ts";
import { createLoops } from "../../src/lib/loops.ts";
import { createTestClock } from "../support/clock.ts";
import { agentOf, incidentOf, shortOf, uuid } from "../support/fake-services.ts";
import { quiet } from "../support/log.ts";
import { until } from "../support/until.ts";

/** Streams over sources that a test sets, and a clock that it moves. */
function streamsOf(changes: Partial<ChangeSources> = {}) {
  const clock = createTestClock();
  const asked: string[] = [];
  let transactions = 100;
  const cursor = () => ({ atS: 1_000, snapshot: `${transactions}:${transactions++}:` });
  const sources: ChangeSources = {
    now: async () => cursor(),
    async lines() {
      asked.push("lines");
      return { cursor: cursor(), lines: [] };
    },
    openIncidents: async () => [],
    changedAgents: async () => [],
    incidents: async (ids) => ids.map((id) => shortOf(incidentOf(id))),
    agents: async () => [agentOf(1)],
    commands: async () => [],
    ...changes,
  };
  const loops = createLoops(clock, quiet);
  const registry = new Registry();
  const deps = { sources, loops, clock, log: quiet, registry, version: "1.2.3", access: "open" } as const;
  const streams = createEventStreams(deps);
  streams.start();

  async function listen(listener: Partial<Listener> = {}) {
    const signal = new AbortController().signal;
    const stream = await streams.open({ after: undefined, isAllowed: () => true, signal, ...listener });
    const reader = (stream as ReadableStream<Uint8Array>).getReader();
    const heard = { text: "", isOver: false };
    const read = async () => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        heard.text += new TextDecoder().decode(value);
      }
    };
    read()
      .catch(() => undefined)
      .finally(() => {
        heard.isOver = true;
      });
    await until(() => heard.text.includes("event: hello"), { what: "hello" });
    return heard;
  }

  return { clock, streams, listen, asked };
}

test("while nobody listens notices lead to nothing", async () => {
  const { clock, streams, listen, asked } = streamsOf();
  streams.onReady();
  for (let n = 0; n < 100; n++) streams.onMessage(`incidents ${n}`);
  await clock.advance(120_000);
  expect(asked).toEqual([]);
  const heard = await listen();
  await clock.advance(1_000);
  expect(heard.text).not.toContain("event: incident");
  await streams.stop();
});

test("a row that changes many times at once is told once", async () => {
  const { clock, streams, listen } = streamsOf();
  const heard = await listen();
  await clock.advance(1_000);
  for (let n = 0; n < 50; n++) streams.onMessage("incidents 7,8");
  streams.onMessage(`agents ${uuid(1)}`);
  await clock.advance(1_000);
  await until(() => heard.text.includes("event: agent"), { what: "the agent" });
  expect(heard.text.match(/event: incident/g)).toHaveLength(2);
  await streams.stop();
});

test("a stream whose credential has ended is closed with the next sign of life, and nothing is told to it any more", async () => {
  const { clock, streams, listen } = streamsOf();
  let isAllowed = true;
  const ended = await listen({ isAllowed: async () => isAllowed });
  const other = await listen();
  await clock.advance(16_000);
  await until(() => ended.text.includes("event: alive"), { what: "a sign of life" });
  isAllowed = false;
  await clock.advance(16_000);
  await until(() => ended.isOver, { what: "the end" });
  streams.onMessage("incidents 7");
  await clock.advance(1_000);
  await until(() => other.text.includes("event: incident"), { what: "the incident" });
  expect(ended.text).not.toContain("event: incident");
  await streams.stop();
});

test("while the database is away a stream has its comments, but is not said to be new; then it is told what it missed", async () => {
  let isAway = false;
  const looked: string[] = [];
  const { clock, streams, listen } = streamsOf({
    lines: async ({ snapshot }) => {
      if (isAway) throw new Error("the database is away");
      return { cursor: { atS: 1_000, snapshot }, lines: [] };
    },
    openIncidents: async () => {
      looked.push("open");
      return [9];
    },
  });
  const heard = await listen();
  await clock.advance(1_000);
  isAway = true;
  await clock.advance(32_000);
  await until(() => heard.text.includes("\n\n:\n\n"), { what: "a comment alone" });
  expect(heard.text).not.toContain("event: alive");
  expect(looked).toEqual([]);
  isAway = false;
  await clock.advance(16_000);
  await until(() => heard.text.includes('"id":9'), { what: "what it missed" });
  expect(heard.text).toContain("event: alive");
  await streams.stop();
});

test("a storm is told as reset, and not more often than each other second", async () => {
  const { clock, streams, listen } = streamsOf();
  const heard = await listen();
  await clock.advance(1_000);
  for (let second = 0; second < 10; second++) {
    for (let n = 0; n < 6; n++)
      streams.onMessage(
        `incidents ${Array.from({ length: 200 }, (_, id) => second * 1_200 + n * 200 + id + 1).join(",")}`,
      );
    await clock.advance(1_000);
  }
  const resets = heard.text.match(/event: reset/g)?.length ?? 0;
  expect(resets).toBeGreaterThan(2);
  expect(resets).toBeLessThanOrEqual(6);
  expect(heard.text).not.toContain("event: incident");
  await streams.stop();
});
