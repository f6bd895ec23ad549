import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../support/until.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");
const PING = "/v1/ping/opi_a-secret-of-the-job";

interface Ping {
  readonly path: string;
  readonly run: string | null;
  readonly durationMs: number;
  readonly body: string;
}

let dir: string;
let server: ReturnType<typeof Bun.serve>;
let pings: Ping[] = [];
/** What it answers next; then OK. */
let answers: (Response | "silence")[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "opspilot-run-"));
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const url = new URL(request.url);
      const answer = answers.shift() ?? new Response("OK");
      if (answer === "silence") return new Promise<Response>(() => undefined);
      if (answer.ok) {
        const [run, durationMs] = [url.searchParams.get("run"), Number(url.searchParams.get("duration_ms"))];
        pings.push({ path: url.pathname.replace(PING, ""), run, durationMs, body: await request.text() });
      }
      return answer;
    },
  });
});
afterAll(async () => {
  await server.stop(true);
  await rm(dir, { recursive: true });
});
afterEach(() => {
  pings = [];
  answers = [];
});

const url = () => `http://127.0.0.1:${server.port}${PING}`;

interface Started {
  flags?: string[];
  env?: Record<string, string>;
  input?: string;
}

function start(job: string[], { flags = ["--ping", url()], env = {}, input = "" }: Started = {}) {
  return Bun.spawn([process.execPath, "--no-env-file", MAIN, "run", ...flags, "--", ...job], {
    cwd: dir,
    env: { PATH: process.env.PATH ?? "", HOME: dir, ...env },
    stdin: new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function run(job: string[], started?: Started) {
  const child = start(job, started);
  const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { stdout, stderr, exitCode };
}

const waitFor = (path: string) => `while [ ! -e ${path} ]; do sleep 0.02; done`;
const sh = (script: string) => ["sh", "-c", script];
/** Through a shell, which may change what the executable is started with. */
const shell = (script: string) =>
  Bun.spawn(["sh", "-c", script, process.execPath, "--no-env-file", MAIN, "run", "--ping", url()], {
    cwd: dir,
    env: { PATH: process.env.PATH ?? "", HOME: dir },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });

describe("a job that is run", () => {
  test("has its input, outputs and exit status unchanged, and both ends are told", async () => {
    const gate = join(dir, "told");
    const script = `cat; echo to-stderr > /dev/stderr; printf "no newline%s" "$(env | grep -c -E "PING|NODE_ENV")"; ${waitFor(gate)}; exit 7`;
    const file = join(dir, "ping");
    await Bun.write(file, `${url()}/\n`);
    const env = { OPSPILOT_PING_FILE: file };
    const running = run(sh(script), { flags: [], env, input: "a line\n" });
    await until(() => pings.length === 1);
    await Bun.write(gate, "");
    const { stdout, stderr, exitCode } = await running;
    expect({ stdout, stderr, exitCode }).toEqual({
      stdout: "a line\nno newline0",
      stderr: "to-stderr\n",
      exitCode: 7,
    });
    expect(pings.map(({ path }) => path)).toEqual(["/start", "/7"]);
    expect(pings[0]?.run).toBe(pings[1]?.run ?? "");
    expect(pings[1]?.durationMs).toBeGreaterThan(0);
    expect(pings[1]?.body.split("\n").sort()).toEqual(["a line", "no newline0", "to-stderr"]);
  });

  test("passes on what it writes when it writes it, in its order where both outputs lead to one place", async () => {
    const gate = join(dir, "printed");
    const script = `"$0" "$@" -- sh -c 'for i in 1 2 3; do echo out $i; echo err $i >&2; done; ${waitFor(gate)}' 2>&1`;
    const child = shell(script);
    const reader = child.stdout.getReader();
    let seen = "";
    while (!seen.includes("err 3")) seen += Buffer.from((await reader.read()).value ?? []).toString();
    expect(seen).toBe("out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n");
    await Bun.write(gate, "");
    expect(await child.exited).toBe(0);
    expect(pings.at(-1)?.body).toBe(seen.trimEnd());
  });

  test("is heard by its last lines, within bounds, as text", async () => {
    await run(sh("seq 1000; printf '\\033[31mred\\033[0m \\377\\n'"));
    const lines = pings.at(-1)?.body.split("\n") ?? [];
    expect([lines.length, lines[0], lines.at(-1)]).toEqual([100, "902", "red \ufffd"]);
    await run(sh("head -c 3000000 /dev/zero | tr '\\0' x"));
    expect(pings.at(-1)?.body).toBe("x".repeat(64 * 1024));
  });

  test("is slowed down by whoever reads it, ended by whoever stops reading, and loses nothing", async () => {
    const child = start(sh("seq 200000"));
    const reader = child.stdout.getReader();
    await until(() => pings.some(({ path }) => path === "/start"));
    expect(pings.some(({ path }) => path === "/0")).toBe(false);
    let text = "";
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) text += Buffer.from(chunk.value);
    expect(text).toBe(`${Array.from({ length: 200_000 }, (_, at) => at + 1).join("\n")}\n`);

    const cut = shell('"$0" "$@" -- yes | head -n 1');
    expect([await cut.stdout.text(), await cut.exited]).toEqual(["y\n", 0]);
    await until(() => pings.some(({ path }) => path === "/141"));
  });

  test.each([
    ["a program that is not there", ["no-such-program"], 127],
    ["a file that may not be run", ["./ping-file"], 126],
    ["a job that ends itself", sh("kill -KILL $$"), 137],
  ])("ends as the shell would have it: %s", async (_, job, status) => {
    await Bun.write(join(dir, "ping-file"), "");
    const { exitCode } = await run(job);
    expect(exitCode).toBe(status);
    expect(pings.at(-1)?.path).toBe(`/${status}`);
  });

  test("gets the signals that are sent to its keeper, and the keeper ends as it does", async () => {
    const script = "trap 'echo heard' USR1; echo ready; while :; do sleep 0.05; done";
    const child = start(sh(script));
    const reader = child.stdout.getReader();
    let seen = "";
    const see = async (text: string) => {
      while (!seen.includes(text)) seen += Buffer.from((await reader.read()).value ?? []).toString();
    };
    await see("ready");
    child.kill("SIGUSR1");
    await see("heard");
    child.kill("SIGTERM");
    await child.exited;
    expect(child.signalCode).toBe("SIGTERM");
    expect(pings.at(-1)?.path).toBe("/143");

    const nohup = shell(`trap '' HUP; "$0" "$@" -- grep SigIgn /proc/self/status`);
    expect(await nohup.stdout.text()).toMatch(/0000000000000001$/m);
  });

  test("is not held up by what it leaves behind", async () => {
    const { stdout, exitCode } = await run(sh("sleep 60 & echo $!; exit 3"));
    process.kill(Number(stdout.trim()));
    expect([exitCode, pings.at(-1)?.path]).toEqual([3, "/3"]);
  });
});

describe("its pings", () => {
  test("are sent again when the server stumbles, and no more once it is told", async () => {
    answers = [
      "silence",
      new Response("", { status: 503 }),
      new Response("", { status: 429, headers: { "retry-after": "1" } }),
    ];
    const { stderr, exitCode } = await run(["true"]);
    expect([stderr, exitCode]).toEqual(["", 0]);
    expect(pings.map(({ path }) => path)).toEqual(["/0"]);

    // The beginning, which was refused, would have its turn before the end is taken.
    answers = Array.from({ length: 2 }, () => new Response("", { status: 503 }));
    answers.push(new Response("", { status: 429, headers: { "retry-after": "1" } }));
    await run(["true"]);
    expect(pings.map(({ path }) => path)).toEqual(["/0", "/0"]);
  });

  test("do not change the job where the server is away, knows them not, or none are named; no secret is shown", async () => {
    const gone = { flags: ["--ping", "http://127.0.0.1:9/v1/ping/opi_a-secret-of-the-job"] };
    const child = start(sh("echo done; exit 4"), gone);
    const said = child.stderr.text();
    const reader = child.stdout.getReader();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("done\n");
    // Who wants an end does not wait for the telling.
    await until(async () => (await Bun.file(`/proc/${child.pid}/task/${child.pid}/children`).text()).trim() === "");
    child.kill("SIGTERM");
    expect(await child.exited).toBe(4);
    expect(await said).toContain("could not be told to http://127.0.0.1:9: ");
    expect(await said).not.toContain("opi_");

    answers = [new Response("", { status: 404 }), new Response("", { status: 404 })];
    const unknown = await run(sh("exit 5"));
    expect(unknown.exitCode).toBe(5);
    expect(unknown.stderr).toContain("knows no such ping (404)");
    expect(unknown.stderr).not.toContain("opi_");

    for (const flags of [
      [],
      ["--ping", "ftp://x"],
      ["--ping-file", "/nonexistent"],
      ["--ping", url(), "--ca", "/nonexistent"],
    ]) {
      const { stdout, stderr, exitCode } = await run(sh("echo ran; exit 6"), { flags });
      expect([stdout, exitCode]).toEqual(["ran\n", 6]);
      expect(stderr).toContain("nothing is told of this run");
    }
    expect(pings).toEqual([]);
  });
});
