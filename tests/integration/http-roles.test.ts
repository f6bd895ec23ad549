import { describe, expect, test } from "bun:test";
import { isIntakePath } from "../../src/http/intake.ts";
import { type DescribedRoute, methodOf, pathOf } from "../../src/http/openapi.ts";
import { roleOf } from "../../src/http/roles.ts";
import { ROLES, type RouteRole } from "../../src/protocol/roles.ts";
import { fakeAccess, uuid } from "../support/fake-services.ts";
import { ADMIN_TOKEN, call, TOKEN_ACCESS, TOKENS, testApp } from "../support/http-app.ts";

/** Every route, and the role that it needs. */
const NEEDED: Readonly<Record<string, RouteRole>> = {
  "GET /": "everybody",
  "GET /healthz": "everybody",
  "GET /readyz": "everybody",
  "GET /metrics": "viewer",
  "GET /openapi": "viewer",
  "GET /openapi/json": "viewer",
  "GET /app": "everybody",
  "GET /app/*": "everybody",
  "GET /download/:name": "everybody",
  "GET /install.sh": "everybody",
  "GET /v1/session": "everybody",
  "POST /v1/session": "everybody",
  "DELETE /v1/session": "everybody",
  "GET /v1/session/oidc": "everybody",
  "GET /v1/session/oidc/callback": "everybody",
  "GET /v1/agents": "viewer",
  "POST /v1/agents": "admin",
  "GET /v1/agents/:id": "viewer",
  "DELETE /v1/agents/:id": "admin",
  "POST /v1/agents/:id/rotate-token": "admin",
  "GET /v1/agents/:id/incidents": "viewer",
  "GET /v1/agents/:id/commands": "viewer",
  "GET /v1/agents/:id/metrics": "viewer",
  "GET /v1/incidents": "viewer",
  "GET /v1/incidents/counts": "viewer",
  "GET /v1/incidents/:id": "viewer",
  "PATCH /v1/incidents": "operator",
  "PATCH /v1/incidents/:id": "operator",
  "POST /v1/incidents/:id/decisions": "operator",
  "POST /v1/incidents/:id/analyze": "operator",
  "POST /v1/incidents/:id/investigate": "operator",
  "POST /v1/incidents/:id/feedback": "operator",
  "GET /v1/incidents/:id/analysis": "viewer",
  "GET /v1/incidents/:id/history": "viewer",
  "GET /v1/incidents/:id/metrics": "viewer",
  "GET /v1/timeline": "viewer",
  "GET /v1/events": "viewer",
  "POST /v1/admin/exec": "operator",
  "GET /v1/commands/:id": "viewer",
  "GET /v1/silences": "viewer",
  "GET /v1/silences/fit": "viewer",
  "GET /v1/silences/:id/fit": "viewer",
  "POST /v1/silences": "operator",
  "DELETE /v1/silences/:id": "operator",
  "GET /v1/setup": "viewer",
  "GET /v1/audit": "viewer",
  "GET /v1/enrolments": "admin",
  "POST /v1/enrolments": "admin",
  "DELETE /v1/enrolments/:id": "admin",
  "GET /v1/tokens": "admin",
  "POST /v1/tokens": "admin",
  "DELETE /v1/tokens/:id": "admin",
  "GET /v1/integrations": "viewer",
  "POST /v1/integrations": "admin",
  "POST /v1/integrations/:id/rotate": "admin",
  "DELETE /v1/integrations/:id": "admin",
  "PATCH /v1/integrations/:id": "admin",
  "GET /v1/ping/:token": "everybody",
  "HEAD /v1/ping/:token": "everybody",
  "POST /v1/ping/:token": "everybody",
  "GET /v1/ping/:token/:how": "everybody",
  "HEAD /v1/ping/:token/:how": "everybody",
  "POST /v1/ping/:token/:how": "everybody",
  "POST /v1/alerts": "everybody",
  "POST /v1/integrations/alertmanager": "everybody",
  "POST /v1/integrations/alertmanager/:token": "everybody",
  "POST /mcp": "viewer",
  "POST /v1/slack/interactions": "everybody",
  "WS /v1/stream": "everybody",
};

const tokenApp = () => testApp({}, { access: TOKEN_ACCESS });
const nameOf = ({ method, path }: { method: string; path: string }) => `${method} ${path.replace(/(.)\/$/, "$1")}`;
const routesOf = (app: unknown) => (app as { routes: DescribedRoute[] }).routes;
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const rank = (role: RouteRole) => ["everybody", ...ROLES].indexOf(role);

/** A path of the route that is there, so that what keeps somebody out can only be the role. */
function pathFor(path: string): string {
  const id = /incidents|silences/.test(path) ? "3" : path.includes("commands/") ? uuid(101) : uuid(1);
  return path.replace(":id", id).replace("*", "x");
}

test("every route names the role that it needs, and is in the table", () => {
  const named = Object.fromEntries(routesOf(tokenApp().app).map((route) => [nameOf(route), roleOf(route)]));
  expect(named).toEqual({ ...NEEDED });
});

const callers: [string, string | undefined, RouteRole][] = [
  ["a guest", undefined, "everybody"],
  ...TOKENS.map(({ role, token }): [string, string, RouteRole] => [`a ${role}`, token, role]),
  ["the administrator", ADMIN_TOKEN, "admin"],
];
const table = Object.entries(NEEDED)
  .filter(([route]) => !route.startsWith("WS"))
  .flatMap(([route, needed]) => callers.map(([who, token, role]) => [who, route, token, role, needed] as const));

describe("role by route", () => {
  test.each(table)("%s at %s", async (_, route, token, role, needed) => {
    const [method = "", path = ""] = route.split(" ");
    const app = tokenApp();
    const headers: Record<string, string> = token === undefined ? {} : bearer(token);
    const { status, json } = await call(app, method, pathFor(path), { headers });
    const isOfItsOwn = /\/(session|interactions|alerts|alertmanager(\/:token)?)$|\/ping\//.test(path);
    if (rank(role) >= rank(needed)) {
      if (!isOfItsOwn) expect(status).not.toBe(401);
      expect(status).not.toBe(403);
    } else if (token === undefined) expect([status, json.code]).toEqual([401, "unauthorized"]);
    else {
      expect([status, json.code]).toEqual([403, "role_too_low"]);
      expect(json.detail).toContain(needed);
      expect(app.refusals).toEqual([
        {
          kind: "access.refused",
          actor: `api:the ${role}@local`,
          data: { route, role, needed },
        },
      ]);
    }
  });

  test("is asked for before what the request brings is looked at, by whatever form of the path", async () => {
    for (const path of ["/v1/agents", "/v1/agents/"]) {
      const viewer = await call(tokenApp(), "POST", path, { headers: bearer("opt_viewer"), body: { hostname: 5 } });
      expect([path, viewer.status]).toEqual([path, 403]);
      const admin = await call(tokenApp(), "POST", path, { headers: bearer("opt_admin"), body: { hostname: 5 } });
      expect([path, admin.status]).toEqual([path, 422]);
    }
  });

  test("holds for who signed in by a browser, too", async () => {
    const own = { host: "localhost:8080", origin: "http://localhost:8080" };
    const app = tokenApp();
    const signedIn = await call(app, "POST", "/v1/session", { body: { token: "opt_viewer" }, headers: own });
    const cookie = signedIn.headers.get("set-cookie")?.split(";")[0] ?? "";
    const headers = { ...own, cookie, "content-type": "application/json" };
    const session = (await call(app, "GET", "/v1/session", { headers })).json;
    expect(session).toMatchObject({ signed_in: true, role: "viewer", name: "the viewer" });
    expect((await call(app, "GET", "/v1/agents", { headers })).status).toBe(200);
    expect((await call(app, "POST", "/v1/agents", { headers })).json.code).toBe("role_too_low");
  });

  test("cannot be told while the database is away, but for the administrator", async () => {
    const find = async () => {
      throw Object.assign(new Error("no connection"), { code: "ECONNREFUSED" });
    };
    const app = testApp({ access: { ...fakeAccess([]), find } }, { access: TOKEN_ACCESS });
    const { status, json } = await call(app, "GET", "/v1/agents", { headers: bearer("opt_viewer") });
    expect([status, json.code]).toEqual([503, "database_unavailable"]);
    expect((await call(app, "GET", "/v1/agents", { headers: bearer(ADMIN_TOKEN) })).status).toBe(200);
  });

  test("is not asked for under open access", async () => {
    expect((await call(testApp(), "POST", "/v1/agents")).status).toBe(201);
  });
});

test("who did something is the token's name, with the address", async () => {
  const app = tokenApp();
  for (const token of ["opt_admin", ADMIN_TOKEN]) await call(app, "POST", "/v1/agents", { headers: bearer(token) });
  expect(app.agents.actors).toEqual(["api:the admin@local", "api:ADMIN_TOKEN@local"]);
  const decided = await call(app, "POST", "/v1/incidents/3/decisions", {
    headers: bearer("opt_operator"),
    body: { action: "acknowledge" },
  });
  expect(decided.json).toMatchObject({ actor: "api:the operator@local", actor_name: "the operator" });
});

test("the API's description names each operation's role", async () => {
  const app = tokenApp();
  const { json } = await call(app, "GET", "/openapi/json", { headers: bearer("opt_viewer") });
  for (const route of routesOf(app.app).filter(({ hooks }) => hooks.detail?.hide !== true)) {
    const needed = NEEDED[nameOf(route)] ?? "everybody";
    const isOptional = route.path.startsWith("/v1/session");
    const bySession = route.path === "/mcp" ? [] : [{ session: [needed] }];
    const ofEverybody = isOptional ? [{}] : isIntakePath(route.path) ? [{ integration: [] }] : [];
    const security = needed === "everybody" ? ofEverybody : [{ token: [needed] }, ...bySession];
    expect([nameOf(route), json.paths[pathOf(route.path)][methodOf(route)].security]).toEqual([
      nameOf(route),
      security,
    ]);
  }
});
