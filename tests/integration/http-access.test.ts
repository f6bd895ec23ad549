import { describe, expect, test } from "bun:test";
import { createClientAddress } from "../../src/lib/addresses.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createFailureCounter } from "../../src/lib/failure-counter.ts";
import { uuid } from "../support/fake-services.ts";
import { ADMIN_TOKEN, call, OPEN_ACCESS, TOKEN_ACCESS, testApp } from "../support/http-app.ts";

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

const GUARDED: [string, string][] = [
  ["GET", "/v1/agents"],
  ["POST", "/v1/agents"],
  ["GET", `/v1/agents/${uuid(1)}`],
  ["DELETE", `/v1/agents/${uuid(1)}`],
  ["POST", `/v1/agents/${uuid(1)}/rotate-token`],
  ["GET", `/v1/agents/${uuid(1)}/incidents`],
  ["GET", `/v1/agents/${uuid(1)}/commands`],
  ["GET", "/v1/incidents"],
  ["GET", "/v1/incidents/3"],
  ["PATCH", "/v1/incidents/3"],
  ["POST", "/v1/incidents/3/feedback"],
  ["PATCH", "/v1/incidents"],
  ["POST", "/v1/admin/exec"],
  ["GET", `/v1/commands/${uuid(101)}`],
  ["GET", "/metrics"],
  ["GET", "/openapi"],
  ["GET", "/openapi/json"],
  ["GET", "/nothing-is-here"],
  ["GET", "/healthz/"],
  ["GET", "//healthz"],
  ["OPTIONS", "/v1/agents"],
];

describe("token access", () => {
  const app = () => testApp({}, { access: TOKEN_ACCESS });

  test.each(GUARDED)("keeps guests and wrong credentials from %s %s", async (method, path) => {
    for (const headers of [
      {},
      bearer("wrong"),
      bearer(`${ADMIN_TOKEN}x`),
      bearer(""),
      { authorization: ADMIN_TOKEN },
    ]) {
      const answer = await call(app(), method, path, { headers });
      expect(answer.status).toBe(401);
      expect(answer.headers.get("www-authenticate")).toBe('Bearer realm="opspilot"');
      if (method !== "HEAD") expect(answer.json.code).toBe("unauthorized");
    }
  });

  test.each(GUARDED)("lets the administrator's token through to %s %s", async (method, path) => {
    for (const authorization of [`Bearer ${ADMIN_TOKEN}`, `bearer  ${ADMIN_TOKEN}`]) {
      expect((await call(app(), method, path, { headers: { authorization } })).status).not.toBe(401);
    }
  });

  test.each(["/", "/healthz", "/readyz"])("shows %s to everybody", async (path) => {
    expect((await call(app(), "GET", path)).status).toBe(200);
  });

  test("has any Host, and proxies in front", async () => {
    const headers = { ...bearer(ADMIN_TOKEN), host: "ops.example.com", "x-forwarded-for": "1.2.3.4", via: "1.1 proxy" };
    expect((await call(app(), "GET", "/v1/agents", { headers })).status).toBe(200);
  });

  test("answers an administrator's mistakes only after the credential", async () => {
    const body = { status: "nonsense" };
    expect((await call(app(), "PATCH", "/v1/incidents/x", { body })).status).toBe(401);
  });
});

describe("failures", () => {
  const failureLimits = { windowMs: 60_000, perCredential: 2, perAddress: 4, entriesMax: 100 };

  test("are slowed down, and a right credential never is", async () => {
    const app = testApp({ failureLimits }, { access: TOKEN_ACCESS });
    const attempt = (token: string) => call(app, "GET", "/v1/agents", { headers: bearer(token) });
    const statuses: number[] = [];
    for (const token of ["a", "a", "a", "b", "c"]) statuses.push((await attempt(token)).status);
    expect(statuses).toEqual([401, 401, 429, 401, 429]);
    const slowed = await attempt("d");
    expect(slowed.json.code).toBe("rate_limited");
    expect(Number(slowed.headers.get("retry-after"))).toBeWithin(1, 61);
    expect((await attempt(ADMIN_TOKEN)).status).toBe(200);
    expect((await call(app, "GET", "/v1/agents")).status).toBe(401);
  });

  test("are forgotten after a while, and held in bounded memory", () => {
    let nowMs = 0;
    const counter = createFailureCounter({ ...createSystemClock(), monotonicMs: () => nowMs }, failureLimits);
    const note = () => counter.note("10.0.0.1", "a");
    expect([note(), note(), note()]).toEqual([0, 0, 60]);
    nowMs = 59_500;
    expect(note()).toBe(1);
    nowMs = 60_000;
    expect(note()).toBe(0);
    for (let at = 0; at < 1_000; at++) counter.note(`10.1.${at >> 8}.${at & 255}`, "a");
    expect([note(), note(), note()]).toEqual([0, 0, 60]);
  });

  test("of one IPv6 network count together", () => {
    const counter = createFailureCounter(createSystemClock(), failureLimits);
    for (const host of [1, 2]) expect(counter.note(`2001:db8:0:1::${host}`, "a")).toBe(0);
    expect(counter.note("2001:db8:0:1:ffff::3", "a")).toBeGreaterThan(0);
    expect(counter.note("2001:db8:0:2::1", "a")).toBe(0);
  });
});

describe("web pages of other sites", () => {
  const cases: [string, Record<string, string>, number][] = [
    ["no headers of a browser", {}, 200],
    ["the server's own page", { host: "localhost:8080", origin: "http://localhost:8080" }, 200],
    ["the public URL's page", { host: "localhost:8080", origin: "https://ops.example.com" }, 200],
    ["another port", { host: "localhost:8080", origin: "http://localhost:3000" }, 403],
    ["the port that goes without saying", { host: "localhost", origin: "http://localhost:80" }, 200],
    ["another host", { host: "localhost:8080", origin: "http://evil.example.com" }, 403],
    ["the public URL as http", { host: "localhost:8080", origin: "http://ops.example.com" }, 403],
    ["no origin at all", { host: "localhost:8080", origin: "null" }, 403],
    ["rubbish", { host: "localhost:8080", origin: "%%%" }, 403],
    ["an extension", { host: "localhost:8080", origin: "chrome-extension://localhost:8080" }, 403],
    ["a cross-site fetch", { "sec-fetch-site": "cross-site" }, 403],
    ["a same-site fetch", { "sec-fetch-site": "same-site" }, 403],
    ["a cross-site navigation", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }, 403],
    ["an address typed in", { "sec-fetch-site": "none" }, 200],
    ["its own fetch", { "sec-fetch-site": "same-origin" }, 200],
  ];
  test.each(cases)("with %s", async (_, headers, status) => {
    for (const access of [OPEN_ACCESS, TOKEN_ACCESS, { ...OPEN_ACCESS, explicit: true }]) {
      const app = testApp({}, { access, publicUrl: "https://ops.example.com" });
      const answer = await call(app, "GET", "/v1/agents", { headers: { ...bearer(ADMIN_TOKEN), ...headers } });
      expect(answer.status).toBe(status);
      if (status === 403) expect(answer.json.code).toBe("foreign_origin");
    }
  });

  test.each(["/healthz", "/readyz", "/metrics", "/v1/stream", "/nothing", "/openapi/json"])(
    "get nothing of %s",
    async (path) => {
      const answer = await call(testApp(), "GET", path, { headers: { origin: "http://evil.example.com" } });
      expect(answer.json.code).toBe("foreign_origin");
    },
  );

  test("may link to the first page", async () => {
    const headers = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };
    expect((await call(testApp(), "GET", "/", { headers })).status).toBe(200);
    expect((await call(testApp(), "POST", "/", { headers })).status).toBe(403);
    expect((await call(testApp(), "GET", "/", { headers: { "sec-fetch-site": "cross-site" } })).status).toBe(403);
  });
});

describe("open access", () => {
  test.each([
    ["localhost", 200],
    ["LOCALHOST:8080", 200],
    ["127.0.0.1:8080", 200],
    ["127.9.9.9", 200],
    ["[::1]:8080", 200],
    ["evil.example.com", 403],
    ["localhost.evil.example.com", 403],
    ["127.0.0.1.evil.example.com", 403],
    ["192.168.1.5:8080", 403],
    ["ops.example.com", 403],
    ["a@localhost", 400],
    ["localhost, evil", 400],
    ["", 400],
  ])("with Host %p", async (host, status) => {
    const publicUrl = "https://ops.example.com";
    const answer = await call(testApp({}, { publicUrl }), "GET", "/v1/agents", { headers: { host } });
    expect(answer.status).toBe(status);
    if (status !== 200) expect(answer.json.code).toBe(status === 403 ? "foreign_host" : "bad_host");
  });

  test("that somebody set knows the public URL's host", async () => {
    const config = { access: { ...OPEN_ACCESS, explicit: true }, publicUrl: "https://ops.example.com/path" };
    const host = async (name: string) =>
      (await call(testApp({}, config), "GET", "/v1/agents", { headers: { host: name } })).status;
    expect([await host("Ops.Example.com:8443"), await host("localhost"), await host("evil.example.com")]).toEqual([
      200, 200, 403,
    ]);
  });

  test.each(["/healthz", "/readyz"])("answers %s by any Host", async (path) => {
    expect((await call(testApp(), "GET", path, { headers: { host: "10.0.0.7:8080" } })).status).toBe(200);
  });

  test.each(["Forwarded", "X-Forwarded-For", "X-Forwarded-Anything", "X-Real-IP", "Via", "CF-Connecting-IP"])(
    "refuses what came through a proxy by %s, unless somebody set it",
    async (name) => {
      const headers = { [name]: "1.2.3.4" };
      for (const path of ["/v1/agents", "/healthz", "/v1/stream", "/nothing"]) {
        const refused = await call(testApp(), "GET", path, { headers });
        expect([refused.status, refused.json.code]).toEqual([403, "proxied_open_access"]);
      }
      const access = { ...OPEN_ACCESS, explicit: true };
      expect((await call(testApp({}, { access }), "GET", "/v1/agents", { headers })).status).toBe(200);
    },
  );
});

describe("the client's address", () => {
  const from = (peer: string, forwarded: string | undefined, trusted: string[]) => {
    const headers: Record<string, string> = forwarded === undefined ? {} : { "x-forwarded-for": forwarded };
    const request = new Request("http://localhost/", { headers });
    return createClientAddress(trusted)(request, { requestIP: () => ({ address: peer }) });
  };
  test.each([
    ["10.0.0.1", undefined, [], "10.0.0.1"],
    ["::ffff:10.0.0.1", undefined, [], "10.0.0.1"],
    ["10.0.0.1", "1.2.3.4", [], "10.0.0.1"],
    ["10.0.0.1", "1.2.3.4", ["10.0.0.0/8"], "1.2.3.4"],
    ["::ffff:10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", ["10.0.0.0/8"], "1.2.3.4"],
    ["10.0.0.1", "10.0.0.3", ["10.0.0.0/8"], "10.0.0.1"],
    ["10.0.0.1", " , ", ["10.0.0.1"], "10.0.0.1"],
    ["fd00::1", "2001:db8::7", ["fd00::/8"], "2001:db8::7"],
  ] as [string, string | undefined, string[], string][])(
    "%s with %p behind %p is %s",
    (peer, forwarded, trusted, address) => {
      expect(from(peer, forwarded, trusted)).toBe(address);
    },
  );
});
