import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runOpspilot } from "../support/command-line.ts";
import { HostAgent } from "../support/host-agent.ts";
import { StreamServer, type StreamServerOptions } from "../support/stream-server.ts";
import { until } from "../support/until.ts";

let dir = "";
let server: StreamServer;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "opspilot-once-"));
});
afterEach(() => server.stop());
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function once(options: StreamServerOptions, words: readonly string[] = []) {
  server = new StreamServer(options);
  return runOnce(server.url, words);
}

function runOnce(url: string, words: readonly string[] = []) {
  const env = { OPSPILOT_SERVER: url, OPSPILOT_TOKEN: "token-of-a-test", OPSPILOT_DATA_DIR: dir };
  return runOpspilot(["agent", "once", ...words], { cwd: dir, env });
}

/** Refuses the frames with this error. */
const refusing = (code: string): StreamServerOptions => ({
  answer(frame, socket) {
    if (frame.type === "heartbeat" && code !== "unauthorized") return true;
    socket.send({ type: "error", code, message: "because", id: frame.id });
    return false;
  },
});

describe("opspilot agent once", () => {
  test("sends one test alert, says when the server has it, and says goodbye", async () => {
    const { exitCode, stdout, stderr } = await once({});
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toMatch(/^ws:\S+ has the test alert \(acknowledged after \d+ ms\)\.\n$/);
    expect(server.frames.map(({ type, token }) => ({ type, token }))).toEqual([
      { type: "heartbeat", token: "" },
      { type: "alert", token: "" },
    ]);
    expect(server.frames[1]?.payload).toMatchObject({ type: "host", source: "test", severity: "info" });
    expect(await until(() => server.closes[0])).toEqual({ code: 1000, reason: "goodbye" });
  });

  test.each([
    ["unauthorized", 77, "does not accept the token (because)"],
    ["bad_payload", 1, "refuses the test alert: bad_payload: because"],
    ["overloaded", 69, "does not answer: overloaded: because"],
  ])("that the server answers with %s ends with %d, and says why", async (code, expected, text) => {
    const { exitCode, stdout, stderr } = await once(refusing(code));
    expect({ exitCode, stdout }).toEqual({ exitCode: expected, stdout: "" });
    expect(stderr).toContain(text);
  });

  test.each([
    ["nothing listens there", 69, "nothing listens there", {}],
    [
      "a deleted agent's token",
      77,
      "does not accept the token",
      { answer: (_: unknown, socket) => socket.close(4401) },
    ],
    ["a proxy answers", 69, "it answered 502", { refuse: () => new Response("", { status: 502 }) }],
  ] as [string, number, string, StreamServerOptions][])(
    "ends with its own status when %s",
    async (why, status, text, options) => {
      server = new StreamServer(options);
      if (why === "nothing listens there") await server.stop();
      const { exitCode, stderr } = await runOnce(server.url);
      expect(exitCode).toBe(status);
      expect(stderr).toContain(text);
      expect(stderr).not.toContain("token-of-a-test");
    },
  );

  test("has the agent that runs here send it, which stays connected", async () => {
    server = new StreamServer();
    const agent = await HostAgent.start(server.url, { dir });
    const { exitCode, stdout } = await runOnce(server.url);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("has the test alert");
    expect(server.messages).toHaveLength(1);
    expect(server.upgrades).toHaveLength(1);
    await agent.stop();
  });

  test("says all that is wrong with the settings, with status 78", async () => {
    server = new StreamServer();
    const { exitCode, stderr } = await runOpspilot(["agent", "once", "--server", "ops.example.com"], { cwd: dir });
    expect(exitCode).toBe(78);
    expect(stderr).toContain("OPSPILOT_SERVER: expected the server's URL");
    expect(stderr).toContain("OPSPILOT_TOKEN: must be set");
  });

  test("takes settings before and after its name", async () => {
    server = new StreamServer();
    const words = ["agent", "--server", server.url, "once", "--token", "token-of-a-test", "--data-dir", dir];
    const { exitCode } = await runOpspilot(words, { cwd: dir });
    expect(exitCode).toBe(0);
    expect(server.upgrades[0]?.authorization).toBe("Bearer token-of-a-test");
  });

  test("says that the agent's directory cannot be used, with status 73", async () => {
    server = new StreamServer();
    const { exitCode, stderr } = await runOnce(server.url, ["--data-dir", "/dev/null"]);
    expect(exitCode).toBe(73);
    expect(stderr).toContain("/dev/null/agent cannot be used");
  });
});
