import { afterAll, beforeAll, expect } from "bun:test";
import { browserTest, openPage } from "../support/browser.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

let database: TestDatabase;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url);
}, 180_000);

afterAll(async () => {
  await server?.stop();
  await database?.close();
}, 180_000);

browserTest("a browser that asks for the server gets the page, without a word in its console", async () => {
  await using opened = await openPage(server.url);
  const { page, problems } = opened;
  await page.getByRole("link", { name: /^OpsPilot/ }).waitFor();
  expect(new URL(page.url()).pathname).toBe("/app");
  expect(problems).toEqual([]);
});

browserTest("every address of the page shows itself when it is opened directly", async () => {
  await using opened = await openPage(`${server.url}/app/silences`);
  const { page, problems } = opened;
  await page.getByRole("heading", { name: "Silences" }).waitFor();
  expect(problems).toEqual([]);
});
