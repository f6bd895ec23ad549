import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TAKES_ALL } from "../../src/config/routing.ts";
import { ConfigError } from "../../src/config/settings.ts";
import type { Flags } from "../../src/config/sources.ts";
import { type Config, loadConfig } from "../../src/config.ts";
import { CERTIFICATE, CERTIFICATE_KEY, OTHER_KEY } from "../support/certificate.ts";

const TOKEN = "0123456789abcdefghij";
const UID = process.getuid?.() ?? 0;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-config-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function load(env: Record<string, string> = {}, flags: Flags = {}, uid = 1000): Config {
  return loadConfig(flags, { env, cwd: join(folder, "nothing-here"), uid, home: "/home/me" });
}

function mistakesOf(env: Record<string, string>, flags: Flags = {}, surroundings: { cwd?: string; uid?: number } = {}) {
  try {
    loadConfig(flags, { env, cwd: folder, uid: UID, home: "/home/me", ...surroundings });
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("the settings were accepted");
}

const namesOf = (error: ConfigError) => error.mistakes.map((mistake) => mistake.setting);

function file(name: string, text: string, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

describe("settings", () => {
  test("have defaults", () => {
    expect(load()).toEqual({
      listen: { host: "127.0.0.1", port: 8080 },
      tls: null,
      database: null,
      dataDir: "/home/me/.local/share/opspilot",
      access: { mode: "open", explicit: false, adminToken: null },
      oidc: null,
      enrollment: "open",
      mcp: false,
      trustedProxies: [],
      publicUrl: null,
      downloadsDir: null,
      heartbeatTimeoutMs: 90_000,
      incidentGroupWindowMs: 300_000,
      ingestBufferBytes: 64 * 2 ** 20,
      retentionMs: 30 * 86_400_000,
      autoResolveMs: null,
      ai: {
        key: null,
        baseUrl: "https://openrouter.ai/api/v1",
        model: "qwen/qwen-2.5-coder-32b-instruct",
        timeoutMs: 20_000,
        auto: true,
        investigate: "request",
        dailyLimit: 1000,
      },
      slack: {
        webhookUrl: null,
        token: null,
        channel: null,
        appToken: null,
        signingSecret: null,
        allowedUsers: [],
        apiUrl: null,
      },
      webhook: null,
      notify: [],
      routes: {
        slack: TAKES_ALL,
        webhook: TAKES_ALL,
        escalation: [],
        remindMs: 14_400_000,
        digest: null,
        heartbeatUrl: null,
      },
      s3: { accessKeyId: null, secretAccessKey: null, sessionToken: null, region: null, endpoint: null },
      traces: null,
      proxies: { https: null, http: null, exempt: "" },
      logLevel: "info",
    });
  });

  test("are frozen", () => {
    const config = load();
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.listen)).toBe(true);
  });

  test("are read", () => {
    const config = load({
      PORT: "0",
      HOST: "[::1]",
      DATABASE_URL: "postgres://me:secret@db:5432/ops",
      DATABASE_URL_DIRECT: "postgresql://me:secret@direct/ops",
      OPSPILOT_DATA_DIR: "/srv/ops",
      TRUSTED_PROXIES: "10.0.0.0/8, ::1",
      PUBLIC_URL: "https://ops.example.com/",
      ADMIN_TOKEN: ` ${TOKEN} `,
      HEARTBEAT_TIMEOUT: "5s",
      INCIDENT_GROUP_WINDOW: "1m",
      INGEST_BUFFER: "1GiB",
      RETENTION: "7d",
      AUTO_RESOLVE: "12h",
      LOG_LEVEL: "debug",
    });
    expect(config).toMatchObject({
      listen: { host: "::1", port: 0 },
      database: { url: "postgres://me:secret@db:5432/ops", directUrl: "postgresql://me:secret@direct/ops" },
      dataDir: "/srv/ops",
      trustedProxies: ["10.0.0.0/8", "::1"],
      publicUrl: "https://ops.example.com",
      access: { mode: "token", explicit: false, adminToken: TOKEN },
      enrollment: "closed",
      heartbeatTimeoutMs: 5_000,
      incidentGroupWindowMs: 60_000,
      ingestBufferBytes: 2 ** 30,
      retentionMs: 7 * 86_400_000,
      autoResolveMs: 12 * 3_600_000,
      logLevel: "debug",
    });
  });

  test("of Slack are read", () => {
    const config = load({
      SLACK_WEBHOOK_URL: "https://hooks.slack.com/services/T1/B1/x",
      SLACK_TOKEN: "xoxb-1-2-abc",
      SLACK_CHANNEL: "#ops",
      SLACK_APP_TOKEN: "xapp-1-abc",
      SLACK_SIGNING_SECRET: "8f742231b10e8888abcd99yyyzzz85a5",
      SLACK_ALLOWED_USERS: "U0ANA00001, W0BEN00001",
      SLACK_API_URL: "http://127.0.0.1:9999/api/",
    });
    expect(config.slack).toEqual({
      webhookUrl: "https://hooks.slack.com/services/T1/B1/x",
      token: "xoxb-1-2-abc",
      channel: "#ops",
      appToken: "xapp-1-abc",
      signingSecret: "8f742231b10e8888abcd99yyyzzz85a5",
      allowedUsers: ["U0ANA00001", "W0BEN00001"],
      apiUrl: "http://127.0.0.1:9999/api",
    });
  });

  test("count as unset when they are empty", () => {
    expect(load({ PORT: "", HOST: " ", DATABASE_URL: "", ADMIN_TOKEN: "", ACCESS: "" })).toEqual(load());
  });

  test("give way to flags", () => {
    const config = load(
      { PORT: "1", HOST: "::1", OPSPILOT_DATA_DIR: "/a" },
      { port: "2", host: "localhost", dataDir: "b" },
    );
    expect(config.listen).toEqual({ host: "localhost", port: 2 });
    expect(config.dataDir).toBe(join(folder, "nothing-here/b"));
  });

  test.each([
    [0, {}, "/var/lib/opspilot"],
    [1000, {}, "/home/me/.local/share/opspilot"],
    [1000, { XDG_DATA_HOME: "/data" }, "/data/opspilot"],
    [1000, { XDG_DATA_HOME: "relative" }, "/home/me/.local/share/opspilot"],
  ])("put the data of user %d with %p into %s", (uid, env, dataDir) => {
    expect(load(env, {}, uid).dataDir).toBe(dataDir);
  });
});

describe("access", () => {
  const OUTSIDE = { HOST: "0.0.0.0" };
  const cases: [Record<string, string>, Partial<Config["access"]> | "refused", Config["enrollment"] | ""][] = [
    [{}, { mode: "open", explicit: false }, "open"],
    [{ HOST: "localhost" }, { mode: "open", explicit: false }, "open"],
    [{ HOST: "127.9.9.9" }, { mode: "open", explicit: false }, "open"],
    [{ PUBLIC_URL: "http://localhost:8080" }, { mode: "open", explicit: false }, ""],
    [{ PUBLIC_URL: "https://ops.example.com" }, "refused", ""],
    [OUTSIDE, "refused", ""],
    [{ HOST: "::" }, "refused", ""],
    [{ HOST: "192.168.1.5" }, "refused", ""],
    [{ ADMIN_TOKEN: TOKEN }, { mode: "token", explicit: false, adminToken: TOKEN }, "closed"],
    [{ ...OUTSIDE, ADMIN_TOKEN: TOKEN }, { mode: "token", adminToken: TOKEN }, "closed"],
    [{ ...OUTSIDE, ACCESS: "open" }, { mode: "open", explicit: true }, "open"],
    [{ ACCESS: "open", ADMIN_TOKEN: TOKEN }, { mode: "open", explicit: true, adminToken: null }, "open"],
    [{ ACCESS: "open", AGENT_ENROLLMENT: "closed" }, { mode: "open" }, "closed"],
    [{ ACCESS: "token", ADMIN_TOKEN: TOKEN }, { mode: "token", explicit: true, adminToken: TOKEN }, "closed"],
    [{ ACCESS: "token", ADMIN_TOKEN: TOKEN, AGENT_ENROLLMENT: "open" }, { mode: "token" }, "open"],
    [{ ACCESS: "token" }, "refused", ""],
    [{ ACCESS: "token", ADMIN_TOKEN: TOKEN.slice(1) }, "refused", ""],
    [{ ADMIN_TOKEN: TOKEN.slice(1) }, "refused", ""],
  ];
  test.each(cases)("of %p is %p", (env, access, enrollment) => {
    if (access === "refused") {
      expect(namesOf(mistakesOf(env))).toEqual(["ADMIN_TOKEN"]);
      return;
    }
    expect(load(env).access).toMatchObject(access);
    if (enrollment) expect(load(env).enrollment).toBe(enrollment);
  });
});

describe("mistakes", () => {
  test.each([
    ["PORT", "80a"],
    ["PORT", "65536"],
    ["PORT", "-1"],
    ["HOST", "my-host"],
    ["DATABASE_URL", "mysql://u:p@h/d"],
    ["DATABASE_URL", "postgres://h/d"],
    ["DATABASE_URL", "postgres://u:p@h"],
    ["DATABASE_URL", "postgres://:p@h/d"],
    ["ACCESS", "closed"],
    ["AGENT_ENROLLMENT", "yes"],
    ["MCP", "yes"],
    ["ADMIN_TOKEN", "with a space in the middle"],
    ["TRUSTED_PROXIES", "10.0.0.0/33"],
    ["TRUSTED_PROXIES", "proxy.example.com"],
    ["HEARTBEAT_TIMEOUT", "90"],
    ["HEARTBEAT_TIMEOUT", "10ms"],
    ["INCIDENT_GROUP_WINDOW", "31d"],
    ["INGEST_BUFFER", "64MB"],
    ["INGEST_BUFFER", "1B"],
    ["RETENTION", "1m"],
    ["AUTO_RESOLVE", "59s"],
    ["AUTO_RESOLVE", "31d"],
    ["AUTO_RESOLVE", "never"],
    ["WEBHOOK_URL", "hooks.example.com"],
    ["WEBHOOK_URL", "https://user:pw@hooks.example.com/"],
    ["WEBHOOK_SECRET", "too-short"],
    ["PUBLIC_URL", "ops.example.com"],
    ["PUBLIC_URL", "https://user:pw@localhost"],
    ["PUBLIC_URL", "https://localhost/?a=1"],
    ["LOG_LEVEL", "verbose"],
    ["TLS_CERT", "/nowhere/cert.pem"],
    ["OPSPILOT_DATA_DIR_FILE", "/nowhere"],
  ])("%s=%s", (name, value) => {
    if (name === "OPSPILOT_DATA_DIR_FILE") expect(load({ [name]: value })).toEqual(load());
    else expect(namesOf(mistakesOf({ [name]: value }))).toContain(name);
  });

  test.each([
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://0xA9FEA9FE/x",
    "http://0251.0376.0251.0376",
    "http://[::ffff:169.254.169.254]/",
    "http://[::FFFF:a9fe:a9fe]:80/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/",
    "http://metadata.google.internal./computeMetadata/v1/",
    "http://METADATA/",
  ])("are addresses of a cloud's own service, in whatever form: %s", (url) => {
    const names = [
      "AWS_ENDPOINT_URL",
      "OPENROUTER_BASE_URL",
      "OTEL_EXPORTER_OTLP_ENDPOINT",
      "SLACK_API_URL",
      "SLACK_WEBHOOK_URL",
      "WEBHOOK_URL",
    ];
    const error = mistakesOf({
      ...Object.fromEntries(names.map((name) => [name, url])),
      WEBHOOK_SECRET: "x".repeat(16),
    });
    expect(namesOf(error).sort()).toEqual(names);
    expect(error.message).toContain("link-local");
    expect(error.message).not.toContain(url);
  });

  test.each(["http://127.0.0.1:11434/v1", "http://10.1.2.3/", "http://[fd00::5]/", "https://metadata.example.com/"])(
    "are none of a model on this machine or network: %s",
    (url) => expect(load({ OPENROUTER_BASE_URL: url }).ai.baseUrl).toStartWith("http"),
  );

  test("are all told at once, with exit status 78 and no secret", () => {
    const error = mistakesOf({
      PORT: "x",
      LOG_LEVEL: "loud",
      ADMIN_TOKEN: "hunter2",
      DATABASE_URL: "mysql://me:hunter2@db/ops",
      DATABASE_URL_DIRECT: "postgres://me:hunter2@db",
      PUBLIC_URL: "http://me:hunter2@localhost",
      RETENTION: "forever",
    });
    expect(error.exitCode).toBe(78);
    expect(namesOf(error).sort()).toEqual([
      "ADMIN_TOKEN",
      "DATABASE_URL",
      "DATABASE_URL_DIRECT",
      "LOG_LEVEL",
      "PORT",
      "PUBLIC_URL",
      "RETENTION",
    ]);
    expect(error.message).not.toContain("hunter2");
    expect(error.message).toContain('PORT: expected a port number, 0 to 65535, not "x"');
  });

  test("of a database's URL leave sockets alone", () => {
    const url = "postgres://me:secret@/ops?host=/run/postgresql";
    expect(load({ DATABASE_URL: url }).database?.url).toBe(url);
  });

  test("of a direct URL alone", () => {
    expect(namesOf(mistakesOf({ DATABASE_URL_DIRECT: "postgres://me:secret@db/ops" }))).toEqual(["DATABASE_URL"]);
  });

  test("of a webhook: its address and its secret need each other", () => {
    const url = "https://hooks.example.com/opspilot?key=1";
    const secret = "0123456789abcdef";
    expect(namesOf(mistakesOf({ WEBHOOK_URL: url }))).toEqual(["WEBHOOK_SECRET"]);
    expect(namesOf(mistakesOf({ WEBHOOK_SECRET: secret }))).toEqual(["WEBHOOK_URL"]);
    expect(namesOf(mistakesOf({ WEBHOOK_URL: url, WEBHOOK_SECRET: "short" }))).toEqual(["WEBHOOK_SECRET"]);
    expect(load({ WEBHOOK_URL: url, WEBHOOK_SECRET: secret }).webhook).toEqual({ url, secret });
  });

  test("of traces", () => {
    const endpoint = "http://localhost:4318";
    const headers = "authorization=Bearer%20abc, x-org = 50%";
    expect(namesOf(mistakesOf({ OTEL_EXPORTER_OTLP_HEADERS: headers }))).toEqual(["OTEL_EXPORTER_OTLP_ENDPOINT"]);
    const given = { OTEL_EXPORTER_OTLP_ENDPOINT: `${endpoint}/`, OTEL_EXPORTER_OTLP_HEADERS: headers };
    const read = { authorization: "Bearer abc", "x-org": "50%" };
    expect(load({ ...given, OTEL_TRACES_SAMPLER_ARG: "0.25" }).traces).toEqual({
      endpoint,
      headers: read,
      ratio: 0.25,
    });
    const wrong = { ...given, OTEL_EXPORTER_OTLP_HEADERS: "authorization", OTEL_TRACES_SAMPLER_ARG: "1.5" };
    expect(namesOf(mistakesOf(wrong))).toEqual(["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_TRACES_SAMPLER_ARG"]);
  });

  test("of TLS settings", () => {
    const none = file("none.pem", "nothing");
    const cert = file("cert.pem", CERTIFICATE);
    const key = file("key.pem", CERTIFICATE_KEY);
    const other = file("other.pem", OTHER_KEY);
    expect(namesOf(mistakesOf({ TLS_CERT: cert }))).toEqual(["TLS_KEY"]);
    expect(namesOf(mistakesOf({ TLS_KEY: key }))).toEqual(["TLS_CERT"]);
    expect(namesOf(mistakesOf({ TLS_CERT: none, TLS_KEY: key }))).toEqual(["TLS_CERT"]);
    expect(namesOf(mistakesOf({ TLS_CERT: cert, TLS_KEY: none }))).toEqual(["TLS_KEY"]);
    expect(namesOf(mistakesOf({ TLS_CERT: cert, TLS_KEY: other }))).toEqual(["TLS_KEY"]);
    expect(load({ TLS_CERT: cert, TLS_KEY: key }).tls).toEqual({
      cert: CERTIFICATE,
      key: CERTIFICATE_KEY,
      files: { cert, key },
    });
  });
});

describe("secrets in files", () => {
  test("are read without the line's end", () => {
    expect(load({ ADMIN_TOKEN_FILE: file("token", `${TOKEN}\n`) }).access.adminToken).toBe(TOKEN);
    const url = "postgres://me:secret@db/ops";
    expect(load({ DATABASE_URL_FILE: file("url", `${url}\n`) }).database?.url).toBe(url);
  });

  test.each([
    ["missing", () => "/nowhere/token"],
    ["empty", () => file("empty", "\n")],
    ["a folder", () => folder],
  ])("are refused when they are %s", (_, path) => {
    expect(namesOf(mistakesOf({ ADMIN_TOKEN_FILE: path() }))).toEqual(["ADMIN_TOKEN_FILE"]);
  });

  test("are not given twice", () => {
    const env = { ADMIN_TOKEN: TOKEN, ADMIN_TOKEN_FILE: file("token", TOKEN) };
    expect(namesOf(mistakesOf(env))).toEqual(["ADMIN_TOKEN"]);
  });
});

describe("the .env file", () => {
  const read = (text: string, env: Record<string, string> = {}) =>
    loadConfig({ envFile: file("settings.env", text) }, { env, cwd: folder, uid: UID, home: "/home/me" });

  test("is read, and gives way to the environment", () => {
    const text = `# settings\nexport PORT=9000 # mine\nHOST="::1"\nOPSPILOT_DATA_DIR='/srv/a b#c'\nACCESS=\nOTHER=1\n\r\n`;
    expect(read(text)).toMatchObject({ listen: { host: "::1", port: 9000 }, dataDir: "/srv/a b#c" });
    expect(read(text, { PORT: "9001", HOST: "" }).listen).toEqual({ host: "::1", port: 9001 });
  });

  test("gives way in secrets, whichever form they have", () => {
    const env = { ADMIN_TOKEN: TOKEN };
    expect(read("ADMIN_TOKEN_FILE=/nowhere", env).access.adminToken).toBe(TOKEN);
    const other = { ADMIN_TOKEN_FILE: file("other", "9".repeat(20)) };
    expect(read(`ADMIN_TOKEN=${TOKEN}`, other).access.adminToken).toBe("9".repeat(20));
  });

  test("is looked for in the working directory", () => {
    const path = file(".env", "PORT=9100");
    const surroundings = { env: {}, cwd: folder, uid: UID, home: "/home/me" };
    expect(loadConfig({}, surroundings).listen.port).toBe(9100);
    rmSync(path);
    expect(loadConfig({}, surroundings).listen.port).toBe(8080);
  });

  test.each([
    ["writable by all", () => file("all.env", "PORT=1", 0o666), "chmod go-w"],
    ["writable by the group", () => file("group.env", "PORT=1", 0o660), "chmod go-w"],
    ["missing", () => join(folder, "missing.env"), "ENOENT"],
    ["a folder", () => folder, "no regular file"],
  ])("is refused when it is %s", (_, path, message) => {
    const error = mistakesOf({}, { envFile: path() });
    expect(namesOf(error)).toEqual([path()]);
    expect(error.message).toContain(message);
  });

  test("is refused when it is somebody else's, but not root's", () => {
    const path = file("other.env", "PORT=9200");
    const surroundings = { env: {}, cwd: folder, uid: UID + 1, home: "/home/me" };
    if (UID === 0) expect(loadConfig({ envFile: path }, surroundings).listen.port).toBe(9200);
    else expect(namesOf(mistakesOf({}, { envFile: path }, { uid: UID + 1 }))).toEqual([path]);
  });

  test("names a bad line by its number alone", () => {
    const path = file("bad.env", 'PORT=1\nhunter2\nADMIN_TOKEN="hunter2\n');
    const error = mistakesOf({}, { envFile: path });
    expect(error.mistakes).toEqual([
      { setting: path, message: "line 2 is not NAME=value" },
      { setting: path, message: "line 3 is not NAME=value" },
    ]);
  });
});
