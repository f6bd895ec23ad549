import { describe, expect, test } from "bun:test";
import type { News } from "../../src/web/data/model.ts";
import { createEventReader } from "../../src/web/data/sse.ts";
import { type Connection, startStream } from "../../src/web/data/stream-client.ts";
import { until } from "../support/until.ts";

describe("server-sent events", () => {
  test("are read however the text is cut into pieces", () => {
    const text = 'id: 7\nevent: incident\ndata: {"a":\ndata: 1}\n\n: a comment\n\nid: 8\ndata: x\r\n\r\nid: 9\n';
    for (let size = 1; size < 12; size++) {
      const events: unknown[] = [];
      const read = createEventReader((event) => events.push(event));
      for (let at = 0; at < text.length; at += size) read(text.slice(at, at + size));
      expect(events).toEqual([
        { event: "incident", data: '{"a":\n1}', id: "7" },
        { event: "message", data: "x", id: "8" },
      ]);
    }
  });
});

/** A stream over answers that the test gives; ends with it. */
function follow(answers: ((path: string, signal: AbortSignal) => Response | Promise<Response>)[]) {
  const news: News[] = [];
  const states: Connection[] = [];
  const paths: string[] = [];
  const stream = startStream({
    fetch: async (path, { signal }) => {
      paths.push(path);
      const answer = answers.shift();
      if (!answer) return new Promise((_, fail) => signal?.addEventListener("abort", () => fail(signal.reason)));
      return answer(path, signal as AbortSignal);
    },
    onNews: (one) => news.push(one),
    onConnection: (one) => states.push(one),
  });
  const words = () => states.map(({ state }) => state).filter((state, at, all) => state !== all[at - 1]);
  return { news, states, paths, words, [Symbol.dispose]: stream.stop, retry: stream.retry };
}

const hello = 'id: c1\nevent: hello\ndata: {"version":"1","at":"2026-01-01T00:00:00Z","access":"open"}\n\n';

describe("the stream", () => {
  test("goes on where it ended, after a short wait", async () => {
    using followed = follow([() => new Response(hello), () => new Response("id: c2\nevent: reset\ndata: {}\n\n")]);
    await until(() => followed.news.length === 2);
    expect(followed.paths.slice(0, 2)).toEqual(["/v1/events", "/v1/events?after=c1"]);
    expect(followed.words().slice(0, 5)).toEqual(["connecting", "live", "waiting", "connecting", "live"]);
    const lost = followed.states.find(({ state }) => state === "waiting");
    expect(lost?.lostMs).toBeNumber();
    expect((lost?.nextTryMs ?? 0) - Date.now()).toBeLessThan(1_000);
  });

  test("takes the server's comments for a sign that it is there, and not for news", async () => {
    const parts = new TransformStream<Uint8Array, Uint8Array>();
    const writer = parts.writable.getWriter();
    const write = (text: string) => writer.write(new TextEncoder().encode(text));
    using followed = follow([() => new Response(parts.readable)]);
    await write(hello);
    await until(() => followed.states.at(-1)?.heardMs);
    const heardMs = followed.states.at(-1)?.heardMs;
    await until(() => Date.now() > (heardMs ?? 0));
    const count = followed.states.length;
    await write(":\n\n");
    await until(() => followed.states.length > count);
    expect(followed.states.at(-1)).toMatchObject({ state: "live", heardMs });
    await write('event: alive\ndata: {"at":"2026-01-01T00:00:15Z"}\n\n');
    await until(() => (followed.states.at(-1)?.heardMs ?? 0) > (heardMs ?? 0));
  });

  test("goes on after an answer that is none, and says what the server said", async () => {
    using followed = follow([() => new Response("busy", { status: 503 }), () => new Response(hello)]);
    await until(() => followed.news.length === 1);
    expect(followed.states.find(({ state }) => state === "waiting")?.why).toBe("the server answered 503");
  });

  test("rests when nobody is signed in, until somebody says try", async () => {
    using followed = follow([() => new Response("", { status: 401 }), () => new Response(hello)]);
    await until(() => followed.words().includes("signed_out"));
    expect(followed.paths).toHaveLength(1);
    followed.retry();
    await until(() => followed.news.length === 1);
  });
});
