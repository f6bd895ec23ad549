import { afterEach, expect, test } from "bun:test";
import type { Listener } from "../../src/http/event-streams.ts";
import { EventReader } from "../support/event-stream.ts";
import { ADMIN_TOKEN, call, TOKEN_ACCESS, testApp } from "../support/http-app.ts";
import { until } from "../support/until.ts";

const CREDENTIAL = { authorization: `Bearer ${ADMIN_TOKEN}` };

let stop = async () => {};
afterEach(() => stop());

/** The app on a socket, with streams that only say who wants to listen. */
function listeningApp() {
  const listeners: Listener[] = [];
  const events = {
    async open(listener: Listener) {
      listeners.push(listener);
      return new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new TextEncoder().encode("event: hello\ndata: {}\n\n")),
      });
    },
  };
  const { app } = testApp({ events }, { access: TOKEN_ACCESS });
  app.listen({ hostname: "127.0.0.1", port: 0 });
  stop = async () => void (await app.server?.stop(true));
  return { url: `http://127.0.0.1:${app.server?.port}`, listeners };
}

test("whether a stream may go on is asked by the rules of every request, long after it was answered", async () => {
  const { url, listeners } = listeningApp();
  const reader = await EventReader.open(url, "/v1/events", CREDENTIAL);
  await reader.event("hello");
  reader.close();
  await until(() => listeners[0]?.signal.aborted, { what: "the listener is gone" });
  Bun.gc(true);
  expect(await listeners[0]?.isAllowed()).toBe(true);
});

test.each([
  ["/v1/events?after=1.5:6:", {}, "1.5:6:"],
  ["/v1/events?after=1.5:6:", { "last-event-id": "2.7:8:" }, "2.7:8:"],
  ["/v1/events", {}, undefined],
  ["/v1/events?after=", {}, undefined],
])("%s with %p goes on after %p", async (path, headers, after) => {
  const { url, listeners } = listeningApp();
  const reader = await EventReader.open(url, path, { ...CREDENTIAL, ...headers });
  expect(reader.head).toStartWith("HTTP/1.1 200");
  expect(listeners.map((one) => one.after)).toEqual([after]);
  reader.close();
});

test("a node that has too many streams says so, and when to come back", async () => {
  const { status, headers, json } = await call(testApp(), "GET", "/v1/events");
  expect({ status, code: json.code, retryAfter: headers.get("retry-after") }).toEqual({
    status: 503,
    code: "too_many_streams",
    retryAfter: "15",
  });
});
