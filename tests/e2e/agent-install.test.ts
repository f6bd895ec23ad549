import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { runOpspilot } from "../support/command-line.ts";
import { emptyFolder, removeFolder, runExecutable, USERS } from "../support/e2e.ts";

let folder = "";
beforeAll(async () => {
  folder = await emptyFolder();
});
afterAll(() => removeFolder(folder));

const EXECUTABLE_LIMIT_MS = 240_000;

describe.each(USERS)("the executable, as %s", (name, user) => {
  const dir = () => join(folder, name.replaceAll(" ", "-"));
  const run = (args: string[], env: Record<string, string> = {}) =>
    runExecutable({ dir: dir(), args: ["agent", ...args], env, ...user });
  const installed = (path: string) => Bun.file(join(dir(), "image", path));

  test(
    "installs itself into another root, takes settings from flags, environment and a file, and goes again",
    async () => {
      await run(["--help"]);
      await mkdir(join(dir(), "image"), { recursive: true });
      await chmod(join(dir(), "image"), 0o777);
      await Bun.write(join(dir(), "token"), "a-good-token\n");
      const words = ["install", "--root", "image", "--server", "wss://ops.example.com", "--token-file", "token"];
      const { status, lines } = await run(words, {
        OPSPILOT_ALLOW: "restart_service:nginx",
        HTTPS_PROXY: "http://proxy:3128",
      });
      expect({ status, lines }).toMatchObject({ status: 0 });
      expect(lines.join("\n")).not.toContain("a-good-token");
      const settings = (await installed("etc/opspilot/agent.env").text())
        .split("\n")
        .filter((line) => /^[A-Z]/.test(line));
      expect(settings.sort()).toEqual([
        "HTTPS_PROXY=http://proxy:3128",
        "OPSPILOT_ALLOW=restart_service:nginx",
        "OPSPILOT_SERVER=wss://ops.example.com",
        "OPSPILOT_TOKEN=a-good-token",
      ]);
      expect(await installed("etc/polkit-1/rules.d/50-opspilot-agent.rules").text()).toContain(
        '"restart nginx.service"',
      );
      expect(installed("usr/local/bin/opspilot").size).toBe(Bun.file(join(dir(), "opspilot")).size);

      const again = await run(["uninstall", "--root", "image", "--purge"]);
      expect(again.status).toBe(0);
      expect([...new Bun.Glob("**/*").scanSync({ cwd: join(dir(), "image"), dot: true })]).toEqual([]);
    },
    EXECUTABLE_LIMIT_MS,
  );

  test(
    "shows all that it would do in a dry run, but no secret",
    async () => {
      const words = ["install", "--dry-run", "--server", "wss://ops.example.com", "--token", "a-good-token"];
      const { status, lines } = await run(words);
      expect(status).toBe(0);
      const text = lines.join("\n");
      expect(text).toContain("would write /etc/systemd/system/opspilot-agent.service");
      expect(text).not.toContain("a-good-token");
    },
    EXECUTABLE_LIMIT_MS,
  );

  test(
    "says what is missing",
    async () => {
      const { status, lines } = await run(["install", "--dry-run"]);
      expect(status).toBe(78);
      for (const setting of ["OPSPILOT_SERVER", "OPSPILOT_TOKEN"])
        expect(lines.join("\n")).toContain(`${setting}: must be set`);
    },
    EXECUTABLE_LIMIT_MS,
  );
});

test("a source checkout cannot be installed, and says what to do", async () => {
  const words = ["agent", "install", "--server", "wss://ops.example.com", "--token", "a-good-token"];
  const { stderr, exitCode } = await runOpspilot(words, { cwd: folder });
  expect(exitCode).toBe(64);
  expect(stderr).toContain("bun run build");
});
