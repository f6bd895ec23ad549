import { afterAll, beforeAll, expect } from "bun:test";
import { browserTest, openPage } from "../support/browser.ts";
import { emptyFolder, removeFolder } from "../support/e2e.ts";
import { type RunningExecutable, startExecutable } from "../support/executable.ts";

const START_LIMIT_MS = 240_000;
/** On a machine that is busy with something else. */
const READY_LIMIT_MS = 60_000;

let folder = "";
let server: RunningExecutable;

beforeAll(async () => {
  folder = await emptyFolder();
  server = await startExecutable({ dir: folder });
  await server.waitReady(READY_LIMIT_MS);
}, START_LIMIT_MS);

afterAll(async () => {
  await server?.stop();
  await removeFolder(folder);
}, START_LIMIT_MS);

browserTest("the executable alone serves the page, and loads nothing from elsewhere", async () => {
  const requested: string[] = [];
  await using opened = await openPage("about:blank");
  const { page, problems } = opened;
  page.on("request", (request) => requested.push(request.url()));
  await page.goto(server.url);
  await page.getByRole("heading", { name: "No host reports yet" }).waitFor();
  expect(problems).toEqual([]);
  expect(requested.filter((url) => !url.startsWith(server.url))).toEqual([]);
  expect(requested.some((url) => url.endsWith(".js"))).toBe(true);
});
