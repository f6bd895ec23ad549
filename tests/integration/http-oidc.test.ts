import { describe, expect, test } from "bun:test";
import { fakeOidc, fakeSessions } from "../support/fake-services.ts";
import { ADMIN_TOKEN, call, TOKEN_ACCESS, testApp } from "../support/http-app.ts";

const tokenApp = (changes: Parameters<typeof testApp>[0] = {}, config: Parameters<typeof testApp>[1] = {}) =>
  testApp(changes, { access: TOKEN_ACCESS, ...config });

const away = async () => {
  throw Object.assign(new Error("no connection"), { code: "ECONNREFUSED" });
};

describe("the routes of sign-in by OpenID Connect", () => {
  test.each([
    ["https://ops.example.com", "; Secure"],
    ["http://localhost", ""],
  ])("set cookies that the browser keeps at %s, and no other site can use", async (publicUrl, secure) => {
    const app = tokenApp({}, { publicUrl });
    const begun = await call(app, "GET", "/v1/session/oidc");
    expect([begun.status, begun.headers.get("location")]).toEqual([303, "https://provider.example.com/authorize"]);
    expect(begun.headers.get("set-cookie")).toBe(
      `opspilot_oidc=${"b".repeat(43)}; Path=/v1/session/oidc; Max-Age=600; HttpOnly; SameSite=Lax${secure}`,
    );
    const ended = await call(app, "GET", "/v1/session/oidc/callback?state=good");
    expect([ended.status, ended.headers.get("location")]).toEqual([303, "/app/incidents/3"]);
    expect(ended.headers.get("set-cookie")).toMatch(
      new RegExp(`^opspilot_session=[\\w-]{43}; Path=/; Max-Age=3600; HttpOnly; SameSite=Strict${secure}$`),
    );
    for (const { headers } of [begun, ended])
      expect([headers.get("referrer-policy"), headers.get("cache-control")]).toEqual(["no-referrer", "no-store"]);
  });

  test("end the session before, and make one with the person's role", async () => {
    const app = tokenApp();
    const own = { host: "localhost:8080", origin: "http://localhost:8080" };
    const before = await call(app, "POST", "/v1/session", { body: { token: ADMIN_TOKEN }, headers: own });
    const cookieOf = ({ headers }: typeof before) => ({ cookie: headers.get("set-cookie")?.split(";")[0] ?? "" });
    const after = await call(app, "GET", "/v1/session/oidc/callback?state=good", { headers: cookieOf(before) });
    const view = { signed_in: true, role: "operator", name: "ana@example.com", signed_in_by: "oidc" };
    expect((await call(app, "GET", "/v1/session", { headers: cookieOf(after) })).json).toMatchObject(view);
    expect((await call(app, "GET", "/v1/agents", { headers: cookieOf(before) })).status).toBe(401);
    const headers = { ...own, ...cookieOf(after), "content-type": "application/json" };
    expect((await call(app, "POST", "/v1/agents", { headers })).json.code).toBe("role_too_low");
    expect(app.refusals.at(-1)?.actor).toBe("oidc:ana@example.com@local");
  });

  test("lead to the page's sign-in where it did not work, without a cookie", async () => {
    const app = tokenApp();
    for (const query of ["", "?state=bad", "?error=access_denied"]) {
      const { status, headers } = await call(app, "GET", `/v1/session/oidc/callback${query}`);
      const told = [status, headers.get("location"), headers.get("set-cookie")];
      expect(told).toEqual([303, "/app/sign-in?sso=expired", null]);
    }
    expect(app.refusals[0]).toEqual({ kind: "session.refused", actor: "oidc:local", data: { reason: "expired" } });
  });

  test("say so on the page while the database is away", async () => {
    const apps = [
      tokenApp({ oidc: { ...fakeOidc(), begin: away, finish: away } }),
      tokenApp({ sessions: { ...fakeSessions(), createFor: away } }),
    ];
    for (const app of apps) {
      const { status, headers } = await call(app, "GET", "/v1/session/oidc/callback?state=good");
      const told = [status, headers.get("location"), headers.get("set-cookie")];
      expect(told).toEqual([303, "/app/sign-in?sso=unavailable", null]);
    }
  });

  test("are not there where no provider is set up", async () => {
    const app = tokenApp({ oidc: null });
    for (const path of ["/v1/session/oidc", "/v1/session/oidc/callback"])
      expect((await call(app, "GET", path)).status).toBe(404);
    expect((await call(app, "GET", "/v1/session")).json.oidc).toBeNull();
  });
});
