import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod, copyFile, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { version } from "../../package.json" with { type: "json" };
import { runOpspilot } from "../support/command-line.ts";
import { buildExecutable, freePort } from "../support/executable.ts";
import { makeDataDir } from "../support/own-postgres.ts";

let dir = "";
let port = "";
const path = (name: string) => join(dir, name);

beforeAll(async () => {
  dir = await makeDataDir();
  port = String(await freePort());
  await mkdir(path("bin"));
  await place("bin/systemctl", systemctl());
  await place("opspilot", standIn("0.0.1", "ready"));
  await runSystemctl("restart");
}, 60_000);
afterAll(async () => {
  await runSystemctl("stop");
  await rm(dir, { recursive: true, force: true });
});

/** Starts, stops and looks after one process, as systemd does its service. */
function systemctl(): string {
  return `#!/bin/sh
pid=$(cat ${path("pid")} 2>/dev/null)
lives() { [ -n "$pid" ] && [ -d /proc/$pid ] && ! grep -q '^State:.Z' /proc/$pid/status; }
echo "$*" >> ${path("asked")}
case "$1" in
  is-active) lives ;;
  restart | stop)
    lives && kill $pid
    while lives; do sleep 0.05; done
    [ "$1" = stop ] && exit 0
    HOME=${dir} PORT=${port} LOG_LEVEL=warn OPSPILOT_DATA_DIR=${path("data")} ${path("opspilot")} serve >> ${path("log")} 2>&1 &
    echo $! > ${path("pid")} ;;
esac
`;
}

/** What an OpsPilot of another version does, as far as an update looks. */
function standIn(version: string, state: "ready" | "never ready" | "ends", platform = `linux-${process.arch}`): string {
  return `#!${process.execPath}
if (process.argv[2] === "version") console.log('${JSON.stringify({ version, platform })}');
else if ("${state}" !== "ends") Bun.serve({ port: ${port}, hostname: "127.0.0.1", fetch: ({ url }) => new URL(url).pathname === "/"
  ? Response.json({ service: "opspilot", version: "${version}", status: "ok" })
  : new Response("", { status: ${state === "ready" ? 200 : 503} }) });
`;
}

async function place(name: string, text: string): Promise<string> {
  await Bun.write(path(name), text);
  await chmod(path(name), 0o755);
  return name;
}

const runSystemctl = (word: string) => Bun.spawn([path("bin/systemctl"), word], { stdout: "ignore" }).exited;
const digestOf = async (name: string) =>
  new Bun.CryptoHasher("sha256").update(await Bun.file(path(name)).bytes()).digest("hex");

async function update(name: string, ...words: string[]) {
  const env = { PATH: `${path("bin")}:/usr/bin:/bin`, PORT: port, OPSPILOT_DATA_DIR: path("data"), LOG_LEVEL: "warn" };
  return runOpspilot(["update", name, "--executable", path("opspilot"), ...words], { cwd: dir, env });
}

async function served(): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}/`, { keepalive: false });
  return ((await answer.json()) as { version: string }).version;
}
const names = async () => (await readdir(dir)).filter((name) => name.startsWith("opspilot")).sort();

describe("opspilot update", () => {
  test("takes nothing that is damaged, foreign or unproved, and changes nothing then", async () => {
    const good = await place("good", standIn("0.0.2", "ready"));
    const digest = await digestOf(good);
    const other = await place("other", standIn("0.0.2", "ready", "linux-riscv64"));
    const script = await place("script", "#!/bin/sh\necho hello\n");
    const cases: [string[], number, string][] = [
      [[good], 64, "cannot be told"],
      [[good, "--sha256", "abc"], 64, "no SHA-256"],
      [[good, "--sha256", digest.replace(/^./, (first) => (first === "0" ? "1" : "0"))], 1, "is damaged"],
      [[other, "--sha256", await digestOf(other)], 1, "is for linux-riscv64"],
      [[script, "--sha256", await digestOf(script)], 1, "is no OpsPilot"],
      [["none", "--sha256", digest], 1, "cannot be copied"],
      [[good, "--sha256", digest, "--wait", "soon"], 64, "--wait"],
    ];
    for (const [[name = "", ...words], exitCode, why] of cases) {
      const refused = await update(name, ...words);
      expect(refused).toMatchObject({ exitCode, stderr: expect.stringContaining(why) });
    }
    expect(await names()).toEqual(["opspilot"]);
    expect(await Bun.file(path("asked")).text()).not.toContain("restart opspilot.service");
  }, 120_000);

  test("goes back where the new one does not get ready, or ends; and stays with one that does", async () => {
    for (const state of ["never ready", "ends"] as const) {
      const bad = await place("bad", standIn("0.0.2", state));
      const failed = await update(bad, "--sha256", await digestOf(bad), "--wait", "2s");
      expect(failed).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("0.0.1 is back, and ready") });
      expect(await served()).toBe("0.0.1");
    }
    // The real thing, by a checksum beside it, as sha256sum writes it.
    await copyFile(await buildExecutable(), path("new"));
    await Bun.write(path("new.sha256"), `${await digestOf("new")}  new\n`);
    const done = await update("new");
    expect(done).toMatchObject({
      exitCode: 0,
      stderr: "",
      stdout: expect.stringContaining(`OpsPilot ${version} is ready.`),
    });
    expect(await served()).toBe(version);
    expect(await names()).toEqual(["opspilot", "opspilot.previous"]);
    expect(await Bun.file(path("opspilot.previous")).text()).toBe(standIn("0.0.1", "ready"));
    expect((await update("new")).stdout).toContain("Nothing to do");
    // A backup of the running server's database comes first, if it is asked for.
    const last = await place("last", standIn("0.0.3", "ready"));
    const words = ["--sha256", await digestOf(last), "--backup", path("before.tar.zst")];
    expect(await update(last, ...words)).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await served()).toBe("0.0.3");
    const checked = await runOpspilot(["restore", path("before.tar.zst"), "--check"], { cwd: dir });
    expect(checked.stdout).toContain("is whole");
  }, 240_000);
});
