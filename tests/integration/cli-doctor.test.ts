import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkClock, checkDataDirectory, checkModel, checkPort } from "../../src/doctor/checks.ts";
import { checkDatabase } from "../../src/doctor/database.ts";
import { checkHeartbeat, checkWebhook } from "../../src/doctor/webhook.ts";
import type { Finding } from "../../src/lib/finding.ts";
import { runOpspilot } from "../support/command-line.ts";
import { freePort } from "../support/executable.ts";
import { quiet } from "../support/log.ts";
import { createOwnPostgres } from "../support/own-postgres.ts";
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { startTestServer } from "../support/server.ts";

const KEY = "sk-a-secret-key";

let folder = "";
let database: TestDatabase;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-doctor-"));
  database = await createTestDatabase();
});
afterAll(async () => {
  await database.close();
  rmSync(folder, { recursive: true, force: true });
});

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

const statuses = (findings: readonly Finding[]) => findings.map(({ name, status }) => [name, status]);

/** A server that answers each path with a status and a JSON body. */
function serve(answers: Record<string, [status: number, body: unknown]>, headers: Record<string, string> = {}) {
  const seen: { path: string; authorization: string | null }[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const path = new URL(request.url).pathname;
      seen.push({ path, authorization: request.headers.get("authorization") });
      const [status, body] = answers[path] ?? [404, {}];
      return new Response(JSON.stringify(body), { status, headers });
    },
  });
  stops.push(() => server.stop(true));
  return { url: `http://127.0.0.1:${server.port}`, port: server.port ?? 0, seen };
}

describe("the model", () => {
  const settings = {
    key: KEY,
    model: "qwen/coder",
    timeoutMs: 1_000,
    auto: true,
    investigate: "request" as const,
    dailyLimit: 1,
  };
  const models = { data: [{ id: "qwen/coder" }, { id: "other" }] };

  test("is none without a key", async () => {
    const { finding } = await checkModel({ ...settings, key: null, baseUrl: "https://openrouter.ai/api/v1" });
    expect(finding).toMatchObject({ status: "ok", text: expect.stringContaining("heuristics") });
  });

  test.each<[string, [number, unknown], Finding["status"], RegExp]>([
    ["answers and has it", [200, models], "ok", /has qwen\/coder/],
    ["does not have it", [200, { data: [{ id: "other" }, null] }], "warn", /does not list qwen\/coder/],
    ["answers with something else", [200, ["hello"]], "warn", /no list of models/],
    ["refuses the key", [401, {}], "fail", /refuses the key/],
    ["has another path", [404, {}], "warn", /no list of models/],
    ["redirects", [302, {}], "fail", /status 302/],
    ["is broken", [500, {}], "fail", /status 500/],
  ])("%s", async (_, answer, status, text) => {
    const server = serve({ "/v1/models": answer });
    const { finding } = await checkModel({ ...settings, baseUrl: `${server.url}/v1` });
    expect(finding).toMatchObject({ status, text: expect.stringMatching(text) });
    expect(JSON.stringify(finding)).not.toContain(KEY);
    expect(server.seen).toEqual([{ path: "/v1/models", authorization: `Bearer ${KEY}` }]);
  });

  test("cannot be reached", async () => {
    const { finding, clocks } = await checkModel({ ...settings, baseUrl: `http://127.0.0.1:${await freePort()}` });
    expect(finding).toMatchObject({ status: "fail", text: expect.stringContaining("cannot be reached") });
    expect(clocks).toEqual([]);
  });

  test("shows its clock", async () => {
    const server = serve({ "/models": [200, models] }, { date: new Date(Date.now() + 600_000).toUTCString() });
    const { clocks } = await checkModel({ ...settings, baseUrl: server.url });
    expect(clocks).toEqual([{ whose: `127.0.0.1:${server.port}`, skewS: expect.closeTo(600, -1) }]);
    expect(checkClock(clocks)).toMatchObject({ status: "fail", text: expect.stringContaining("behind") });
  });
});

test.each([
  [[], "ok"],
  [[0.2, -4], "ok"],
  [[1, -20], "warn"],
  [[-61, 2], "fail"],
] as const)("clocks that are %p s ahead of ours are %s", (skews, status) => {
  const clocks = skews.map((skewS) => ({ whose: "the database", skewS }));
  expect(checkClock(clocks).status).toBe(status);
});

describe("the database", () => {
  const at = (url: string, directUrl: string | null = null) =>
    checkDatabase({ database: { url, directUrl }, dataDir: folder }, quiet);

  test("answers, and its tables are up to date", async () => {
    const { findings } = await at(database.url, database.url);
    expect(statuses(findings)).toEqual([
      ["database", "ok"],
      ["tables", "ok"],
      ["database, direct", "ok"],
      ["tables", "ok"],
    ]);
  });

  test("has no tables, or newer ones", async () => {
    const empty = await createEmptyDatabase();
    stops.push(() => empty.close());
    expect((await at(empty.url)).findings[1]).toMatchObject({
      status: "warn",
      todo: expect.stringContaining("opspilot migrate"),
    });
    const newer = await createTestDatabase();
    stops.push(() => newer.close());
    await newer.database.sql`
      insert into drizzle.__drizzle_migrations (hash, created_at) values ('x', 9999999999999)`;
    expect((await at(newer.url)).findings[1]).toMatchObject({ status: "fail", text: expect.stringContaining("newer") });
  });

  test("cannot be reached, or is named wrongly", async () => {
    const port = await freePort();
    const { findings } = await at(`postgres://me:hunter2@127.0.0.1:${port}/ops?sslmode=disable`);
    expect(findings).toMatchObject([{ status: "fail", text: expect.stringContaining(`ops on 127.0.0.1:${port}`) }]);
    expect(JSON.stringify(findings)).not.toContain("hunter2");
    const wrong = await at("postgres://me:hunter2@127.0.0.1/ops?sslmode=perhaps");
    expect(wrong.findings).toMatchObject([{ status: "fail", text: expect.stringContaining("sslmode") }]);
  });

  test("fails when only the driver of the jobs cannot connect", async () => {
    const port = await listener((client) => {
      const upstream = connect(`${database.target.host}/.s.PGSQL.${database.target.port}`);
      for (const end of [client, upstream]) end.on("error", () => client.destroy());
      client.once("data", (first) => {
        if (first.includes("opspilot jobs")) client.destroy();
        else upstream.write(first) && client.pipe(upstream).pipe(client);
      });
      client.on("close", () => upstream.destroy());
    });
    const { user, password, database: name } = database.target;
    const url = `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}/${name}?sslmode=disable`;
    for (const findings of [(await at(url)).findings, (await at(database.url, url)).findings.slice(2)]) {
      expect(findings.map(({ status }) => status)).toEqual(["ok", "ok", "fail"]);
      expect(findings[2]).toMatchObject({
        name: expect.stringContaining("database"),
        text: expect.stringContaining("the jobs' driver"),
      });
    }
    // Where sessions are made elsewhere, the jobs do not go over the pooler.
    expect(statuses((await at(url, database.url)).findings).map(([, status]) => status)).toEqual(Array(4).fill("ok"));
  });

  test("names the hosts whose collectors cannot see", async () => {
    const fresh = await createTestDatabase();
    stops.push(() => fresh.close());
    const { sql } = fresh.database;
    const add = async (hostname: string, status: string, state: string, secondsAgo: number) => {
      const [row] = await sql`
        insert into agents (id, token_hash, hostname, status) values (gen_random_uuid(), gen_random_uuid()::text, ${hostname}, ${status})
        returning id`;
      await sql`
        insert into collectors (agent_id, name, state, since, why)
        values (${row?.id}, 'docker', ${state}, now() - ${secondsAgo} * interval '1 s', 'no answer')`;
    };
    await add("web-1", "online", "cannot", 120);
    await add("web-2", "online", "cannot", 5);
    await add("web-3", "offline", "cannot", 120);
    await add("web-4", "online", "sees", 120);
    const finding = (await at(fresh.url)).findings.find(({ name }) => name === "collectors");
    expect(finding).toMatchObject({ status: "warn", todo: expect.stringContaining("opspilot agent check") });
    expect(finding?.text).toMatch(/^collectors that cannot see: docker on web-1 since [^ ]+Z \(no answer\)$/);
  });

  test("names agents that are older than the server, where they are ours", async () => {
    const fresh = await createTestDatabase();
    stops.push(() => fresh.close());
    const { sql } = fresh.database;
    await sql`insert into nodes (id, version, lease_until) values (gen_random_uuid(), '0.3.0', now() + interval '1 min')`;
    const add = async (hostname: string, status: string, version: string, spool: object = { dropped_repeats: 0 }) => {
      await sql`
        insert into agents (id, token_hash, hostname, status, meta)
        values (gen_random_uuid(), gen_random_uuid()::text, ${hostname}, ${status}, ${sql.json({ version, spool } as never)})`;
    };
    const agents = async () => (await at(fresh.url)).findings.find(({ name }) => name === "agents");
    await add("web-1", "online", "0.3.0");
    await add("web-2", "offline", "0.1.0");
    await add("other", "online", "0.1.0", {});
    expect(await agents()).toBeUndefined();
    await add("web-3", "online", "0.2.0");
    await add("web-4", "online", "0.2.0");
    expect(await agents()).toMatchObject({
      status: "warn",
      text: "agents that are older than the server (0.3.0): 0.2.0 on web-3 and 1 more",
      todo: expect.stringContaining("opspilot agent update"),
    });
  });

  test("that is built in is used where it runs, and never started", async () => {
    const builtIn = (dataDir: string) => checkDatabase({ database: null, dataDir }, quiet);
    expect(statuses((await builtIn(folder)).findings)).toEqual([["database", "warn"]]);
    const own = await createOwnPostgres();
    try {
      expect(statuses((await builtIn(own.dataDir)).findings)).toEqual([
        ["database", "ok"],
        ["tables", "warn"],
      ]);
      const pid = own.postmasterPid();
      expect(pid).toBeDefined();
    } finally {
      await own.stop();
    }
    expect(statuses((await builtIn(own.dataDir)).findings)).toEqual([["database", "warn"]]);
  }, 180_000);
});

describe("the port", () => {
  const at = (port: number, host = "127.0.0.1") => checkPort({ listen: { host, port }, tls: null });

  test("is free, or any", async () => {
    expect(await at(await freePort())).toMatchObject({ status: "ok", text: expect.stringContaining("free") });
    expect(await at(0)).toMatchObject({ status: "ok" });
  });

  test("is taken by another program, which may not even answer", async () => {
    const web = serve({ "/": [200, { service: "other" }] });
    expect(await at(web.port)).toMatchObject({ status: "fail", text: expect.stringContaining("another program") });
    const mute = await listener((socket) => socket.end("220 mail.example.com\r\n"));
    expect(await at(mute)).toMatchObject({ status: "fail", text: expect.stringContaining("another program") });
  });

  test("is ours", async () => {
    const server = await startTestServer(database.url);
    stops.push(() => server.stop());
    const finding = await at(Number(new URL(server.url).port));
    expect(finding).toMatchObject({ status: "ok", text: expect.stringContaining("is ready") });
  });

  test("is on an address that is not here", async () => {
    expect(await at(8080, "203.0.113.7")).toMatchObject({
      status: "fail",
      text: expect.stringContaining("no address"),
    });
  });
});

/** A TCP server that does this with each connection; gives its port. */
async function listener(handle: Parameters<typeof createServer>[1]): Promise<number> {
  const server: Server = createServer(handle ?? (() => undefined));
  stops.push(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" && address ? address.port : 0;
}

test("the webhook's and the heartbeat's host are connected to, and hear nothing", async () => {
  const heard: string[] = [];
  const port = await listener((socket) =>
    socket.on("data", (chunk) => heard.push(String(chunk))).on("error", () => socket.destroy()),
  );
  expect(await checkWebhook(null)).toBeUndefined();
  expect(await checkWebhook(`http://127.0.0.1:${port}/hook?secret=1`)).toMatchObject({ status: "ok" });
  expect(await checkHeartbeat(`http://127.0.0.1:${port}/ping/secret`)).toMatchObject({
    name: "heartbeat",
    status: "ok",
    text: `127.0.0.1:${port} takes connections (it was not called)`,
  });
  expect(heard).toEqual([]);
  const finding = await checkWebhook(`http://127.0.0.1:${await freePort()}/hook?secret=1`);
  expect(finding).toMatchObject({ status: "fail" });
  expect(JSON.stringify(finding)).not.toContain("secret=1");
});

describe("the data directory", () => {
  test("is there, or can be made", () => {
    expect(statuses(checkDataDirectory(folder))[0]).toEqual(["data directory", "ok"]);
    const [finding] = checkDataDirectory(join(folder, "not", "yet"));
    expect(finding).toMatchObject({ status: "ok", text: expect.stringContaining(`to be made in ${folder}`) });
  });

  test("cannot be written to", () => {
    writeFileSync(join(folder, "file"), "");
    expect(statuses(checkDataDirectory(join(folder, "file", "data")))[0]).toEqual(["data directory", "fail"]);
  });
});

describe("opspilot doctor", () => {
  test("tells all mistakes in the settings, and fails", async () => {
    const env = { PORT: "eighty", ADMIN_TOKEN: "hunter2" };
    const { stdout, stderr, exitCode } = await runOpspilot(["doctor"], { cwd: folder, env });
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 1 });
    expect(stdout).toMatch(/^FAIL {2}settings {2}PORT: /m);
    expect(stdout).toMatch(/^FAIL {2}settings {2}ADMIN_TOKEN: /m);
    expect(stdout).not.toContain("hunter2");
  });

  test("tells what the server would refuse of an outlet, and nothing of its URL", async () => {
    const env = { NOTIFY: "gotify://hunter2.example.com", DATABASE_URL: "postgres://me@127.0.0.1:1/none" };
    const { stdout, exitCode } = await runOpspilot(["doctor"], { cwd: folder, env });
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^FAIL {2}settings +.*outlet 1 \(gotify\): the application token is missing/m);
    expect(stdout).not.toContain("hunter2");
  });

  test("tells how all stands, as text and as JSON", async () => {
    const server = serve({ "/v1/models": [200, { data: [{ id: "local" }] }] });
    const env = {
      DATABASE_URL: database.url,
      PORT: String(await freePort()),
      OPENROUTER_BASE_URL: `${server.url}/v1`,
      AI_MODEL: "local",
    };
    const asJson = await runOpspilot(["doctor", "--json"], { cwd: folder, env });
    const findings: Finding[] = JSON.parse(asJson.stdout);
    expect({ exitCode: asJson.exitCode, stderr: asJson.stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(findings.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["settings", "database", "tables", "clock", "port", "model"]),
    );
    const { stdout, exitCode } = await runOpspilot(["doctor"], {
      cwd: folder,
      env: { ...env, OPENROUTER_BASE_URL: server.url },
    });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^warn {2}model +127/m);
    expect(stdout).toMatch(/^ +→ check OPENROUTER_BASE_URL/m);
  });
});
