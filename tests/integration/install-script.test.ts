import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, symlinkSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installScript } from "../../src/http/downloads/install-script.ts";
import { createOffer } from "../../src/http/downloads/offered.ts";
import { executableName, PLATFORMS } from "../../src/protocol/platforms.ts";
import { createFakePrograms, type FakePrograms } from "../support/fake-programs.ts";
import { call, TOKEN_ACCESS, testApp } from "../support/http-app.ts";

const TOKEN = "opa_the-token-of-the-host";
/** Stands in for the executable: it notes its words, and what it was given besides. */
const STAND_IN = `#!/bin/sh
[ "$1" = version ] && echo 9.8.7 && exit
{ printf '%s\\n' "$@"; echo "token=\${OPSPILOT_TOKEN:-} enrol=\${OPSPILOT_ENROL_TOKEN:-}"; cat; } > "$NOTES"
exit "\${EXIT:-0}"
`;

let folder = "";
let url = "";
let damaged = "";
let stop: () => Promise<void>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "opspilot-script-"));
  for (const platform of PLATFORMS) await Bun.write(join(folder, "offered", executableName(platform)), STAND_IN);
  const findExecutable = createOffer({ own: undefined, folder: join(folder, "offered") });
  const { app } = testApp({ findExecutable }, { access: TOKEN_ACCESS });
  app.listen({ port: 0, hostname: "127.0.0.1" });
  url = `http://127.0.0.1:${app.server?.port}`;
  const other = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) => new Response(url.endsWith("sha256") ? `${"0".repeat(64)}  x\n` : STAND_IN),
  });
  damaged = `http://127.0.0.1:${other.port}`;
  stop = async () => {
    await Promise.all([app.server?.stop(true), other.stop(true)]);
  };
});
afterAll(async () => {
  await stop();
  await rm(folder, { recursive: true });
});

interface Run {
  readonly words?: readonly string[];
  readonly env?: Record<string, string>;
  readonly script?: string;
  readonly path?: string;
  readonly shell?: string;
}

/** Runs the script as it is pasted: on the standard input of a shell. */
async function run({ words = [], env = {}, script, path = "/usr/bin:/bin", shell = "sh" }: Run) {
  const dir = await mkdtemp(join(folder, "run-"));
  const tmp = join(dir, "tmp");
  await mkdir(tmp);
  const child = Bun.spawn([Bun.which(shell) ?? shell, "-s", "--", ...words], {
    cwd: dir,
    env: { PATH: path, TMPDIR: tmp, NOTES: join(dir, "notes"), ...env },
    stdin: new Blob([script ?? (await (await fetch(`${url}/install.sh`)).text())]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  const notes = existsSync(join(dir, "notes")) ? (await Bun.file(join(dir, "notes")).text()).split("\n") : [];
  return { status, notes, text: output + errors, left: await readdir(tmp) };
}

const IMAGE = ["--root", "image"];
/** As uname calls this machine. */
const HERE = process.arch === "x64" ? "x86_64" : "aarch64";

describe("GET /install.sh", () => {
  test("is a script of POSIX that leads to the address by which the server was asked", async () => {
    const { status, text, headers } = await call(testApp({}, { access: TOKEN_ACCESS }), "GET", "/install.sh");
    expect([status, headers.get("cache-control")]).toEqual([200, "no-store"]);
    const lineOf = (script: string) => script.split("\n").find((line) => line.startsWith("server="));
    expect(lineOf(text)).toBe("server=http://localhost");
    const behindTls = { headers: { "x-forwarded-proto": "https" } };
    const app = testApp({}, { access: TOKEN_ACCESS });
    expect(lineOf((await call(app, "GET", "/install.sh", behindTls)).text)).toBe("server=https://localhost");
    const named = testApp({}, { access: TOKEN_ACCESS, publicUrl: "https://ops.example.com/a'b;c" });
    const script = (await call(named, "GET", "/install.sh")).text;
    expect(lineOf(script)).toBe("server='https://ops.example.com/a'\\''b;c'");
    await Bun.write(join(folder, "install.sh"), script);
    for (const words of [
      ["sh", "-n"],
      ["dash", "-n"],
      ["bash", "-n"],
      ["shellcheck", "-s", "sh"],
    ]) {
      if (Bun.which(words[0] ?? "") === null) continue;
      const { exitCode, stdout, stderr } = Bun.spawnSync([...words, join(folder, "install.sh")]);
      expect([words, exitCode, stdout.toString(), stderr.toString()]).toEqual([words, 0, "", ""]);
    }
  });

  test("does nothing when it was cut off, wherever that was", async () => {
    const programs = createFakePrograms(join(folder, "cut"));
    for (const name of ["uname", "curl", "wget", "mktemp", "id"]) programs.add(name, "exit 1");
    const script = installScript(url);
    const last = Array.from({ length: 20 }, (_, at) => script.length - 2 - at);
    const places = [...last, ...Array.from({ length: 20 }, (_, at) => Math.floor((script.length * at) / 20))];
    await Promise.all(
      places.map(async (at) => {
        const { notes } = await run({ script: script.slice(0, at), words: ["--token", TOKEN], path: programs.path });
        expect(notes).toEqual([]);
      }),
    );
    for (const name of ["uname", "curl", "wget", "mktemp", "id"]) expect(programs.calls(name)).toEqual([]);
  }, 60_000);

  test.each(["sh", "bash"])(
    "by %s installs what it has checked, hands every flag on and the token where nobody sees it",
    async (shell) => {
      const words = ["--token", TOKEN, ...IMAGE, "--allow", "restart_service:a b", "--docker", "--user=it's me"];
      const { status, notes, left, text } = await run({ words, shell });
      expect({ status, text }).toEqual({ status: 0, text: expect.stringContaining("Installing OpsPilot 9.8.7") });
      expect(notes).toEqual([
        ...[
          "agent",
          "install",
          "--server",
          url,
          ...IMAGE,
          "--allow",
          "restart_service:a b",
          "--docker",
          "--user=it's me",
        ],
        `token=${TOKEN} enrol=`,
        "",
      ]);
      expect(left).toEqual([]);
    },
  );

  test("takes the token in each form that `agent install` has", async () => {
    const tokenOf = async (options: Run) =>
      (await run({ ...options, words: [...(options.words ?? []), ...IMAGE] })).notes.at(-2);
    expect(await tokenOf({ words: [`--enrol-token=${TOKEN}`] })).toBe(`token= enrol=${TOKEN}`);
    expect(await tokenOf({ env: { OPSPILOT_TOKEN: TOKEN } })).toBe(`token=${TOKEN} enrol=`);
    const { notes } = await run({ words: ["--token-file", "here", ...IMAGE] });
    expect(notes).toContain("--token-file");
  });

  test("ends as the installation ends, and cleans up", async () => {
    const { status, left } = await run({ words: ["--token", TOKEN, ...IMAGE], env: { EXIT: "73" } });
    expect([status, left]).toEqual([73, []]);
  });

  test("does with wget, where there is no curl", async () => {
    const path = join(folder, "without-curl");
    await mkdir(path);
    for (const name of ["sh", "wget", "uname", "grep", "mktemp", "sha256sum", "cut", "chmod", "rm", "cat", "id"])
      symlinkSync(Bun.which(name) ?? "/missing", join(path, name));
    const { status, notes } = await run({ words: ["--token", TOKEN, ...IMAGE], path });
    expect([status, notes.at(-2)]).toEqual([0, `token=${TOKEN} enrol=`]);
  });

  const machine = (programs: FakePrograms, kernel: string, arch: string) =>
    programs.add("uname", `[ "$1" = -s ] && echo ${kernel} || echo ${arch}`);

  test.each<[string, Run & { kernel?: string; arch?: string; uid?: number }, string]>([
    ["no token", { words: [] }, "a token is missing"],
    ["a flag without its value", { words: ["--token"] }, "--token needs a value"],
    ["another system", { kernel: "Darwin" }, "the agent is for Linux, and this is Darwin"],
    ["another processor", { arch: "riscv64" }, "no executable for this machine (riscv64)"],
    ["another user than root", { words: ["--token", TOKEN], uid: 1000 }, "run it as root"],
    ["what was damaged on the way", { script: "damaged" }, "its checksum is another"],
    ["a server that is not there", { script: "away" }, "cannot be had"],
  ])(
    "says what is wrong by %s, and installs nothing",
    async (what, options, message) => {
      const { kernel = "Linux", arch = HERE, uid = 0 } = options;
      const programs = createFakePrograms(join(folder, what));
      machine(programs, kernel, arch);
      programs.add("id", `echo ${uid}`);
      const script = { damaged: installScript(damaged), away: installScript("http://127.0.0.1:9") }[
        options.script ?? ""
      ];
      const words = options.words ?? ["--token", TOKEN, ...IMAGE];
      const place = uid === 0 && options.words !== undefined ? IMAGE : [];
      const isLast = words.at(-1) === "--token";
      const { status, text, notes, left } = await run({
        words: isLast ? words : [...words, ...place],
        script,
        path: programs.path,
      });
      expect([status, notes, left]).toEqual([1, [], []]);
      expect(text).toContain(message);
      expect(text).not.toContain(TOKEN);
    },
    60_000,
  );

  test("asks for the executable without AVX2 where the processor has none", async () => {
    const programs = createFakePrograms(join(folder, "baseline"));
    programs.add("grep", "exit 1");
    const { text } = await run({ words: ["--token", TOKEN, ...IMAGE], path: programs.path });
    expect(text).toContain(`/download/opspilot-linux-${process.arch === "x64" ? "x64-baseline" : process.arch}`);
  });
});
