import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { agentOf, fakeAgents } from "../support/fake-services.ts";
import { testApp } from "../support/http-app.ts";

const AGENTS = 300;

/** Over a real socket, since what a client takes is Bun's business, too. */
const { app } = testApp({ agents: fakeAgents(Array.from({ length: AGENTS }, (_, n) => agentOf(n + 1))) });
let base = "";
beforeAll(() => {
  app.listen({ hostname: "127.0.0.1", port: 0 });
  base = `http://127.0.0.1:${app.server?.port}`;
});
afterAll(async () => void (await app.server?.stop(true)));

async function ask(path: string, accepts?: string, method = "GET") {
  const headers: Record<string, string> = { "accept-encoding": accepts ?? "" };
  const answer = await fetch(base + path, { method, headers, keepalive: false, decompress: false });
  return { answer, bytes: new Uint8Array(await answer.arrayBuffer()) };
}

describe("an answer over 1 KiB", () => {
  test.each([
    ["a few", "/v1/agents?limit=10"],
    ["hundreds", "/v1/agents?limit=1000"],
  ])("of %s is compressed for a client that takes gzip, and is the same", async (_, path) => {
    const plain = await ask(path);
    const { answer, bytes } = await ask(path, "br, gzip;q=0.8");
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-encoding")).toBe("gzip");
    expect(answer.headers.get("vary")).toBe("Accept-Encoding");
    expect(answer.headers.get("content-type")).toBe(plain.answer.headers.get("content-type"));
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("link")).toBe(plain.answer.headers.get("link"));
    expect(bytes.length).toBeLessThan(plain.bytes.length / 4);
    expect(Bun.gunzipSync(bytes)).toEqual(plain.bytes);
  });

  test.each([undefined, "identity", "br", "gzip;q=0", "gzip; q=0.0, br", "*;q=0", "gzip;q=0, *"])(
    "is as it is for a client that takes %s",
    async (accepts) => {
      const { answer, bytes } = await ask("/v1/agents", accepts);
      expect(answer.headers.get("content-encoding")).toBeNull();
      expect(answer.headers.get("vary")).toBe("Accept-Encoding");
      expect(JSON.parse(new TextDecoder().decode(bytes))).toHaveLength(100);
    },
  );

  test.each(["*", "GZIP", "deflate, gzip"])("is compressed for a client that takes %s", async (accepts) => {
    expect((await ask("/v1/agents", accepts)).answer.headers.get("content-encoding")).toBe("gzip");
  });

  test.each(["/openapi/json", "/openapi"])("is compressed: %s", async (path) => {
    const plain = await ask(path);
    const { answer, bytes } = await ask(path, "gzip");
    expect(answer.headers.get("content-type")).toBe(plain.answer.headers.get("content-type"));
    expect(new TextDecoder().decode(Bun.gunzipSync(bytes))).toBe(new TextDecoder().decode(plain.bytes));
  });
});

test("a short answer, one without a body, and a refusal are as they are", async () => {
  const short = await ask("/", "gzip");
  expect(short.answer.headers.get("content-encoding")).toBeNull();
  expect(JSON.parse(new TextDecoder().decode(short.bytes))).toMatchObject({ service: "opspilot" });
  const gone = await ask(`/v1/agents/${agentOf(AGENTS).id}`, "gzip", "DELETE");
  expect({ status: gone.answer.status, length: gone.bytes.length }).toEqual({ status: 204, length: 0 });
  const refused = await ask("/v1/nothing", "gzip");
  expect(refused.answer.status).toBe(404);
  expect(refused.answer.headers.get("content-encoding")).toBeNull();
});
