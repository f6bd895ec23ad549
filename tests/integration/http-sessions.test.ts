import { describe, expect, test } from "bun:test";
import { fakeSessions, uuid } from "../support/fake-services.ts";
import { ADMIN_TOKEN, call, TOKEN_ACCESS, testApp } from "../support/http-app.ts";

const OWN = { host: "localhost:8080", origin: "http://localhost:8080" };
const JSON_TYPE = { "content-type": "application/json" };

type App = ReturnType<typeof testApp>;

const tokenApp = (changes: Parameters<typeof testApp>[0] = {}, config: Parameters<typeof testApp>[1] = {}) =>
  testApp(changes, { access: TOKEN_ACCESS, ...config });

function signIn(app: App, token: string, headers: Record<string, string> = OWN) {
  return call(app, "POST", "/v1/session", { body: { token }, headers });
}

/** Signs in; the cookie as a browser sends it back. */
async function cookieOf(app: App, headers?: Record<string, string>): Promise<{ cookie: string }> {
  const answer = await signIn(app, ADMIN_TOKEN, headers);
  expect(answer.status).toBe(204);
  return { cookie: (answer.headers.get("set-cookie") ?? "").split(";")[0] ?? "" };
}

/** What the API asks of a guest, and of a browser that is signed in: method, path, and the answer for the latter. */
const ROUTES: [string, string, number][] = [
  ["GET", "/v1/agents", 200],
  ["GET", `/v1/agents/${uuid(1)}`, 200],
  ["GET", "/v1/incidents", 200],
  ["GET", "/v1/incidents/3", 200],
  ["GET", "/v1/silences", 200],
  ["GET", "/metrics", 200],
  ["GET", "/openapi/json", 200],
  ["GET", "/nothing-is-here", 404],
  ["POST", "/v1/agents", 201],
  ["POST", `/v1/agents/${uuid(1)}/rotate-token`, 200],
  ["DELETE", `/v1/agents/${uuid(1)}`, 204],
  ["POST", "/v1/incidents/3/analyze", 202],
];

describe("signing in", () => {
  test("with the token gives a cookie that no script and no other site can use", async () => {
    const answer = await signIn(tokenApp(), ADMIN_TOKEN);
    expect([answer.status, answer.text, answer.headers.get("cache-control")]).toEqual([204, "", "no-store"]);
    const cookie = answer.headers.get("set-cookie") ?? "";
    expect(cookie).toMatch(/^opspilot_session=[\w-]{43}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Strict$/);
    expect(cookie).not.toContain(ADMIN_TOKEN);
  });

  test.each([
    ["http", {}, "http://localhost:8080", false],
    ["a proxy with TLS", { publicUrl: "https://ops.example.com" }, "https://ops.example.com", true],
    ["a proxy with TLS that nobody set", {}, "https://localhost:8080", true],
    ["http beside a proxy with TLS", { publicUrl: "https://ops.example.com" }, "http://localhost:8080", false],
    ["a program, with TLS in public", { publicUrl: "https://ops.example.com" }, null, true],
    ["a program, without", { publicUrl: "http://ops.example.com" }, null, false],
  ])("by %s gives a cookie that the browser keeps there", async (_, config, origin, isSecure) => {
    const headers: Record<string, string> = { host: "localhost:8080", ...(origin === null ? {} : { origin }) };
    const cookie = (await signIn(tokenApp({}, config), ADMIN_TOKEN, headers)).headers.get("set-cookie") ?? "";
    expect(cookie.endsWith("; Secure")).toBe(isSecure);
  });

  test.each([
    ["a wrong token", { body: { token: "wrong" } }, 401],
    ["the token with more", { body: { token: `${ADMIN_TOKEN}x` } }, 401],
    ["no token", { body: { token: "" } }, 401],
    ["nothing", {}, 422],
    ["no text", { body: { token: 7 } }, 422],
    ["too long a text", { body: { token: "x".repeat(513) } }, 422],
    ["no JSON", { body: "token" }, 400],
    ["a form", { body: `token=${ADMIN_TOKEN}`, headers: { "content-type": "application/x-www-form-urlencoded" } }, 415],
    ["a page of another site", { body: { token: ADMIN_TOKEN }, headers: { origin: "http://evil.example.com" } }, 403],
    ["another port's page", { body: { token: ADMIN_TOKEN }, headers: { origin: "http://localhost:3000" } }, 403],
    ["a page without a name", { body: { token: ADMIN_TOKEN }, headers: { origin: "null" } }, 403],
    ["a same-site page", { body: { token: ADMIN_TOKEN }, headers: { "sec-fetch-site": "same-site" } }, 403],
  ])(
    "with %s is refused, and sets no cookie",
    async (_, { body, headers }: Parameters<typeof call>[3] & object, status) => {
      const answer = await call(tokenApp(), "POST", "/v1/session", { body, headers: { ...OWN, ...headers } });
      expect([answer.status, answer.headers.get("set-cookie")]).toEqual([status, null]);
    },
  );

  test("is not asked for under open access", async () => {
    expect((await call(testApp(), "GET", "/v1/session")).json).toEqual({
      access: "open",
      signed_in: true,
      expires_at: null,
      role: "admin",
      name: null,
      signed_in_by: null,
      oidc: null,
    });
    const answer = await signIn(testApp(), ADMIN_TOKEN);
    expect([answer.status, answer.json.code, answer.headers.get("set-cookie")]).toEqual([409, "open_access", null]);
  });

  test("that fails is slowed down as a wrong Bearer is, with which it is counted; the right token never is", async () => {
    const failureLimits = { windowMs: 60_000, perCredential: 3, perAddress: 100, entriesMax: 100 };
    const app = tokenApp({ failureLimits });
    const bearer = () => call(app, "GET", "/v1/agents", { headers: { authorization: "Bearer guess" } });
    const statuses: number[] = [];
    for (const attempt of [
      () => signIn(app, "guess"),
      bearer,
      () => signIn(app, "guess"),
      () => signIn(app, "guess"),
      bearer,
    ])
      statuses.push((await attempt()).status);
    expect(statuses).toEqual([401, 401, 401, 429, 429]);
    const slowed = await signIn(app, "guess");
    expect([slowed.json.code, slowed.headers.get("set-cookie")]).toEqual(["rate_limited", null]);
    expect(Number(slowed.headers.get("retry-after"))).toBeWithin(1, 61);
    expect((await signIn(app, ADMIN_TOKEN)).status).toBe(204);
  });

  test("again ends the session before it", async () => {
    const app = tokenApp();
    const first = await cookieOf(app);
    const second = await cookieOf(app, { ...OWN, ...first });
    expect((await call(app, "GET", "/v1/agents", { headers: first })).status).toBe(401);
    expect((await call(app, "GET", "/v1/agents", { headers: second })).status).toBe(200);
  });
});

describe("a browser that is signed in", () => {
  test.each(ROUTES)("may %s %s, a guest may not", async (method, path, status) => {
    const app = tokenApp();
    const headers = { ...OWN, ...JSON_TYPE, ...(await cookieOf(app)) };
    expect((await call(app, method, path, { headers: { ...OWN, ...JSON_TYPE } })).status).toBe(401);
    expect((await call(app, method, path, { headers })).status).toBe(status);
  });

  test("is told so, and until when", async () => {
    const app = tokenApp();
    const { json } = await call(app, "GET", "/v1/session", { headers: await cookieOf(app) });
    const oidc = { name: "Example", url: "http://localhost/v1/session/oidc" };
    const who = { role: "admin", name: "ADMIN_TOKEN", signed_in_by: "token", oidc };
    expect(json).toEqual({ access: "token", signed_in: true, expires_at: expect.any(String), ...who });
    expect(Date.parse(json.expires_at) - Date.now()).toBeWithin(3_500_000, 3_600_001);
    expect((await call(app, "GET", "/v1/session")).json).toEqual({
      access: "token",
      signed_in: false,
      expires_at: null,
      role: null,
      name: null,
      signed_in_by: null,
      oidc,
    });
  });

  const CHANGES = ROUTES.filter(([method]) => method !== "GET");
  const FOREIGN: [string, Record<string, string>, number][] = [
    ["a page of another site", { ...JSON_TYPE, origin: "http://evil.example.com" }, 403],
    ["another port's page", { ...JSON_TYPE, origin: "http://localhost:3000" }, 403],
    ["a page without a name", { ...JSON_TYPE, origin: "null" }, 403],
    ["no page", JSON_TYPE, 403],
    ["a same-site page", { ...JSON_TYPE, ...OWN, "sec-fetch-site": "same-site" }, 403],
    ["its own page, by a form", { ...OWN, "content-type": "text/plain" }, 415],
    ["its own page, without a type", OWN, 415],
  ];
  test.each(FOREIGN)("changes nothing for %s", async (_, headers, status) => {
    for (const [method, path] of CHANGES) {
      const app = tokenApp();
      const cookie = await cookieOf(app);
      const answer = await call(app, method, path, { headers: { host: "localhost:8080", ...cookie, ...headers } });
      expect([path, answer.status]).toEqual([path, status]);
      expect(await app.agents.list({ limit: 10 })).toMatchObject({ agents: { length: 2 } });
    }
  });

  test("reads nothing for a page of another site", async () => {
    const app = tokenApp();
    const cookie = await cookieOf(app);
    for (const headers of [{ origin: "http://evil.example.com" }, { "sec-fetch-site": "cross-site" }] as Record<
      string,
      string
    >[])
      expect((await call(app, "GET", "/v1/agents", { headers: { ...OWN, ...cookie, ...headers } })).status).toBe(403);
  });

  test("is judged by the token where one comes along", async () => {
    const app = tokenApp();
    const cookie = await cookieOf(app);
    const status = async (headers: Record<string, string>, path = "/v1/agents") =>
      (await call(app, "GET", path, { headers: { ...cookie, ...headers } })).status;
    expect(await status({ authorization: "Bearer wrong" })).toBe(401);
    expect(await status({ authorization: "Bearer wrong" }, "/v1/session")).toBe(401);
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
    expect(await status(headers)).toBe(200);
    expect((await call(app, "GET", "/v1/session", { headers })).json.signed_in).toBe(true);
    // A program has no origin.
    expect((await call(app, "POST", "/v1/agents", { headers: { ...headers, ...JSON_TYPE } })).status).toBe(201);
  });

  test.each([
    "",
    "opspilot_session=",
    "opspilot_session=short",
    `opspilot_session=${"x".repeat(43)}`,
    `other_opspilot_session=${"x".repeat(43)}`,
    `opspilot_session=${"x".repeat(44)}`,
  ])("is not one with the cookie %p, which is no attempt to guess either", async (cookie) => {
    const failureLimits = { windowMs: 60_000, perCredential: 1, perAddress: 1, entriesMax: 100 };
    const app = tokenApp({ failureLimits });
    for (let repeat = 0; repeat < 3; repeat++)
      expect((await call(app, "GET", "/v1/agents", { headers: { cookie } })).status).toBe(401);
  });

  test("may have other cookies, too", async () => {
    const app = tokenApp();
    const { cookie } = await cookieOf(app);
    for (const all of [`theme=dark; ${cookie}`, `${cookie}; theme=dark`, `a=b;${cookie} ;c=d`])
      expect((await call(app, "GET", "/v1/agents", { headers: { cookie: all } })).status).toBe(200);
  });

  test("is signed out for good, and may say so twice", async () => {
    const app = tokenApp();
    const cookie = await cookieOf(app);
    for (let repeat = 0; repeat < 2; repeat++) {
      const out = await call(app, "DELETE", "/v1/session", { headers: { ...OWN, ...cookie } });
      expect([out.status, out.headers.get("set-cookie")]).toEqual([
        204,
        "opspilot_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict",
      ]);
    }
    expect((await call(app, "GET", "/v1/agents", { headers: cookie })).status).toBe(401);
    expect((await call(app, "GET", "/v1/session", { headers: cookie })).json.signed_in).toBe(false);
  });

  test("is not signed out by a page of another site", async () => {
    const app = tokenApp();
    const cookie = await cookieOf(app);
    const headers = { ...cookie, host: "localhost:8080", origin: "http://evil.example.com" };
    expect((await call(app, "DELETE", "/v1/session", { headers })).status).toBe(403);
    expect((await call(app, "GET", "/v1/agents", { headers: cookie })).status).toBe(200);
  });

  test("is told to try again while the database is away, not to sign in again", async () => {
    const sessions = fakeSessions();
    const app = tokenApp({ sessions });
    const cookie = await cookieOf(app);
    sessions.find = async () => {
      throw Object.assign(new Error("no connection"), { code: "ECONNREFUSED" });
    };
    for (const path of ["/v1/agents", "/v1/session"]) {
      const answer = await call(app, "GET", path, { headers: cookie });
      expect([answer.status, answer.json.code]).toEqual([503, "database_unavailable"]);
    }
  });
});
