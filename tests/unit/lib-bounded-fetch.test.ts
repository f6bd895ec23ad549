import { expect, test } from "bun:test";
import { fetchBounded, TooLargeError } from "../../src/lib/bounded-fetch.ts";

const URL_ASKED = "http://answers.test/";

const bodyOf = (...chunks: string[]) =>
  new ReadableStream<Uint8Array>({
    start(stream) {
      for (const chunk of chunks) stream.enqueue(new TextEncoder().encode(chunk));
      stream.close();
    },
  });

test.each([[["1234", "5678"]], [[]]])("a body up to the limit is whole: %p", async (chunks) => {
  const answer = await fetchBounded(URL_ASKED, {}, 8, async () => new Response(bodyOf(...chunks)));
  expect(await answer.text()).toBe(chunks.join(""));
});

test("a longer body is refused, and the rest of it is not read", async () => {
  let isCancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (stream) => stream.enqueue(new Uint8Array(5)),
    cancel() {
      isCancelled = true;
    },
  });
  await expect(fetchBounded(URL_ASKED, {}, 8, async () => new Response(endless))).rejects.toBeInstanceOf(TooLargeError);
  expect(isCancelled).toBe(true);
});

test("a body that comes for ever ends with the signal, also where nothing else heeds it", async () => {
  const stop = new AbortController();
  const endless = new ReadableStream<Uint8Array>({
    pull(stream) {
      stream.enqueue(new Uint8Array(1));
      stop.abort(new Error("enough"));
    },
  });
  const answer = fetchBounded(URL_ASKED, { signal: stop.signal }, 8, async () => new Response(endless));
  await expect(answer).rejects.toThrow("enough");
});

test("no redirect is followed, and an answer without a body has none", async () => {
  const asked: unknown[] = [];
  const answer = await fetchBounded(new URL(URL_ASKED), {}, 8, async (url, { redirect }) => {
    asked.push(url, redirect);
    return new Response(null, { status: 204, headers: { "content-encoding": "gzip", "x-kept": "1" } });
  });
  expect(asked).toEqual([URL_ASKED, "manual"]);
  expect([answer.status, answer.body]).toEqual([204, null]);
  expect(Object.fromEntries(answer.headers)).toEqual({ "x-kept": "1" });
});
