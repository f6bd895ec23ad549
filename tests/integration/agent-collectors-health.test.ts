import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createDockerCollector } from "../../src/agent/collectors/docker.ts";
import { createHostCollector } from "../../src/agent/collectors/host.ts";
import { createKernelCollector } from "../../src/agent/collectors/kernel.ts";
import { createLogsCollector } from "../../src/agent/collectors/logs.ts";
import { createSystemdCollector } from "../../src/agent/collectors/systemd.ts";
import type { Collector, CollectorHealth } from "../../src/agent/model.ts";
import type { FileSystemSize } from "../../src/agent/proc.ts";
import type { CollectorName } from "../../src/config/agent-collectors.ts";
import { parseLogRules } from "../../src/config/log-rules.ts";
import { CollectorBench } from "../support/collectors.ts";
import { EventDocker, recordedContainer } from "../support/event-docker.ts";
import { FakeSystemd, recordedEntries } from "../support/fake-systemd.ts";
import { createFastClock } from "../support/host-agent.ts";
import { until } from "../support/until.ts";

let bench: CollectorBench;
let docker: EventDocker;
const stops: (() => unknown)[] = [];
beforeEach(() => {
  bench = new CollectorBench();
  docker = new EventDocker(bench.folder);
});
afterEach(async () => {
  await bench.close();
  await docker.stop();
  for (const stop of stops.splice(0)) await stop();
});

const deps = (changes: Parameters<CollectorBench["deps"]>[0] = {}) =>
  bench.deps({ clock: createFastClock(), ...changes });

/** Waits until the collector says this of itself. */
async function becomes(collector: Collector, wanted: Partial<CollectorHealth>): Promise<CollectorHealth> {
  let last: CollectorHealth | undefined;
  const isSo = () => {
    last = collector.health();
    const now: Record<string, unknown> = { ...last };
    return Object.entries(wanted).every(([key, value]) => Bun.deepEquals(now[key], value)) ? last : undefined;
  };
  return until(isSo, { ms: 20_000 }).catch(() => {
    throw new Error(`it never said ${JSON.stringify(wanted)}, but ${JSON.stringify(last)}`);
  });
}

describe("the collector of containers says", () => {
  const start = (options = {}) => bench.start(createDockerCollector(deps(), options));

  test("that there is no Docker on a host that never had one", async () => {
    const collector = start();
    expect((await becomes(collector, { state: "absent" })).why).toContain("there is no Docker at");
  });

  test("that it cannot see where something listens and is no Docker, and sees once its events come", async () => {
    docker.refusing = "/version";
    docker.start();
    const collector = start();
    const blind = await becomes(collector, { state: "cannot", isTold: false, why: "context deadline exceeded" });
    docker.refusing = "";
    expect((await becomes(collector, { state: "sees" })).why).toBeUndefined();
    expect(blind.gaveUp).toEqual([]);
  });

  test("that it cannot see while its stream of events is refused, though all else answers", async () => {
    docker.start();
    docker.refusing = "/events";
    const collector = start();
    await becomes(collector, { state: "cannot", why: "context deadline exceeded" });
    expect(await collector.check()).toMatchObject({ ok: false, detail: "context deadline exceeded" });
  });

  test("that it cannot see where a socket is and nobody listens", async () => {
    const path = join(bench.folder, "docker.sock");
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const kept = Bun.spawnSync(["cp", "-a", path, `${path}.kept`]);
    await new Promise((resolve) => server.close(resolve));
    Bun.spawnSync(["mv", `${path}.kept`, path]);
    expect(kept.exitCode).toBe(0);
    const collector = start();
    await until(() => collector.health()?.why?.includes("nothing listens at"));
    expect(collector.health()?.state).toBe("cannot");
    expect(await collector.check()).toMatchObject({ ok: false });
    expect((await collector.check()).absent).toBeUndefined();
  });

  test("that an engine which was there is away, and that people are told of it", async () => {
    docker.start();
    const collector = start({ engineAwayMs: 20_000 });
    await becomes(collector, { state: "sees" });
    await docker.stop();
    await becomes(collector, { state: "cannot", isTold: false });
    await becomes(collector, { state: "cannot", isTold: true });
    expect(await collector.check()).toMatchObject({ ok: false });
    expect((await collector.check()).absent).toBeUndefined();
    expect(bench.told()).toEqual([expect.stringContaining("Docker (engine) firing")]);
    docker.start();
    await becomes(collector, { state: "sees", isTold: false });
  }, 180_000);

  test("which containers it does not compare", async () => {
    const web = recordedContainer("web");
    for (let n = 0; n < 1_003; n++)
      docker.containers.set(`c${n}`, {
        ...web,
        Id: `id${n}`,
        Name: `/c${n}`,
        State: { Status: "exited", ExitCode: 0 },
      });
    docker.start();
    const collector = start();
    const text = "what 3 of 1003 containers did while nobody listened: the newest are compared";
    await becomes(collector, { state: "sees", gaveUp: [text] });
    expect((await collector.check()).detail).toEndWith(`; left out: ${text}`);
  });
});

describe("the collector of units says", () => {
  let systemd: FakeSystemd;
  let bootedPath: string;
  beforeEach(() => {
    systemd = new FakeSystemd(bench.folder);
    bootedPath = join(bench.folder, "booted");
    mkdirSync(bootedPath);
  });
  const start = () => bench.start(createSystemdCollector(deps({ searchPath: systemd.searchPath }), { bootedPath }));

  test("that this host does not run systemd", async () => {
    rmSync(bootedPath, { recursive: true });
    systemd.setAway(true);
    const collector = start();
    expect((await becomes(collector, { state: "absent" })).why).toContain("Failed to connect to bus");
    expect(await collector.check()).toMatchObject({ ok: false, absent: true });
  });

  test("that it cannot see while systemd does not answer, and sees once it has compared the units", async () => {
    systemd.write(...recordedEntries("units"));
    systemd.setAway(true);
    const collector = start();
    await becomes(collector, { state: "cannot", why: "Failed to connect to bus: No such file or directory" });
    expect(await collector.check()).toMatchObject({ ok: false });
    systemd.setAway(false);
    await becomes(collector, { state: "sees" });
    expect(await collector.check()).toMatchObject({ ok: true });
  });

  test("that this user may not read the journal, though nothing fails, and sees with the first entry", async () => {
    const collector = start();
    expect((await becomes(collector, { state: "cannot" })).why).toBe("it has not begun to watch yet");
    const hint = "may not read the system's journal";
    await until(() => collector.health()?.why?.includes(hint));
    expect((await collector.check()).detail).toContain(hint);
    systemd.write(...recordedEntries("units"));
    await becomes(collector, { state: "sees" });
  });
});

describe("the collector of the kernel says", () => {
  test("that it sees by the journal, or by the kernel's own device, or cannot", async () => {
    const systemd = new FakeSystemd(bench.folder);
    const kmsgPath = join(bench.folder, "kmsg");
    const by = (searchPath?: string) =>
      bench.start(createKernelCollector(deps(searchPath === undefined ? {} : { searchPath }), { kmsgPath }));
    const unread = by(systemd.searchPath);
    await until(() => unread.health()?.why?.includes("nothing of the kernel in the journal"));
    const without = by();
    await until(() => without.health()?.why?.includes("ENOENT"));
    systemd.write(...recordedEntries("kernel"));
    await becomes(by(systemd.searchPath), { state: "sees" });
    writeFileSync(kmsgPath, "");
    await becomes(without, { state: "sees" });
  });

  test("that it sees where the journal has lost what the kernel wrote, but not in a container", async () => {
    const systemd = new FakeSystemd(bench.folder);
    systemd.write(...recordedEntries("units"));
    const at = (kmsgPath: string) => createKernelCollector(deps({ searchPath: systemd.searchPath }), { kmsgPath });
    expect(await at(join(bench.folder, "none")).check()).toMatchObject({ ok: false });
    writeFileSync(join(bench.folder, "kmsg"), "");
    expect(await at(join(bench.folder, "kmsg")).check()).toMatchObject({ ok: true });
  });
});

describe("the collector of the host says", () => {
  const size = { bsize: 4096, blocks: 100, bfree: 50, bavail: 50, files: 0, ffree: 0 } as FileSystemSize;

  function write(mounts: number): string {
    mkdirSync(join(bench.folder, "proc/self"), { recursive: true });
    const lines = Array.from({ length: mounts }, (_, n) => `${n} 1 8:${n} / /disk${n} rw - ext4 /dev/d${n} rw`);
    const files = {
      "self/mountinfo": `${lines.join("\n")}\n`,
      filesystems: "\text4\n",
      stat: "cpu 1 1 1 1 1 1 1 1 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n",
      loadavg: "0.1 0.1 0.1 1/1 1\n",
      meminfo: "MemTotal: 1000 kB\nMemAvailable: 900 kB\n",
    };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(bench.folder, "proc", name), text);
    return bench.folder;
  }

  test("that it cannot see where its figures cannot be read", async () => {
    const collector = bench.start(createHostCollector(deps(), { root: bench.folder }));
    expect((await becomes(collector, { state: "cannot" })).why).toBeDefined();
    await until(() => collector.health()?.why?.includes("ENOENT"));
    write(1);
    await becomes(collector, { state: "sees" });
  });

  test("which file systems are too many, and which give no answer", async () => {
    const sizeOf = (path: string) =>
      path === "/disk7" ? new Promise<FileSystemSize>(() => undefined) : Promise.resolve(size);
    const collector = bench.start(createHostCollector(deps(), { root: write(503), sizeOf }));
    const texts = [
      "3 file systems that are too many to be watched",
      "no answer of /disk7: how full that is cannot be seen",
    ];
    await becomes(collector, { state: "sees", gaveUp: texts });
    expect((await collector.check()).detail).toEndWith(
      "(and 3 more that are too many to be watched); no answer of /disk7: how full that is cannot be seen",
    );
  });
});

describe("the collector of log patterns says", () => {
  function start(rules: string, changes: { enabled?: CollectorName[]; searchPath?: string } = {}): Collector {
    const parsed = parseLogRules(rules);
    if ("fault" in parsed) throw new Error(parsed.fault);
    const { enabled = [], ...more } = changes;
    const settings = { logRules: parsed.rules, enabled };
    return bench.start(createLogsCollector(deps({ ...more, settings }), { filePollMs: 200 }));
  }

  test("nothing without rules", () => {
    expect(start("").health()).toBeUndefined();
  });

  test("which file it cannot read, and sees once it can", async () => {
    const [good, bad] = [join(bench.folder, "good.log"), join(bench.folder, "bad.log")];
    writeFileSync(good, "begin\n");
    symlinkSync(bad, bad);
    const rules = `file:${good} /x/; file:${bad} /x/; file:${bench.folder}/later.log /x/`;
    const collector = start(rules);
    await until(() => collector.health()?.why?.startsWith(`${bad}: ELOOP`));
    expect((await collector.check()).detail).toContain(`but: ${bad}: ELOOP`);
    writeFileSync(good, "begin\nx\n");
    expect((await bench.alert(0)).source).toContain("good.log");
    rmSync(bad);
    await becomes(collector, { state: "sees" });
  });

  test("of which pattern it cannot look for files", async () => {
    const file = join(bench.folder, "file");
    writeFileSync(file, "");
    const collector = start(`file:${file}/*.log /x/`);
    await until(() => collector.health()?.why?.startsWith(`${file}/*.log: ENOTDIR`));
    rmSync(file);
    mkdirSync(file);
    await becomes(collector, { state: "sees" });
  });

  test("how many files it does not follow", async () => {
    mkdirSync(join(bench.folder, "many"));
    for (let n = 0; n < 102; n++) writeFileSync(join(bench.folder, `many/${n}.log`), "");
    const text = "2 files that match are not followed, since too many do: those that changed last are";
    await becomes(start(`file:${bench.folder}/many/*.log /x/`), { state: "sees", gaveUp: [text] });
  });

  test("that it may not read what the units write", async () => {
    const systemd = new FakeSystemd(bench.folder);
    const collector = start("unit:nginx /x/", { searchPath: systemd.searchPath });
    await until(() => collector.health()?.why?.includes("may not read the journal"));
    expect(await collector.check()).toMatchObject({
      ok: false,
      detail: expect.stringContaining("may not read the journal"),
    });
    systemd.write(...recordedEntries("units"));
    await becomes(start("unit:nginx /x/", { searchPath: systemd.searchPath }), { state: "sees" });
  });

  test("that there is no engine for its containers, and which container's output cannot be read", async () => {
    const collector = start("container:web /x/", { enabled: ["docker"] });
    await becomes(collector, { state: "cannot", isTold: false });
    docker.containers.set("web", { ...recordedContainer("web"), State: { Status: "running" } });
    docker.refusing = `/containers/${recordedContainer("web").Id}/logs`;
    docker.start();
    const why = "container web: context deadline exceeded";
    await becomes(collector, { state: "cannot", why });
    expect(await collector.check()).toMatchObject({ ok: false, detail: `watches container web, but: ${why}` });
  });

  test("that another collector tells where the engine does not answer", async () => {
    docker.refusing = "/events";
    docker.start();
    await becomes(start("container:web /x/", { enabled: ["docker"] }), { state: "cannot", isTold: true });
    await becomes(start("container:web /x/"), { state: "cannot", isTold: false });
  });
});
