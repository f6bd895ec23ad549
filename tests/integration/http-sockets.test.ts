import { afterEach, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { connect } from "node:net";
import WebSocket from "ws";
import { type Listening, listen } from "../../src/http/listen.ts";
import { ExitCode, StartupError } from "../../src/lib/errors.ts";
import { CERTIFICATE, CERTIFICATE_KEY } from "../support/certificate.ts";
import { ADMIN_TOKEN, TOKEN_ACCESS, testApp } from "../support/http-app.ts";

const open: Listening[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.stop()));
});

type Settings = NonNullable<Parameters<typeof testApp>[1]>;

function serve(config: Settings = {}, host = "127.0.0.1") {
  const made = testApp({}, config);
  const listening = listen(made.app, { listen: { host, port: 0 }, tls: config.tls ?? null });
  open.push(listening);
  return { ...made, ...listening };
}

/** What came of an upgrade: the first message, or the status it was refused with. */
function upgrade(url: string, headers: Record<string, string>): Promise<string | number> {
  const { promise, resolve, reject } = Promise.withResolvers<string | number>();
  const socket = new WebSocket(`${url.replace("http", "ws")}/v1/stream`, { headers });
  socket.on("message", (data) => {
    resolve(String(data));
    socket.close();
  });
  socket.on("unexpected-response", (_, response) => {
    resolve(response.statusCode ?? 0);
    response.destroy();
  });
  socket.on("error", reject);
  return promise;
}

/** Bytes as they are, and the answer until the server closes or `until` has come. */
function raw(port: number, text: string, until: RegExp): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect(port, "127.0.0.1", () => socket.write(text));
  let answer = "";
  socket.on("data", (data) => {
    answer += data;
    if (until.test(answer)) socket.destroy();
  });
  socket.on("close", () => resolve(answer));
  socket.on("error", reject);
  return promise;
}

describe("an upgrade", () => {
  const cases: [string, Record<string, string>, string | number][] = [
    ["no headers of a browser", {}, "welcome"],
    ["a foreign Origin", { origin: "http://evil.example.com" }, 403],
    ["Origin null", { origin: "null" }, 403],
    ["a foreign Host", { host: "evil.example.com" }, 403],
    ["X-Forwarded-For", { "x-forwarded-for": "1.2.3.4" }, 403],
    ["Forwarded", { forwarded: "for=1.2.3.4" }, 403],
    ["Sec-Fetch-Site: cross-site", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "websocket" }, 403],
  ];
  test.each(cases)("with %s under open access", async (_, headers, outcome) => {
    expect(await upgrade(serve().url, headers)).toBe(outcome);
  });

  test("with the server's own Origin", async () => {
    const { url } = serve();
    expect(await upgrade(url, { origin: url })).toBe("welcome");
  });

  test.each([
    ["no credential", {}, "welcome"],
    ["an agent's token", { authorization: "Bearer some-agents-token" }, "welcome"],
    ["a proxy's headers and any Host", { "x-forwarded-for": "1.2.3.4", host: "ops.example.com" }, "welcome"],
    ["a foreign Origin", { origin: "http://evil.example.com", authorization: `Bearer ${ADMIN_TOKEN}` }, 403],
  ] as [string, Record<string, string>, string | number][])(
    "with %s under token access",
    async (_, headers, outcome) => {
      expect(await upgrade(serve({ access: TOKEN_ACCESS }).url, headers)).toBe(outcome);
    },
  );
});

describe("a server that listens", () => {
  test("takes the address of its client for the audit trail", async () => {
    const { url, agents } = serve();
    expect((await fetch(`${url}/v1/agents`, { method: "POST" })).status).toBe(201);
    expect(agents.actors).toEqual(["api:127.0.0.1"]);
  });

  test("believes X-Forwarded-For of trusted proxies alone", async () => {
    const access = { mode: "open", explicit: true, adminToken: null } as const;
    for (const [trustedProxies, actor] of [
      [["127.0.0.1"], "api:1.2.3.4"],
      [["10.0.0.1"], "api:127.0.0.1"],
    ] as const) {
      const { url, agents } = serve({ access, trustedProxies });
      await fetch(`${url}/v1/agents`, { method: "POST", headers: { "x-forwarded-for": "1.2.3.4" } });
      expect(agents.actors).toEqual([actor]);
    }
  });

  test("has its URL on IPv6, too", async () => {
    const { url } = serve({}, "::1");
    expect(url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  test("speaks TLS", async () => {
    const { url } = serve({ tls: { cert: CERTIFICATE, key: CERTIFICATE_KEY, files: { cert: "", key: "" } } });
    expect(url).toStartWith("https://");
    const tls = { ca: CERTIFICATE };
    expect((await fetch(`${url}/v1/agents`, { headers: { origin: url }, tls })).status).toBe(200);
  });

  test("may have a short name", async () => {
    const { port } = serve({ access: TOKEN_ACCESS });
    const head = `GET /v1/agents HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\n\r\n`;
    expect(await raw(port, head, /\]$/)).toStartWith("HTTP/1.1 200");
  });

  test("refuses bodies over the limit, announced or not", async () => {
    const { url } = serve();
    const body = JSON.stringify({ hostname: "x".repeat(200_000) });
    const headers = { "content-type": "application/json" };
    expect((await fetch(`${url}/v1/agents`, { method: "POST", body, headers })).status).toBe(413);
    const chunks = new ReadableStream({
      start(controller) {
        for (let at = 0; at < body.length; at += 10_000)
          controller.enqueue(new TextEncoder().encode(body.slice(at, at + 10_000)));
        controller.close();
      },
    });
    const answer = await fetch(`${url}/v1/agents`, { method: "POST", body: chunks, headers });
    expect(answer.status).toBe(413);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  test.each([
    ["GET /v1/agents HTTP/1.1\r\nHost: localhost\r\n", "200"],
    ["GET http://localhost/v1/agents HTTP/1.1\r\nHost: evil.example.com\r\n", "403"],
    ["GET /v1/agents HTTP/1.1\r\nHost: a@localhost\r\n", "400"],
    ["GET /v1/agents HTTP/1.1\r\nHost: localhost\r\nHost: evil.example.com\r\n", "400"],
    ["GET /v1/agents HTTP/1.1\r\nHost: \r\n", "400"],
    ["GET /v1/agents HTTP/1.0\r\n", "400"],
  ])("answers %p with %s", async (head, status) => {
    expect(await raw(serve().port, `${head}\r\n`, /\r\n\r\n/)).toStartWith(`HTTP/1.1 ${status}`);
  });

  const HEAD = "Host: localhost\r\nContent-Type: application/json\r\n";
  test.each([
    ["a header of 20 kB", `GET /v1/agents HTTP/1.1\r\n${HEAD}X: ${"x".repeat(20_000)}\r\n\r\n`, "431"],
    ["a path of 1 MB", `GET /${"x".repeat(1_000_000)} HTTP/1.1\r\n${HEAD}\r\n`, "431"],
    ["a thousand headers", `GET /v1/agents HTTP/1.1\r\n${HEAD}${"x: 1\r\n".repeat(1_000)}\r\n`, "431"],
    [
      "a body without end",
      `POST /v1/agents HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n${`4000\r\n${"x".repeat(16_384)}\r\n`.repeat(600)}`,
      "413",
    ],
    [
      "two lengths of one body",
      `POST /v1/agents HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n`,
      "400",
    ],
    [
      "two lengths that differ",
      `POST /v1/agents HTTP/1.1\r\n${HEAD}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`,
      "400",
    ],
    ["a folded header", `GET /v1/agents HTTP/1.1\r\n${HEAD}X: a\r\n b\r\n\r\n`, "400"],
    ["a NUL in a header", `GET /v1/agents HTTP/1.1\r\n${HEAD}X: a\0b\r\n\r\n`, "400"],
    ["another protocol", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"],
  ])("refuses %s, once, and is there for the next", async (_, text, status) => {
    const { port, url, agents } = serve();
    const answers = (await raw(port, text, /\r\n\r\n/)).match(/^HTTP\/1\.1 \d{3}/gm);
    expect(answers).toEqual([`HTTP/1.1 ${status}`]);
    expect(agents.actors).toEqual([]);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  test.each([
    "GET /healthz/../v1/agents",
    "GET /v1/../v1/agents",
    "GET /%76%31/agents",
    "GET //v1/agents",
    "GET /v1/agents/",
    "GET /healthz#/../v1/agents",
    "GET /healthz/%2e%2e/v1/agents",
    "GET http://localhost/healthz/../v1/agents",
  ])("gives guests no agents by %s", async (line) => {
    const { port } = serve({ access: TOKEN_ACCESS });
    const answer = await raw(port, `${line} HTTP/1.1\r\nHost: a\r\n\r\n`, /\r\n\r\n/);
    expect(answer).not.toContain("host-1");
    expect(answer).toMatch(/^HTTP\/1.1 (40|200 OK\r\n(?=[\s\S]*\{"status":"ok"\}$))/);
  });

  test("takes no more connections once it is to stop, and keeps the sockets that are there until it does", async () => {
    const { url, refuse, stop } = serve();
    const socket = new WebSocket(`${url.replace("http", "ws")}/v1/stream`);
    await once(socket, "open");
    refuse();
    expect(fetch(`${url}/healthz`, { keepalive: false })).rejects.toThrow();
    socket.ping();
    await once(socket, "pong");
    const closed = once(socket, "close");
    await stop();
    await closed;
  });

  test("stops, twice", async () => {
    const { url, stop } = serve();
    await Promise.all([stop(), stop()]);
    expect(fetch(`${url}/healthz`)).rejects.toThrow();
  });
});

describe("a port that cannot be had", () => {
  test("because it is taken", () => {
    const { port } = serve();
    const error = catchError(() => listen(testApp().app, { listen: { host: "127.0.0.1", port }, tls: null }));
    expect(error.exitCode).toBe(ExitCode.unavailable);
    expect(error.message).toContain(`port ${port} is taken`);
  });

  test("because the address is not this machine's", () => {
    const error = catchError(() => listen(testApp().app, { listen: { host: "192.0.2.1", port: 0 }, tls: null }));
    expect(error.exitCode).toBe(ExitCode.unavailable);
    expect(error.message).toContain("192.0.2.1");
  });
});

function catchError(act: () => unknown): StartupError {
  try {
    act();
  } catch (error) {
    if (error instanceof StartupError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
