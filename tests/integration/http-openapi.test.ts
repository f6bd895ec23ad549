import { expect, test } from "bun:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { type DescribedRoute, methodOf, pathOf } from "../../src/http/openapi.ts";
import { call, testApp } from "../support/http-app.ts";

test("the API's description is valid OpenAPI", async () => {
  const { json } = await call(testApp(), "GET", "/openapi/json");
  expect(await new Validator().validate(json)).toEqual({ valid: true });
  expect(json.openapi).toBe("3.1.0");
  expect(json.info.version).toBe("1.2.3");
});

test("the description has every route, its refusals and its credential", async () => {
  const { app } = testApp();
  const { json } = await call({ app }, "GET", "/openapi/json");
  const all = app.routes as unknown as DescribedRoute[];
  const routes = all.filter(({ hooks }) => hooks.detail?.hide !== true);
  expect(routes.length).toBeGreaterThan(15);
  for (const route of routes) {
    const operation = json.paths[pathOf(route.path)]?.[methodOf(route)];
    expect({ route: route.path, summary: operation?.summary }).toEqual({
      route: route.path,
      summary: expect.any(String),
    });
    if (route.method === "WS") continue;
    const isPublic = operation.security?.length === 0;
    expect(Object.keys(operation.responses)).toEqual(
      expect.arrayContaining(isPublic ? ["200", "403", "500"] : ["401", "403", "429", "500"]),
    );
  }
  const count = Object.values<object>(json.paths).flatMap((operations) => Object.keys(operations)).length;
  expect(count).toBe(routes.length);
  expect(json.components.securitySchemes.token).toMatchObject({ type: "http", scheme: "bearer" });
});

test("parts of the description", async () => {
  const { json } = await call(testApp(), "GET", "/openapi/json");
  const list = json.paths["/v1/agents"].get;
  const limit = { name: "limit", in: "query", required: false, schema: { type: "integer", minimum: 1, maximum: 1000 } };
  expect(list.parameters).toContainEqual(limit);
  expect(list.responses["200"].headers.Link).toBeDefined();
  expect(list.responses["422"].content).toEqual({
    "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } },
  });
  expect(json.paths["/v1/agents"].post.requestBody).toMatchObject({ required: false });
  expect(json.paths["/v1/admin/exec"].post.requestBody).toMatchObject({ required: true });
  expect(json.paths["/v1/agents/{id}"].delete.responses["204"]).toEqual({ description: "No Content" });
  expect(json.paths["/v1/stream"].get.responses["101"]).toBeDefined();
});

test("the page for people loads nothing", async () => {
  const { text, headers } = await call(testApp(), "GET", "/openapi");
  expect(headers.get("content-type")).toContain("text/html");
  expect(headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(text).toContain("/v1/admin/exec");
  expect(text).not.toMatch(/<script|src=|https?:/);
});

test.each(["/openapi", "/openapi/"])(
  "behind a proxy that shows it below a path, the page %s leads to its description",
  async (path) => {
    const { text } = await call(testApp(), "GET", path);
    const href = /href="([^"]+)"/.exec(text)?.[1] ?? "";
    expect(new URL(href, `https://example.com/ops${path}`).pathname).toBe("/ops/openapi/json");
  },
);
