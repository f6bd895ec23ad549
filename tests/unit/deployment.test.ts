import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { AGENT_SETTINGS } from "../../src/config/agent.ts";
import { SERVER_SETTINGS } from "../../src/config/settings.ts";
import { CloseCode, FRAME_ERRORS } from "../../src/protocol/frames.ts";
import { call, testApp } from "../support/http-app.ts";

const TOP = join(import.meta.dir, "../..");
const read = (file: string) => Bun.file(join(TOP, file)).text();

/** What stands below a heading of the README. */
async function chapter(heading: string): Promise<string> {
  const chapters = (await read("README.md")).split(/^## /m);
  return chapters.find((one) => one.startsWith(`${heading}\n`)) ?? "";
}

/** The version of bun that the repository is pinned to. */
async function bunVersion(): Promise<string | undefined> {
  const { packageManager } = (await Bun.file(join(TOP, "package.json")).json()) as { packageManager: string };
  return packageManager.split("@")[1];
}

describe("the settings", () => {
  test("are all in .env.example, and none of them is set there", async () => {
    const lines = (await read(".env.example")).split("\n").filter((line) => line !== "");
    const examples = lines.flatMap((line) => /^#([A-Z_]+)=/.exec(line)?.[1] ?? []);
    expect(examples.sort()).toEqual([...SERVER_SETTINGS.names].sort());
    expect(lines.filter((line) => !line.startsWith("#"))).toEqual([]);
  });

  test("are all in the README's table, and nothing else is", async () => {
    const rows = [...(await chapter("Configuration")).matchAll(/^\| `([A-Z_]+)` \|/gm)].map((match) => match[1] ?? "");
    expect(rows.sort()).toEqual([...SERVER_SETTINGS.names].sort());
  });
});

describe("the agent's settings", () => {
  test("are all in the README's table, and nothing else is", async () => {
    const rows = (await chapter("Add a host")).split("\n").filter((line) => /^\| `[A-Z]/.test(line));
    const named = rows.flatMap((row) =>
      [...(row.split("|")[1] ?? "").matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name),
    );
    expect(named.sort()).toEqual(AGENT_SETTINGS.names.filter((name) => name === name.toUpperCase()).sort());
  });
});

describe("the README", () => {
  test("lists every route, and no other", async () => {
    const { json } = await call(testApp(), "GET", "/openapi/json");
    const routes = Object.entries(json.paths as Record<string, object>).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const rows = (await chapter("API")).split("\n").filter((line) => line.startsWith("| `"));
    const listed = rows.flatMap((row) => [...row.matchAll(/`([A-Z]+ \/[^`]*)`/g)].map((match) => match[1] ?? ""));
    expect(listed.map((route) => route.replace(/^WS/, "GET")).sort()).toEqual(routes.sort());
  });

  test("tells what every error and every close code means to an agent", async () => {
    const text = await chapter("Agents");
    for (const reason of FRAME_ERRORS) expect(text).toContain(`\`${reason}\``);
    for (const code of Object.values(CloseCode)) expect(text).toContain(`| ${code} |`);
  });
});

describe("the version of bun", () => {
  test.each(["Dockerfile", "README.md"])("is the pinned one wherever %s names it", async (file) => {
    const named = [...(await read(file)).matchAll(/\bbun[@:](\d+\.\d+\.\d+)/g)].map((match) => match[1]);
    expect(named.length).toBeGreaterThan(0);
    expect(new Set(named)).toEqual(new Set([await bunVersion()]));
  });
});

describe("the image", () => {
  test("is built from the two images that it names, and fetches no other one that reads the Dockerfile", async () => {
    const lines = (await read("Dockerfile")).split("\n");
    expect(lines.filter((line) => /^#\s*syntax\s*=/i.test(line))).toEqual([]);
    expect(lines.filter((line) => line.startsWith("FROM "))).toEqual([
      `FROM oven/bun:${await bunVersion()} AS build`,
      "FROM debian:bookworm-slim",
    ]);
  });
});

describe("compose.yaml", () => {
  interface Compose {
    services: Record<string, { ports?: string[]; develop: { watch: { path: string }[] } }>;
  }
  const services = async () => (Bun.YAML.parse(await read("compose.yaml")) as Compose).services;

  test("publishes the server on loopback only, and no port of the database", async () => {
    const { app, db } = await services();
    expect(app).toMatchObject({
      container_name: "opspilot-backend",
      ports: [expect.stringMatching(/^127\.0\.0\.1:.*:8080$/)],
      depends_on: { db: { condition: "service_healthy" } },
      environment: { HOST: "0.0.0.0", PORT: 8080, ACCESS: expect.stringContaining(":-open}") },
    });
    expect(db).toMatchObject({ container_name: "opspilot-db", image: "postgres:18" });
    expect(db?.ports).toBeUndefined();
  });

  test("builds again when anything that the image is built from changes", async () => {
    const { app } = await services();
    const watched = app?.develop.watch.map(({ path }) => path.replace(/^\.\//, ""));
    const copied = (await read(".dockerignore")).split("\n").filter((line) => line.startsWith("!"));
    expect(watched?.sort()).toEqual(copied.map((line) => line.slice(1)).sort());
  });
});
