import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { createMask } from "../../src/doctor/mask.ts";
import { hostsIn } from "../../src/doctor/support.ts";
import { runOpspilot } from "../support/command-line.ts";
import { freePort } from "../support/executable.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres.ts";
import { alertFrame, startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const AGENT_TOKEN = "agent-token-5fa9d0c1e7";
const HOST_NAME = "db-prod-7.example.org";
const IN_AN_ALERT = "hunter2-in-the-logs";
const ADMIN_TOKEN = "admin-token-83b1c6d2f4a9";
/** By what they are named in the settings; none is a word that stands anywhere else. */
const SECRETS = {
  ADMIN_TOKEN,
  OPENROUTER_KEY: "sk-or-9d21f7b06e",
  SLACK_TOKEN: "xoxb-6613-c81e0a55",
  SLACK_APP_TOKEN: "xapp-1-b2f4e90d17",
  SLACK_SIGNING_SECRET: "4e0f8a21bb97c3",
  WEBHOOK_SECRET: "w-secret-0a7be52c19d8",
};
const IN_URLS = { slack: "T0HOOK/B0HOOK/f9e1d7c5b3", webhook: "key=q8w7e6r5t4", proxy: "pr0xy-passw0rd" };
const NEVER = [...Object.values(SECRETS), ...Object.values(IN_URLS), AGENT_TOKEN, IN_AN_ALERT];

let folder = "";
let database: TestDatabase;
let outside: ReturnType<typeof Bun.serve>;
let server: TestServer;
let settings: Record<string, string> = {};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-support-"));
  database = await createTestDatabase();
  outside = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.json({ ok: false, error: "no" }) });
  const away = `http://127.0.0.1:${outside.port}`;
  settings = {
    ...SECRETS,
    DATABASE_URL: database.url,
    PORT: String(await freePort()),
    PUBLIC_URL: "https://ops.example.org",
    OPENROUTER_BASE_URL: `${away}/v1`,
    SLACK_API_URL: `${away}/api`,
    SLACK_CHANNEL: "C0123456789",
    SLACK_WEBHOOK_URL: `${away}/services/${IN_URLS.slack}`,
    WEBHOOK_URL: `${away}/hook?${IN_URLS.webhook}`,
    HTTPS_PROXY: `http://someone:${IN_URLS.proxy}@127.0.0.1:${outside.port}`,
    AI_DAILY_LIMIT: "77",
  };
  server = await startTestServer(database.url, { PORT: settings.PORT ?? "", ADMIN_TOKEN, AGENT_ENROLLMENT: "open" });
  const agent = await server.connect();
  agent.send({ token: AGENT_TOKEN, data: JSON.stringify({ hostname: HOST_NAME, version: "9.8.7" }) });
  agent.send(alertFrame("a", AGENT_TOKEN, { source: "nginx", logs: `password=${IN_AN_ALERT}` }));
  const { sql } = database.database;
  await until(async () => (await sql`select from agents where hostname = ${HOST_NAME}`).count === 1, { ms: 60_000 });
  await until(async () => (await sql`select from incidents`).count === 1, { ms: 60_000 });
  await sql`insert into quarantine (uuid, agent_id, kind, payload, error) select gen_random_uuid(), id, 'alert', '{}',
    ${`connect ${HOST_NAME} from 203.0.113.7 with ${SECRETS.WEBHOOK_SECRET} failed`} from agents`;
  await agent.close();
}, 120_000);
afterAll(async () => {
  await server?.stop();
  outside?.stop(true);
  await database?.close();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

/** The texts of a report by their names. */
async function reportOf(file: string, words: readonly string[], env: Record<string, string>) {
  const path = join(folder, file);
  const { stdout, stderr, exitCode } = await runOpspilot(["support", path, ...words], { cwd: folder, env });
  expect({ stdout, stderr, exitCode }).toEqual({ stdout: `${path}\n`, stderr: "", exitCode: 0 });
  const bytes = await Bun.file(path).bytes();
  const files = await new Bun.Archive(file.endsWith(".zst") ? Bun.zstdDecompressSync(bytes) : bytes).files();
  const texts: Record<string, string> = {};
  for (const [name, one] of files) texts[name.replace("opspilot-support/", "")] = await one.text();
  return texts;
}

const logOf = (name: string) =>
  [
    `{"level":"warn","address":"198.51.100.23","msg":"too many wrong credentials come from an address"}`,
    `{"level":"warn","error":"connect to ${name} with token ${SECRETS.SLACK_TOKEN} failed","msg":"trying again"}`,
    `{"level":"debug","url":"https://bob:pa55-of-b0b@example.org/"}`,
  ].join("\n");

test("a report has what a fault needs, no secret, and no name of a host", async () => {
  await Bun.write(join(folder, "server.log"), logOf(HOST_NAME));
  const texts = await reportOf("report.tar.gz", ["--log", "server.log"], settings);
  const all = JSON.stringify(texts);
  expect(NEVER.filter((secret) => all.includes(secret))).toEqual([]);
  const names = [HOST_NAME, "ops.example.org", "198.51.100.23", "203.0.113.7", "pa55-of-b0b", "C0123456789"];
  expect(names.filter((name) => all.includes(name))).toEqual([]);
  expect(all).not.toMatch(new RegExp(`(?<![\\w.-])${RegExp.escape(hostname())}(?![\\w.-])`));

  expect(JSON.parse(texts["version.json"] ?? "")).toMatchObject({ version: expect.any(String), bun: Bun.version });
  const shown = JSON.parse(texts["settings.json"] ?? "") as { name: string; value: string | null }[];
  const shownOf = (name: string) => shown.find((one) => one.name === name)?.value;
  expect([shownOf("AI_DAILY_LIMIT"), shownOf("ADMIN_TOKEN"), shownOf("PUBLIC_URL"), shownOf("RETENTION")]).toEqual([
    "77",
    "[set]",
    "[set]",
    null,
  ]);
  expect(JSON.parse(texts["doctor.json"] ?? "")).toContainEqual(expect.objectContaining({ name: "database" }));
  expect(texts["metrics.txt"]).toContain('opspilot_agents{status="offline"} 1');
  expect(texts["readyz.json"]).toContain('"ready"');
  const said = JSON.parse(texts["database.json"] ?? "");
  expect(said).toMatchObject({ migrations: { missing: 0, isNewer: false }, nodes: [{ version: "0.0.0-test" }] });
  expect(Object.values(said).filter((part) => Object.hasOwn(part as object, "not_told"))).toEqual([]);
  expect(said.tables.map(({ relname }: { relname: string }) => relname)).toContain("incidents");
  expect(said.agents).toEqual([{ status: "offline", version: "9.8.7", deleted: false, lost: false, n: 1 }]);
  expect(said.quarantine[0].error).toMatch(/^connect host-\d+ from \[address\] with \[redacted:setting\] failed$/);
  expect(texts["log.txt"]).toContain("too many wrong credentials");
  expect(statSync(join(folder, "report.tar.gz")).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder).filter((name) => name.includes("part"))).toEqual([]);
}, 120_000);

test("names are in it where they are asked for, secrets are not; and settings that cannot be used do not keep it from being made", async () => {
  await Bun.write(join(folder, "server.log"), logOf(HOST_NAME));
  const broken = { ...settings, AI_TIMEOUT: "soon" };
  const texts = await reportOf("report.tar.zst", ["--with-names", "--log", "server.log"], broken);
  const all = JSON.stringify(texts);
  expect(NEVER.filter((secret) => all.includes(secret))).toEqual([]);
  for (const name of [HOST_NAME, "https://ops.example.org", "198.51.100.23"]) expect(all).toContain(name);
  expect(texts["doctor.json"]).toContain("AI_TIMEOUT");
  expect(texts["database.json"]).toContain("cannot be used");
}, 120_000);

test("whoever listens while the server is down is not shown the administrator's token, nor are hosts and password of a list", async () => {
  const port = await freePort();
  const script = `require("http").createServer((asked, answer) => { console.log(String(asked.headers.authorization)); answer.end("x"); }).listen(${port}, "127.0.0.1")`;
  // Root alone can be somebody else, and Bun may lie where only root may enter.
  const node = Bun.which("node");
  const isOther = process.getuid?.() === 0 && node !== null;
  const stranger = Bun.spawn([node ?? process.execPath, "-e", script], {
    cwd: "/",
    stdout: "pipe",
    ...(isOther ? { uid: 65_534, gid: 65_534 } : {}),
  });
  try {
    await until(
      () =>
        fetch(`http://127.0.0.1:${port}/`).then(
          ({ ok }) => ok,
          () => false,
        ),
      { ms: 60_000 },
    );
    const there = await reportOf("stranger.tar.gz", [], { ...settings, PORT: String(port) });
    expect(there["metrics.txt"]).toBe("x");
    const odd = "postgres://ops:p%ss-of-the-database@db1.internal:5432,db2.internal:5432/opspilot";
    const all = JSON.stringify(await reportOf("odd.tar.gz", [], { ...settings, DATABASE_URL: odd }));
    for (const never of ["ss-of-the-database", "db1.internal", "db2.internal"]) expect(all).not.toContain(never);
  } finally {
    stranger.kill();
  }
  const heard = await stranger.stdout.text();
  expect(heard).toContain("undefined");
  if (isOther) expect(heard).not.toContain(ADMIN_TOKEN);
}, 120_000);

test("of several hosts each is a name, and the password a secret by itself", () => {
  const url = "postgres://ops:hunter22@db1.internal:5432,db2.internal/opspilot";
  const mask = createMask({ secrets: [url], names: hostsIn(url) });
  expect(mask("db1.internal and db2.internal, by hunter22")).toBe("host-1 and host-2, by [redacted:setting]");
});

test("what is masked keeps apart what differs, and leaves words and this machine's own addresses", () => {
  const secrets = ["postgres://ops:s3cr%2Fet@db.internal:5432/opspilot", 'a"quoted"one'];
  const mask = createMask({ secrets, names: ["web-1", "web-2", "localhost", "db.internal"] });
  const said = mask(
    'web-1, WEB-2 and web-1.; web-11 localhost 127.0.0.1 10.0.0.9 fe80::1:2 12:30:01 1.2.3 s3cr/et "a\\"quoted\\"one"',
  );
  expect(said).toBe(
    'host-1, host-2 and host-1.; web-11 localhost 127.0.0.1 [address] [address] 12:30:01 1.2.3 [redacted:setting] "[redacted:setting]"',
  );
  expect(mask("opspilot on db.internal")).toBe("opspilot on host-3");
});
