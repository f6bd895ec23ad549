import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { createLogsCollector } from "../../src/agent/collectors/logs.ts";
import type { Collector } from "../../src/agent/model.ts";
import { parseLogRules } from "../../src/config/log-rules.ts";
import type { Log } from "../../src/lib/log.ts";
import { CollectorBench } from "../support/collectors.ts";
import { EventDocker, type Inspected, recordedContainer, recordedEvents } from "../support/event-docker.ts";
import { logFrame } from "../support/fake-docker.ts";
import { FakeSystemd } from "../support/fake-systemd.ts";
import { until } from "../support/until.ts";

let bench: CollectorBench;
let path: string;
beforeEach(() => {
  bench = new CollectorBench();
  path = join(bench.folder, "logs/app.log");
  mkdirSync(join(bench.folder, "logs"));
});
afterEach(() => bench.close());

function create(rules: string, searchPath?: string): Collector {
  const parsed = parseLogRules(rules);
  if ("fault" in parsed) throw new Error(parsed.fault);
  const deps = bench.deps({ ...(searchPath ? { searchPath } : {}), settings: { logRules: parsed.rules } });
  return createLogsCollector(deps, { filePollMs: 20 });
}

const stateFile = () => join(bench.folder, "state/logs.json");

/** A collector of one file, once it has looked at it. */
async function startWith(rules: string): Promise<Collector> {
  rmSync(stateFile(), { force: true });
  return resumeWith(rules);
}
async function resumeWith(rules: string): Promise<Collector> {
  const collector = bench.start(create(rules));
  const opened = () => openFiles().some((name) => name.startsWith(join(bench.folder, "logs")));
  await until(() => opened(), { what: "the file is open" });
  return collector;
}
function openFiles(): string[] {
  const links = new Bun.Glob("*").scanSync({ cwd: "/proc/self/fd", onlyFiles: false });
  return [...links].flatMap((fd) => linkOf(`/proc/self/fd/${fd}`));
}
function linkOf(link: string): string[] {
  try {
    return [readlinkSync(link)];
  } catch (error) {
    if (error instanceof Error) return [];
    throw error;
  }
}
const matched = () => bench.alerts.map(({ message }) => /: (.*) \(lines/.exec(message)?.[1]);
const log = (...lines: string[]) => appendFileSync(path, lines.map((line) => `${line}\n`).join(""));

describe("the collector of log patterns, on a file", () => {
  const rules = () => `file:${path} /ERROR|Traceback/`;

  test("tells of a line with what stands around it, also what follows", async () => {
    log("ERROR of yesterday");
    await startWith(rules());
    log("begin", "Traceback (most recent call last):", '  File "a.py", line 1', "ValueError: no");
    expect(await bench.alert(0)).toMatchObject({
      type: "log",
      source: `${path} /ERROR|Traceback/`,
      message: `${path} matches /ERROR|Traceback/: Traceback (most recent call last): (lines so far: 1)`,
      logs: 'begin\nTraceback (most recent call last):\n  File "a.py", line 1\nValueError: no',
      severity: "warning",
      state: "firing",
    });
  });

  test("shows the beginning and the end of a stack that is longer than what is shown", async () => {
    log("start");
    await startWith(rules());
    const frames = Array.from({ length: 200 }, (_, at) => `\tat Frame${at}`);
    log("Traceback: \u001b[31mno connection\u001b[0m", ...frames, "Caused by: refused", "\t... 12 more");
    const lines = (await bench.alert(0)).logs?.split("\n") ?? [];
    expect(lines.slice(0, 2)).toEqual(["Traceback: no connection", "\tat Frame0"]);
    expect(lines.slice(-2)).toEqual(["Caused by: refused", "\t... 12 more"]);
    expect(lines).toHaveLength(50);
  });

  test("finds words that only a terminal's colours part", async () => {
    log("start");
    await startWith(`file:${path} /ERROR: refused/`);
    log("\u001b[31mERROR\u001b[0m: refused");
    expect((await bench.alert(0)).logs).toBe("ERROR: refused");
  });

  test("counts what repeats, and tells it once", async () => {
    log("start");
    const collector = await startWith(rules());
    log(...Array.from({ length: 5000 }, (_, at) => `ERROR ${at}`));
    expect((await bench.alert(0)).message).toEndWith("(lines so far: 5000)");
    log("ERROR again");
    await collector.stop();
    await (await resumeWith(rules())).stop();
    expect(bench.alerts).toHaveLength(1);
    expect(JSON.parse(readFileSync(stateFile(), "utf8")).episodes[`${path} /ERROR|Traceback/`].failures).toBe(5001);
  });

  test("reads on through a renaming, to the end of the old file too", async () => {
    log("start");
    await startWith(`file:${path} /first/ /late/ /new/`);
    log("the first");
    renameSync(path, `${path}.1`);
    writeFileSync(path, "the new\n");
    appendFileSync(`${path}.1`, "late in the old\n");
    await until(() => bench.alerts.length === 3);
    expect(matched().sort()).toEqual(["late in the old", "the first", "the new"]);
  });

  test("reads on when the file is copied and truncated", async () => {
    log("start", "x".repeat(500));
    await startWith(`file:${path} /first/ /second/`);
    log("the first");
    await bench.alert(0);
    truncateSync(path);
    log("the second");
    await bench.alert(1);
    expect(matched()).toEqual(["the first", "the second"]);
  });

  test("notices a file that was truncated and has grown past its old length since", async () => {
    log("start of the old file");
    await startWith(`file:${path} /early/ /end/`);
    log("the end of the old file");
    await bench.alert(0);
    writeFileSync(path, `something early in the new file\n${"filler\n".repeat(100)}`);
    await bench.alert(1);
    expect(matched()).toEqual(["the end of the old file", "something early in the new file"]);
  });

  test("reads a file from its beginning that comes later", async () => {
    const other = join(bench.folder, "logs/other.log");
    writeFileSync(other, "start\n");
    // Once the other one is open, both were looked for.
    await startWith(`file:${path} /ERROR/; file:${other} /x/`);
    log("ERROR in the first line");
    await bench.alert(0);
    expect(matched()).toEqual(["ERROR in the first line"]);
  });

  test("takes a line without an end for one, after a while", async () => {
    log("start");
    await startWith(rules());
    appendFileSync(path, "ERROR: the program ended in the midst of a li");
    expect((await bench.alert(0)).message).toContain("in the midst of a li");
  }, 180_000);

  test("misses nothing and repeats nothing when it is stopped and started, with a renaming between", async () => {
    log("start");
    const collector = await startWith(`file:${path} /one/ /two/ /three/`);
    log("one");
    await bench.alert(0);
    await collector.stop();
    log("two");
    renameSync(path, `${path}.1`);
    log("three");
    await resumeWith(`file:${path} /one/ /two/ /three/`);
    await until(() => bench.alerts.length === 3);
    expect(matched()).toEqual(["one", "two", "three"]);
  });

  test("gives a line the same key when it was killed before it could note it", async () => {
    log("start");
    const collector = await startWith(rules());
    await collector.stop();
    const before = readFileSync(stateFile(), "utf8");
    const second = await resumeWith(rules());
    log("ERROR once");
    await bench.alert(0);
    await second.stop();
    writeFileSync(stateFile(), before);
    await resumeWith(rules());
    expect((await bench.alert(1)).key).toBe((await bench.alert(0)).key as string);
  });

  test("follows all files of a pattern, also new ones, and none twice under another name", async () => {
    log("start");
    await startWith(`file:${bench.folder}/logs/*.log* /ERROR/`);
    log("ERROR one");
    renameSync(path, `${path}.1`);
    await bench.alert(0);
    expect(matched()).toEqual(["ERROR one"]);
  });

  test("is not held up by lines without end or by patterns that take for ever elsewhere", async () => {
    log("start");
    await startWith(`file:${path} /(a+)+$/ /ERROR/`);
    appendFileSync(path, `${"a".repeat(3_000_000)}!\nERROR after it\n`);
    await until(() => matched().includes("ERROR after it"));
  });

  test("says which files it cannot read", async () => {
    const directory = `file:${bench.folder}/logs /x/`;
    expect(await create(directory).check()).toMatchObject({
      name: "logs",
      ok: false,
      detail: expect.stringContaining(`logs: EISDIR`),
    });
    log("start");
    const below = await create(`file:${path}/*.log /x/`).check();
    expect([below.ok, below.detail]).toEqual([false, expect.stringContaining("ENOTDIR")]);
    expect((await create(rules()).check()).detail).toBe(`watches file ${path}`);
    for (let at = 0; at < 103; at++) writeFileSync(join(bench.folder, `logs/${at}.txt`), "");
    expect((await create(`file:${bench.folder}/logs/*.txt /x/`).check()).detail).toEndWith(
      "(3 files that match are not followed, since too many do: those that changed last are)",
    );
    expect((await create("").check()).detail).toBe("no rules (OPSPILOT_PATTERNS sets some)");
  });
});

const isPlainFollower = (words: readonly string[]) =>
  words.includes("--follow") && !words.some((word) => word.startsWith("--output-fields="));

describe("the collector of log patterns, on units", () => {
  test("looks at what the unit writes, line by line, and at nothing else", async () => {
    const systemd = new FakeSystemd(bench.folder);
    systemd.writeAs("nginx.service", "ERROR of yesterday");
    const collector = bench.start(create("unit:nginx /ERROR/ critical", systemd.searchPath));
    await until(() => systemd.followers().length === 1);
    systemd.writeAs("other.service", "ERROR of another");
    systemd.writeAs("nginx.service", "all is well\nERROR in the second line");
    expect(await bench.alert(0)).toMatchObject({
      type: "log",
      source: "nginx.service /ERROR/",
      message: "nginx.service matches /ERROR/: ERROR in the second line (lines so far: 1)",
      severity: "critical",
    });
    await collector.stop();
    expect(systemd.followers()).toEqual([]);
    expect(bench.alerts).toHaveLength(1);
    expect(systemd.calls("journalctl").at(-1)?.words).toContain("_SYSTEMD_UNIT=nginx.service");
  });

  test("looks at what the unit writes where journalctl cannot choose fields", async () => {
    const systemd = new FakeSystemd(bench.folder);
    writeFileSync(join(bench.folder, "systemd/journalctl.old"), "");
    systemd.writeAs("nginx.service", "begin");
    bench.start(create("unit:nginx /ERROR/", systemd.searchPath));
    await until(() => systemd.calls("journalctl").some(({ words }) => isPlainFollower(words)));
    await until(() => systemd.followers().length === 1);
    systemd.writeAs("nginx.service", 'ERROR in "quotes"');
    expect((await bench.alert(0)).message).toBe('nginx.service matches /ERROR/: ERROR in "quotes" (lines so far: 1)');
  });

  test("shows the lines around, also those that no rule wants", async () => {
    const systemd = new FakeSystemd(bench.folder);
    systemd.writeAs("nginx.service", "begin");
    bench.start(create("unit:nginx /ERROR/", systemd.searchPath));
    await until(() => systemd.followers().length === 1);
    for (const text of ["well", "error in small letters", "ERROR", "because of this"])
      systemd.writeAs("nginx.service", text);
    expect((await bench.alert(0)).logs).toBe("well\nerror in small letters\nERROR\nbecause of this");
    expect(bench.alerts).toHaveLength(1);
  });

  test.each(["\u001b[31mERROR\u001b[0m: refused", "\u009b31mERROR\u009b0m: refused", "ERR\u007fOR: refused"])(
    "finds words that only controls part: %j",
    async (text) => {
      const systemd = new FakeSystemd(bench.folder);
      systemd.writeAs("nginx.service", "begin");
      bench.start(create("unit:nginx /ERROR: refused/", systemd.searchPath));
      await until(() => systemd.followers().length === 1);
      systemd.writeAs("nginx.service", text);
      expect((await bench.alert(0)).logs).toBe("ERROR: refused");
    },
  );

  test("looks at all units of a pattern, but never at the agent's own", async () => {
    const systemd = new FakeSystemd(bench.folder);
    systemd.writeAs("init.scope", "begin");
    bench.start(create("unit:* /ERROR/", systemd.searchPath));
    await until(() => systemd.followers().length === 1);
    systemd.writeAs("opspilot-agent.service", "ERROR of our own");
    systemd.writeAs("web@1.service", "ERROR of web");
    expect((await bench.alert(0)).source).toBe("web@1.service /ERROR/");
  });

  test("goes on where it was", async () => {
    const systemd = new FakeSystemd(bench.folder);
    systemd.writeAs("nginx.service", "begin");
    systemd.writeAs("init.scope", "another's");
    const first = bench.start(create("unit:nginx /EARLY/", systemd.searchPath));
    await until(() => systemd.followers().length === 1);
    await first.stop();
    // Nothing of the unit was read: the saved place is another's.
    systemd.writeAs("nginx.service", "EARLY none");
    const second = bench.start(create("unit:nginx /EARLY/", systemd.searchPath));
    await bench.alert(0);
    await second.stop();
    bench.alerts.length = 0;
    const collector = bench.start(create("unit:nginx /ERROR/ /LATER/", systemd.searchPath));
    await until(() => systemd.followers().length === 1);
    systemd.writeAs("nginx.service", "ERROR one");
    await bench.alert(0);
    await collector.stop();
    systemd.writeAs("nginx.service", "LATER two");
    bench.start(create("unit:nginx /ERROR/ /LATER/", systemd.searchPath));
    await bench.alert(1);
    expect(matched()).toEqual(["ERROR one", "LATER two"]);
  });
});

describe("the collector of log patterns, on containers", () => {
  let docker: EventDocker;
  beforeEach(() => {
    docker = new EventDocker(bench.folder);
    docker.start();
  });
  afterEach(() => docker.stop());

  test("looks at both outputs of a container, wherever the frames end", async () => {
    const web = recordedContainer("web");
    docker.containers.set("web", { ...web, State: { ...web.State, Status: "running" } });
    const stamp = (ms: number) => new Date(ms).toISOString().replace("Z", "123456Z");
    const afterMs = Date.now() + 500;
    const [before, after] = [stamp(Date.now() - 60_000), stamp(afterMs)];
    docker.followed.set("web", [
      logFrame(2, `${before} ERROR of before\n`),
      logFrame(1, `${after} all is well\n`),
      logFrame(2, `${after} ERROR: half a li`),
      logFrame(1, `${after} between\n`),
      logFrame(2, "ne\n"),
    ]);
    const collector = bench.start(create("container:w* /ERROR/"));
    const alert = await bench.alert(0);
    expect(alert.message).toBe("web matches /ERROR/: ERROR: half a line (lines so far: 1)");
    expect(alert.atMs).toBe(Date.parse(after));
    await collector.stop();
    expect(JSON.parse(readFileSync(stateFile(), "utf8")).containers).toMatchObject({ web: { place: after } });
    await until(() => Date.now() > afterMs + 1_000);
    bench.start(create("container:w* /ERROR/"));
    const seconds = Math.floor(Date.parse(after) / 1000);
    await until(() => docker.requests.some((request) => request.includes(`since=${seconds}.`)));
    expect(bench.alerts).toHaveLength(1);
  });

  const follows = (name: string) => docker.requests.some((one) => one.includes(`${name}/logs`));
  const begins = (container: Inspected) => {
    const [start] = recordedEvents("web");
    const Actor = { ID: container.Id, Attributes: { image: "box", name: container.Name.slice(1) } };
    if (start) docker.happen({ ...start, Actor });
  };

  test("reads a container from its start on, though it lives for less than a second", async () => {
    bench.start(create("container:w* /ERROR/"));
    await until(() => docker.followers === 1);
    const web = recordedContainer("web");
    docker.containers.set("web", web);
    docker.followed.set("web", [logFrame(2, `${new Date().toISOString().replace("Z", "000000Z")} ERROR: no key\n`)]);
    begins(web);
    expect((await bench.alert(0)).message).toBe("web matches /ERROR/: ERROR: no key (lines so far: 1)");
  });

  test("loses and repeats no line of Podman 4, whose lines have but whole seconds", async () => {
    const web = recordedContainer("web");
    docker.containers.set("web", { ...web, State: { ...web.State, Status: "running" } });
    const second = new Date(Date.now() + 1_000).toISOString().replace(/\.\d+Z/, "Z");
    const lines = (...texts: string[]) => texts.map((text) => logFrame(1, `${second} ${text}\n`));
    docker.followed.set("web", lines("fine", "ERROR a", "fine"));
    const rules = "container:w* /ERROR a/; container:w* /ERROR b/";
    const first = bench.start(create(rules));
    await bench.alert(0);
    await first.stop();
    expect(JSON.parse(readFileSync(stateFile(), "utf8")).containers).toMatchObject({ web: { place: `${second} 3` } });
    docker.followed.set("web", lines("fine", "ERROR a", "fine", "ERROR b"));
    await until(() => Date.now() > Date.parse(second) + 1_000);
    const next = bench.start(create(rules));
    expect((await bench.alert(1)).message).toStartWith("web matches /ERROR b/: ERROR b");
    await next.stop();
    const { episodes } = JSON.parse(readFileSync(stateFile(), "utf8"));
    expect(episodes["web /ERROR a/"].failures).toBe(1);
  }, 180_000);

  test("says so when there are more containers than it can follow", async () => {
    const warnings: unknown[] = [];
    for (let at = 0; at < 101; at++) {
      const one = recordedContainer("web");
      const State = { ...one.State, Status: "running" };
      docker.containers.set(`w${at}`, { ...one, Id: `id${at}`, Name: `/w${at}`, State });
    }
    const parsed = parseLogRules("container:w* /ERROR/");
    if ("fault" in parsed) throw new Error(parsed.fault);
    const warn: Log["warn"] = (...words: readonly unknown[]) => void warnings.push(words[1]);
    const deps = bench.deps({ settings: { logRules: parsed.rules } });
    bench.start(createLogsCollector({ ...deps, log: { ...deps.log, warn } }));
    await until(() => follows("id99"));
    await until(() => warnings.length > 0);
    expect(warnings).toEqual(["no more containers' outputs can be followed at once"]);
  });
});
