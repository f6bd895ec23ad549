import { describe, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AgentFlags, loadAgentConfig } from "../../src/config/agent.ts";
import { ConfigError } from "../../src/config/settings.ts";
import { CERTIFICATE, CERTIFICATE_KEY } from "../support/certificate.ts";

const TOKEN = "opa_0123456789";
const LIKE_SERVICE = { cwd: "/nonexistent", uid: 998, home: "/home/agent" };

function load(env: Record<string, string>, flags: AgentFlags = {}) {
  const given = { OPSPILOT_SERVER: "wss://ops.example.com", OPSPILOT_TOKEN: TOKEN, ...env };
  return loadAgentConfig(flags, { ...LIKE_SERVICE, env: given });
}

function mistakesOf(env: Record<string, string>, flags: AgentFlags = {}): string[] {
  try {
    load(env, flags);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes.map(({ setting, message }) => `${setting}: ${message}`);
    throw error;
  }
}

function fileOf(content: string): string {
  const path = join(mkdtempSync(join(tmpdir(), "opspilot-config-")), "file");
  writeFileSync(path, content);
  return path;
}

describe("the agent's settings", () => {
  test("need the server and the token, and say both at once", () => {
    expect(mistakesOf({ OPSPILOT_SERVER: "", OPSPILOT_TOKEN: "" })).toEqual([
      expect.stringMatching(/^OPSPILOT_SERVER: must be set/),
      expect.stringMatching(/^OPSPILOT_TOKEN: must be set: what `opspilot token create`/),
    ]);
  });

  test("do without the token where there is one to enrol with", () => {
    const enrolToken = `ope_${"x".repeat(43)}`;
    const env = { OPSPILOT_TOKEN: "", OPSPILOT_ENROL_TOKEN: enrolToken };
    expect(load(env)).toMatchObject({ token: "", enrolToken });
    expect(load({}, { enrolToken })).toMatchObject({ token: TOKEN, enrolToken });
    expect(mistakesOf({ OPSPILOT_TOKEN: "", OPSPILOT_ENROL_TOKEN: "ope_short" })).toEqual([
      "OPSPILOT_ENROL_TOKEN: expected an enrolment token, which begins with ope_",
    ]);
  });

  test("have sensible values where nothing is said", () => {
    const config = load({});
    expect(config).toMatchObject({
      token: TOKEN,
      stateDir: "/home/agent/.local/share/opspilot/agent",
      spoolBytesMax: 64 * 2 ** 20,
      dockerSocket: "/var/run/docker.sock",
      logLevel: "info",
      server: { url: "wss://ops.example.com/v1/stream", ca: null, proxy: null, isExposed: false },
    });
    expect(config.allow.map(({ command }) => command)).not.toContain("restart_service");
  });

  test("look for Podman, too, and for engines without root, unless a socket is named", () => {
    expect(load({}).otherSockets).toEqual(["/run/podman/podman.sock"]);
    expect(load({ XDG_RUNTIME_DIR: "/run/user/1000" }).otherSockets).toEqual([
      "/run/podman/podman.sock",
      "/run/user/1000/docker.sock",
      "/run/user/1000/podman/podman.sock",
    ]);
    expect(load({ OPSPILOT_DOCKER_SOCKET: "/run/mine.sock" })).toMatchObject({
      dockerSocket: "/run/mine.sock",
      otherSockets: [],
    });
  });

  test.each([
    ["wss://ops.example.com", "wss://ops.example.com/v1/stream"],
    ["https://ops.example.com/", "wss://ops.example.com/v1/stream"],
    ["http://10.0.0.1:8080", "ws://10.0.0.1:8080/v1/stream"],
    ["wss://example.com/ops/", "wss://example.com/ops/v1/stream"],
    ["wss://example.com/ops/v1/stream", "wss://example.com/ops/v1/stream"],
    ["ws://[::1]:8080", "ws://[::1]:8080/v1/stream"],
  ])("find the stream of %s", (given, url) => {
    expect(load({ OPSPILOT_SERVER: given }).server.url).toBe(url);
  });

  test.each([
    "ops.example.com",
    "ftp://ops.example.com",
    "wss://user:secret@ops.example.com",
    "wss://x/?a=b",
    "wss://",
  ])("refuse %s as a server, and do not quote it", (given) => {
    const [mistake = "", ...more] = mistakesOf({ OPSPILOT_SERVER: given });
    expect(mistake).toStartWith("OPSPILOT_SERVER: ");
    expect(mistake).not.toContain("secret");
    expect(more).toEqual([]);
  });

  test.each([
    ["ws://10.0.0.1:8080", true],
    ["ws://127.0.0.1:8080", false],
    ["wss://10.0.0.1", false],
  ])("know whether the token can be read on the way to %s", (given, isExposed) => {
    expect(load({ OPSPILOT_SERVER: given }).server.isExposed).toBe(isExposed);
  });

  test("take flags before the environment, and the token from a file", () => {
    const path = fileOf("opa_from-a-file\n");
    expect(load({ OPSPILOT_TOKEN: "" }, { tokenFile: path }).token).toBe("opa_from-a-file");
    expect(load({}, { token: "opa_from-a-flag", server: "ws://localhost:1" })).toMatchObject({
      token: "opa_from-a-flag",
      server: { url: "ws://localhost:1/v1/stream" },
    });
  });

  test("never quote a token", () => {
    const mistakes = mistakesOf({ OPSPILOT_TOKEN: "a token with spaces" });
    expect(mistakes).toEqual(["OPSPILOT_TOKEN: expected 8 to 256 printable characters without spaces"]);
  });

  test.each([
    [{ OPSPILOT_ALLOW: "reboot" }, 'OPSPILOT_ALLOW: "reboot" names no command'],
    [{ OPSPILOT_ALLOW: "restart_service" }, 'OPSPILOT_ALLOW: "restart_service" must say on what'],
    [{ OPSPILOT_SPOOL: "1KiB" }, "OPSPILOT_SPOOL: expected a size such as 64MiB"],
    [{ OPSPILOT_CA: "/nonexistent/ca.pem" }, "OPSPILOT_CA: /nonexistent/ca.pem cannot be read (ENOENT)"],
    [{ HTTPS_PROXY: "socks5://127.0.0.1" }, "HTTPS_PROXY: expected an http or https URL of a proxy"],
    [{ HTTPS_PROXY: "http://" }, "expected an http or https URL of a proxy"],
    [{ OPSPILOT_DOCKER_SOCKET: "docker.sock" }, "OPSPILOT_DOCKER_SOCKET: expected the path of Docker's socket"],
  ])("say what is wrong with %o", (env, message) => {
    expect(mistakesOf(env as Record<string, string>)).toEqual([expect.stringContaining(message)]);
  });

  test("take an authority's certificate, and nothing else", () => {
    expect(load({ OPSPILOT_CA: fileOf(CERTIFICATE) }).server.ca).toBe(CERTIFICATE);
    expect(mistakesOf({ OPSPILOT_CA: fileOf(CERTIFICATE_KEY) })).toEqual([
      expect.stringContaining("holds no certificate in PEM form"),
    ]);
  });
});

describe("a proxy", () => {
  const PROXY = "http://proxy.example.com:3128";
  const proxyOf = (server: string, env: Record<string, string>) =>
    load({ OPSPILOT_SERVER: server, ...env }).server.proxy;

  test.each([
    ["wss://ops.example.com", { HTTPS_PROXY: PROXY }, PROXY],
    ["wss://ops.example.com", { https_proxy: PROXY }, PROXY],
    ["wss://ops.example.com", { HTTP_PROXY: PROXY }, null],
    ["ws://ops.example.com", { HTTP_PROXY: PROXY }, PROXY],
    ["ws://ops.example.com", { HTTPS_PROXY: PROXY }, null],
    ["ws://127.0.0.1:8080", { HTTP_PROXY: PROXY }, null],
    ["ws://localhost:8080", { HTTP_PROXY: PROXY }, null],
  ])("for %s, with %o, is %s", (server, env, expected) => {
    expect(proxyOf(server, env as Record<string, string>)).toBe(expected);
  });

  test.each([
    ["*", true],
    ["ops.example.com", true],
    ["OPS.example.COM", true],
    ["example.com", true],
    [".example.com", true],
    ["*.example.com", true],
    ["other.org, example.com", true],
    ["ops.example.com:443", true],
    ["ops.example.com:8443", false],
    ["s.example.com", false],
    ["example.org", false],
    ["", false],
  ])("is not used for what NO_PROXY=%s names", (noProxy, isExempt) => {
    const env = { HTTPS_PROXY: PROXY, ...(noProxy === "" ? {} : { NO_PROXY: noProxy }) };
    expect(proxyOf("wss://ops.example.com", env)).toBe(isExempt ? null : PROXY);
  });

  test.each([
    ["10.0.0.0/8", true],
    ["10.1.2.3", true],
    ["192.168.0.0/16", false],
  ])("is not used for addresses in NO_PROXY=%s", (noProxy, isExempt) => {
    expect(proxyOf("wss://10.1.2.3", { HTTPS_PROXY: PROXY, NO_PROXY: noProxy })).toBe(isExempt ? null : PROXY);
  });
});
