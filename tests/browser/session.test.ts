import { afterAll, beforeAll, expect } from "bun:test";
import type { Page } from "playwright-core";
import { browserTest, openPage } from "../support/browser.ts";
import { ADMIN_TOKEN } from "../support/http-app.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url, { ADMIN_TOKEN });
}, 180_000);

afterAll(async () => {
  await server?.stop();
  await database?.close();
}, 180_000);

/** What the browser tells of a page that asked before it was signed in. */
const isOfAStranger = (problem: string) => problem.includes("401");

/** What the page's own script gets. */
function ask(page: Page, method: string, path: string, body?: object): Promise<number> {
  return page.evaluate(
    async ([how, where, text]) => {
      const init = {
        method: how,
        headers: { "content-type": "application/json" },
        ...(text === "" ? {} : { body: text }),
      };
      return (await fetch(where, init)).status;
    },
    [method, path, body === undefined ? "" : JSON.stringify(body)] as const,
  );
}

const signIn = (page: Page) => ask(page, "POST", "/v1/session", { token: ADMIN_TOKEN });

/** A page of somebody else's, on another site: to a browser, localhost is not 127.0.0.1. */
function startOtherSite(html: string) {
  const site = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response(html, { headers: { "content-type": "text/html" } }),
  });
  return { url: `http://localhost:${site.port}/`, [Symbol.asyncDispose]: () => site.stop(true) };
}

browserTest("a page signs in and out, and never sees its cookie", async () => {
  await using opened = await openPage(`${server.url}/app`);
  const { page } = opened;
  expect(await ask(page, "GET", "/v1/agents")).toBe(401);
  expect(await ask(page, "POST", "/v1/session", { token: "wrong" })).toBe(401);
  expect(await signIn(page)).toBe(204);
  expect(await page.evaluate(() => document.cookie)).toBe("");
  expect(await ask(page, "GET", "/v1/agents")).toBe(200);
  expect(await ask(page, "POST", "/v1/agents", { hostname: "made-by-the-page" })).toBe(201);
  await page.reload();
  expect(await ask(page, "GET", "/v1/agents")).toBe(200);
  expect(await ask(page, "DELETE", "/v1/session")).toBe(204);
  expect(await ask(page, "GET", "/v1/agents")).toBe(401);
});

browserTest("a page signs in by plain http and a name, too", async () => {
  const url = server.url.replace("127.0.0.1", "ops.test");
  await using opened = await openPage(url);
  const { page, problems } = opened;
  expect(await page.evaluate(() => [location.pathname, isSecureContext])).toEqual(["/app", false]);
  expect(await signIn(page)).toBe(204);
  expect(await ask(page, "POST", "/v1/agents", { hostname: "by-a-name" })).toBe(201);
  expect(problems.filter((one) => !isOfAStranger(one))).toEqual([]);
});

browserTest("a link on another site leads to the page, which is signed in as before", async () => {
  await using site = startOtherSite(`<a href="${server.url}/app/hosts">web-1 is silent</a>`);
  await using opened = await openPage(`${server.url}/app`);
  const { page, problems } = opened;
  expect(await signIn(page)).toBe(204);
  await page.goto(site.url);
  await page.getByText("web-1 is silent").click();
  await page.waitForURL(`${server.url}/app/hosts`);
  expect(await ask(page, "GET", "/v1/agents")).toBe(200);
  expect(problems.filter((one) => !one.includes("favicon") && !isOfAStranger(one))).toEqual([]);
});

browserTest("a page of another site can do nothing with the cookie", async () => {
  const target = `${server.url}/v1/agents`;
  const attack = `<form method="post" enctype="text/plain" action="${target}"><input name="{}" value=""></form><script>
    Promise.allSettled([
      fetch("${target}", { method: "POST", credentials: "include", mode: "no-cors" }),
      fetch("${target}", { credentials: "include" }),
      fetch("${server.url}/v1/session", { method: "DELETE", credentials: "include" }),
    ]).then(() => document.forms[0].submit());
  </script>`;
  await using site = startOtherSite(attack);
  await using opened = await openPage(`${server.url}/app`);
  const { page } = opened;
  expect(await signIn(page)).toBe(204);
  const before = await agents();
  await page.goto(site.url);
  await until(() => page.url() === target, { ms: 15_000, what: "the form is sent" });
  expect(await page.textContent("body")).toContain("foreign_origin");
  expect(await agents()).toBe(before);
  await page.goto(`${server.url}/app`);
  expect(await ask(page, "GET", "/v1/agents")).toBe(200);
});

async function agents(): Promise<number> {
  return (await server.api("/v1/agents", { token: ADMIN_TOKEN })).body.length;
}
