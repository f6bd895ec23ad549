import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "../../package.json" with { type: "json" };
import { describeStart } from "../../src/cli/serve.ts";
import { unitFile } from "../../src/cli/systemd.ts";
import { loadConfig } from "../../src/config.ts";
import { runOpspilot } from "../support/command-line.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-cli-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const opspilot = (words: string[], env: Record<string, string> = {}) => runOpspilot(words, { cwd: folder, env });

describe("the command line", () => {
  test.each([[["version"]], [["--version"]], [["-V"]]])("%p prints the version", async (words) => {
    expect(await opspilot(words)).toEqual({ stdout: `${version}\n`, stderr: "", exitCode: 0 });
  });

  test("prints the version as JSON", async () => {
    const { stdout, exitCode } = await opspilot(["version", "--json"]);
    expect(exitCode).toBe(0);
    const platform = `${process.platform}-${process.arch}`;
    expect(JSON.parse(stdout)).toEqual({ version, bun: Bun.version, platform });
  });

  test.each([[["help"]], [["--help"]], [["-h"]]])("%p prints the usage", async (words) => {
    const { stdout, stderr, exitCode } = await opspilot(words);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    for (const command of ["serve", "migrate", "token", "doctor", "systemd", "version"])
      expect(stdout).toContain(command);
  });

  test.each([
    [["frobnicate"]],
    [["serve", "now"]],
    [["serve", "--frob"]],
    [["--frob"]],
    [["serve", "--port"]],
    [["token"]],
    [["token", "steal"]],
    [["token", "revoke"]],
    [["token", "revoke", "not-an-id"]],
    [["help", "frobnicate"]],
  ])("%p is a mistake of usage", async (words) => {
    const { stdout, stderr, exitCode } = await opspilot(words);
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 64 });
    expect(stderr).toMatch(words[2] === "not-an-id" ? /agent's id/ : /Usage: opspilot/);
  });

  test.each([[[]], [["serve"]], [["migrate"]], [["token", "list"]]])(
    "%p tells all mistakes in the settings",
    async (words) => {
      const env = {
        PORT: "eighty",
        ADMIN_TOKEN: "hunter2",
        DATABASE_URL: "mysql://me:hunter2@db/ops",
        RETENTION: "-1",
      };
      const { stdout, stderr, exitCode } = await opspilot(words, env);
      expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 78 });
      for (const name of ["PORT", "ADMIN_TOKEN", "DATABASE_URL", "RETENTION"])
        expect(stderr).toContain(`  ${name}: expected`);
      expect(stderr).not.toContain("hunter2");
      expect(stderr).not.toMatch(/^\s+at /m);
    },
  );

  test("takes flags of serve without the word", async () => {
    const { stderr, exitCode } = await opspilot(["--port", "eighty", "--host", "nowhere"]);
    expect(exitCode).toBe(78);
    expect(stderr).toContain("PORT: expected");
    expect(stderr).toContain("HOST: expected");
  });

  test("refuses to be open to the network", async () => {
    const { stderr, exitCode } = await opspilot(["serve", "--host", "0.0.0.0"]);
    expect(exitCode).toBe(78);
    expect(stderr).toContain("ADMIN_TOKEN");
  });

  test("refuses a .env file that others may write to", async () => {
    const path = join(folder, ".env");
    writeFileSync(path, "PORT=1\n", { mode: 0o600 });
    await Bun.$`chmod 666 ${path}`;
    const { stderr, exitCode } = await opspilot(["serve"]);
    rmSync(path);
    expect(exitCode).toBe(78);
    expect(stderr).toContain(`${path}: is refused`);
  });

  test("prints a systemd unit", async () => {
    const { stdout, exitCode } = await opspilot(["systemd"]);
    expect(exitCode).toBe(0);
    expect(stdout).toBe(unitFile("/usr/local/bin/opspilot"));
    for (const line of [
      "User=opspilot",
      "ExecStart=/usr/local/bin/opspilot serve",
      "KillMode=mixed",
      "TimeoutStopSec=60",
      "StateDirectory=opspilot",
      "EnvironmentFile=-/etc/opspilot/opspilot.env",
    ]) {
      expect(stdout).toContain(`\n${line}\n`);
    }
  });
});

describe("the announcement", () => {
  const start = (env: Record<string, string>, url: string) => {
    const config = loadConfig({}, { env, cwd: folder, uid: 1000, home: folder });
    return describeStart(config, { version, url, database: "built-in" });
  };

  test("of a fresh server", () => {
    expect(start({}, "http://127.0.0.1:8080")).toMatchObject({
      url: "http://127.0.0.1:8080",
      page: "http://127.0.0.1:8080/app",
      agents: expect.stringContaining("ws://127.0.0.1:8080/v1/stream"),
      access: expect.stringContaining("this machine alone"),
      enrollment: expect.stringContaining("enrols itself"),
      data_dir: `${folder}/.local/share/opspilot`,
    });
  });

  test("of one in a network has no secret", () => {
    const env = { ADMIN_TOKEN: "a".repeat(30), HOST: "::", PUBLIC_URL: "https://ops.example.com" };
    const lines = start(env, "https://[::]:8080");
    expect(lines.page).toBe("https://ops.example.com/app");
    expect(lines.agents).toStartWith("wss://ops.example.com/v1/stream");
    expect(lines.access).toContain("Authorization: Bearer");
    expect(lines.enrollment).toContain("opspilot token create");
    expect(JSON.stringify(lines)).not.toContain("aaaa");
    expect(start({ ...env, PUBLIC_URL: "" }, "http://[::]:8080").agents).toStartWith("ws://<this host>:8080/v1/stream");
  });
});
