import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PATHS } from "../../src/agent/install/unit.ts";
import { createProcessRunner } from "../../src/agent/run-process.ts";
import { createDownload } from "../../src/agent/update/download.ts";
import { beginTrial, holdUpdates, settle, updatePaths } from "../../src/agent/update/trial.ts";
import { type UpdateRequest, updateService } from "../../src/agent/update/update.ts";
import { createOffer } from "../../src/http/downloads/offered.ts";
import { type Clock, createSystemClock } from "../../src/lib/clock.ts";
import { createFakeHost, type FakeHost } from "../support/fake-host.ts";
import { TOKEN_ACCESS, testApp } from "../support/http-app.ts";

const PLATFORM = "linux-arm64";
const STATUS = `${PATHS.state}/agent/connection.json`;

type Kind = "good" | "stays deaf" | "cannot be set up";

/** Stands in for an executable of a version: as the service it tells of a welcome, or, `stays deaf`, of none. */
function standIn(version: string, kind: Kind = "good", platform: string = PLATFORM): string {
  const welcome = `id=$(sed -n 's/.*"id":"\\([^"]*\\)".*/\\1/p' "$0.trial")
    printf '{"isConnected":true,"atMs":1,"detail":"","trial":"%s"}' "$id" > "$(dirname "$0")/../../..${STATUS}"`;
  return `#!/bin/sh
case "$1 $2" in
  "version --json") echo '{"version":"${version}","platform":"${platform}"}' ;;
  "agent install") echo "${version}" >> "$0.installs"; ${kind === "cannot be set up" ? "echo 'no such unit' >&2; exit 1" : ":"} ;;
  "agent ") ${kind === "good" ? welcome : ":"} ;;
  *) exit 64 ;;
esac
`;
}

/** Waits for nothing, and counts what it would have waited. */
function createHastyClock(): Clock {
  let ms = 0;
  const system = createSystemClock();
  return {
    now: system.now,
    monotonicMs: () => ms,
    async sleep(wait, signal) {
      ms += wait;
      if (!signal?.aborted) await system.sleep(1);
    },
  };
}

let folder = "";
let offered = "";
let url = "";
let stopServer: () => Promise<void>;
let host: FakeHost;
let count = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "opspilot-update-"));
  offered = join(folder, "offered", `opspilot-${PLATFORM}`);
  const findExecutable = createOffer({ own: undefined, folder: dirname(offered) });
  const { app } = testApp({ findExecutable }, { access: TOKEN_ACCESS });
  app.listen({ port: 0, hostname: "127.0.0.1" });
  url = `ws://127.0.0.1:${app.server?.port}/v1/stream`;
  stopServer = async () => void (await app.server?.stop(true));
});
beforeEach(async () => {
  host = createFakeHost(join(folder, String(++count)));
  host.programs.add(
    "systemctl",
    `[ "$1" = restart ] || exit 0; [ -e "$HERE/broken" ] && { echo 'bus is away' >&2; exit 1; }
    [ ! -s '${join(host.root, PATHS.executable)}' ] || '${join(host.root, PATHS.executable)}' agent`,
  );
  await host.install();
  await put("0.2.0");
  mkdirSync(join(host.root, dirname(STATUS)), { recursive: true });
  offer("0.3.0");
});
afterAll(async () => {
  await stopServer();
  rmSync(folder, { recursive: true });
});

function offer(version: string, kind: Kind = "good", platform: string = PLATFORM): void {
  mkdirSync(dirname(offered), { recursive: true });
  writeFileSync(`${offered}.new`, standIn(version, kind, platform));
  rmSync(offered, { force: true });
  writeFileSync(offered, standIn(version, kind, platform));
}

async function put(version: string): Promise<void> {
  const path = join(host.root, PATHS.executable);
  rmSync(path);
  writeFileSync(path, standIn(version));
  chmodSync(path, 0o755);
}

const paths = () => updatePaths(join(host.root, PATHS.executable));
const restarts = () => host.programs.calls("systemctl").filter(([verb]) => verb === "restart").length;
const installed = () => /"version":"([^"]+)"/.exec(readFileSync(paths().executable, "utf8"))?.[1];
const former = () =>
  existsSync(paths().previous) && /"version":"([^"]+)"/.exec(readFileSync(paths().previous, "utf8"))?.[1];
/** Nothing of an update is left but the former executable. */
function expectCleared(): void {
  expect(readFileSync(paths().trial, "utf8")).toBe("");
  const names = readdirSync(dirname(paths().executable)).filter((name) => !/installs$/.test(name));
  expect(names.filter((name) => !["opspilot", "opspilot.previous", "opspilot.trial"].includes(name))).toEqual([]);
}

interface Told {
  readonly error: string;
  readonly lines: string[];
}

async function update(
  request: Partial<UpdateRequest> = {},
  more: { server?: string; stop?: AbortSignal; uid?: number } = {},
): Promise<Told> {
  const clock = createHastyClock();
  const lines: string[] = [];
  const stop = more.stop ?? new AbortController().signal;
  const server = { url: more.server ?? url, ca: null, proxy: null, isExposed: false };
  const deps = {
    run: createProcessRunner({ searchPath: host.programs.path, clock: createSystemClock() }),
    download: createDownload({ server, platform: PLATFORM, clock, stop }),
    statusPath: join(host.root, STATUS),
    platform: PLATFORM,
    tell: (line: string) => void lines.push(line),
    clock,
    uid: more.uid ?? 0,
    stop,
  } as const;
  const error = await updateService({ file: undefined, isForced: false, root: host.root, ...request }, deps).then(
    () => "",
    (failure) => failure.message,
  );
  return { error, lines };
}

describe("opspilot agent update", () => {
  test("puts what the server hands out in place, lets it write its unit, and keeps the former executable", async () => {
    const { error, lines } = await update();
    expect([error, installed(), former(), restarts()]).toEqual(["", "0.3.0", "0.2.0", 1]);
    expect(readFileSync(`${paths().executable}.installs`, "utf8")).toBe("0.3.0\n");
    expect(lines.at(-1)).toContain("updated: 0.2.0 → 0.3.0");
    expect(await host.mode(PATHS.executable)).toBe("755");
    expectCleared();

    const again = await update();
    expect(again).toEqual({ error: "", lines: ["nothing to do: this is what the server hands out"] });
    expect(restarts()).toBe(1);
  });

  test.each<[Kind, string]>([
    ["stays deaf", "it did not reach the server in time"],
    ["cannot be set up", "no such unit"],
  ])("puts the former version back when the new one %s", async (kind, why) => {
    offer("0.3.0", kind);
    const { error } = await update();
    expect(error).toStartWith("not updated: ");
    expect(error).toContain(why);
    expect(error).toContain("0.2.0 is back");
    expect([installed(), restarts()]).toEqual(["0.2.0", kind === "stays deaf" ? 2 : 1]);
    expect(readFileSync(`${paths().executable}.installs`, "utf8")).toEndWith("0.2.0\n");
    expectCleared();
    offer("0.3.1");
    expect([(await update()).error, installed(), former()]).toEqual(["", "0.3.1", "0.2.0"]);
  });

  test("puts it back when somebody interrupts", async () => {
    offer("0.3.0", "stays deaf");
    const file = join(folder, "interrupted");
    writeFileSync(file, standIn("0.3.0", "stays deaf"));
    const { error } = await update({ file }, { stop: AbortSignal.abort() });
    expect([error, installed()]).toEqual(["not updated: it was interrupted; 0.2.0 is back, and runs", "0.2.0"]);
  });

  test("takes a file, and looks at the checksum beside it", async () => {
    const file = join(folder, "file");
    writeFileSync(file, standIn("0.4.0"));
    writeFileSync(`${file}.sha256`, `${"0".repeat(64)}  file\n`);
    expect((await update({ file })).error).toContain("is damaged");
    rmSync(`${file}.sha256`);
    expect([(await update({ file })).error, installed()]).toEqual(["", "0.4.0"]);
    expect((await update({ file })).lines).toEqual(["nothing to do: this is what the server hands out"]);
    const missing = await update({ file: join(folder, "missing") });
    expect(missing.error).toContain("cannot be copied (ENOENT)");
  });

  test("goes back to an older version only when told", async () => {
    offer("0.1.0");
    const { error } = await update();
    expect([error, installed()]).toEqual([
      "0.1.0 is older than 0.2.0, which is installed; --force installs it",
      "0.2.0",
    ]);
    expectCleared();
    expect([(await update({ isForced: true })).error, installed()]).toEqual(["", "0.1.0"]);
  });

  test.each<[string, string, () => void]>([
    ["of another platform", "for linux-x64", () => offer("0.3.0", "good", "linux-x64")],
    ["that is no program", "does not run on this host", () => writeFileSync(offered, "not an executable")],
    ["with no version", "is no OpsPilot", () => offer("soon")],
    ["that the server has not", "status 404", () => rmSync(offered)],
  ])("touches nothing for an executable %s", async (_, message, prepare) => {
    prepare();
    const { error } = await update();
    expect(error).toContain(message);
    expect([installed(), former(), restarts()]).toEqual(["0.2.0", false, 0]);
    expectCleared();
  });

  test("refuses where it could only do harm", async () => {
    expect((await update({}, { uid: 1000 })).error).toContain("as root");
    writeFileSync(join(host.root, PATHS.serverUnit), "");
    expect((await update()).error).toContain("a server on this host uses");
    expect((await update({ isForced: true })).error).toBe("");
    const lock = holdUpdates(paths());
    expect((await update({ isForced: true })).error).toBe("another update is under way on this host");
    lock?.release();
    rmSync(paths().executable);
    symlinkSync(paths().previous, paths().executable);
    expect((await update({ isForced: true })).error).toContain("is a link");
    await host.uninstall();
    expect((await update()).error).toContain("not installed as a service");
  });

  test("waits its turn at a server that has many to serve, and takes nothing that was damaged", async () => {
    let asked = 0;
    let isDamaged = false;
    const body = standIn("0.3.0");
    const digest = new Bun.CryptoHasher("sha256").update(body).digest("hex");
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch({ url: path }) {
        if (path.endsWith(".sha256")) return new Response(`${digest}  x\n`);
        if (++asked < 3) return new Response("busy", { status: 503, headers: { "retry-after": "30" } });
        return new Response(isDamaged ? body.slice(1) : body);
      },
    });
    const address = `ws://127.0.0.1:${server.port}/v1/stream`;
    isDamaged = true;
    expect((await update({}, { server: address })).error).toContain("its checksum is another");
    expect([installed(), asked]).toEqual(["0.2.0", 3]);
    isDamaged = false;
    expect([(await update({}, { server: address })).error, installed()]).toEqual(["", "0.3.0"]);
    await server.stop(true);
    expect((await update({}, { server: address })).error).toContain("cannot be had");
  });
});

describe("an update that was killed", () => {
  const trial = { id: crypto.randomUUID(), from: "0.2.0", to: "0.3.0" };
  const status = () => join(host.root, STATUS);

  /** As far as the new executable is in place, and the process is gone. */
  async function killed(): Promise<void> {
    const lock = holdUpdates(paths());
    if (lock === undefined) throw new Error("somebody holds it");
    writeFileSync(paths().next, standIn("0.3.0"), { mode: 0o755 });
    await beginTrial(paths(), lock, trial);
    lock.release();
    expect([installed(), former()]).toEqual(["0.3.0", "0.2.0"]);
  }

  test("is undone at the next start of the service where the new version had no welcome", async () => {
    await killed();
    expect(await settle(paths(), status())).toBe("put back");
    expect(installed()).toBe("0.2.0");
    expectCleared();
    expect(await settle(paths(), status())).toBe("nothing");
  });

  test("is undone though another version had a welcome once", async () => {
    writeFileSync(status(), JSON.stringify({ isConnected: true, atMs: 1, detail: "", trial: "another" }));
    await killed();
    expect([await settle(paths(), status()), installed()]).toEqual(["put back", "0.2.0"]);
  });

  test("stands where it had one", async () => {
    await killed();
    writeFileSync(status(), JSON.stringify({ isConnected: false, atMs: 1, detail: "away", trial: trial.id }));
    expect(await settle(paths(), status())).toBe("kept");
    expect([installed(), former()]).toEqual(["0.3.0", "0.2.0"]);
    expectCleared();
  });

  test("is left alone while somebody sees to it", async () => {
    await killed();
    const lock = holdUpdates(paths());
    expect(await settle(paths(), status())).toBe("under way");
    expect(installed()).toBe("0.3.0");
    lock?.release();
  });

  test("is ended by the next one", async () => {
    await killed();
    offer("0.3.1");
    const { error, lines } = await update();
    expect([error, installed(), former()]).toEqual(["", "0.3.1", "0.2.0"]);
    expect(lines[0]).toContain("an update that was interrupted is undone");
    expect(restarts()).toBe(2);
  });

  test("leaves nothing once the agent is uninstalled", async () => {
    await killed();
    await host.uninstall();
    const left = readdirSync(dirname(paths().executable)).filter((name) => !/installs$/.test(name));
    expect(left).toEqual([]);
  });
});
