import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pino from "pino";
import { cachedPack } from "../../src/build/postgres-pack.ts";
import { openDatabase } from "../../src/db/client.ts";
import { chooseChildUser } from "../../src/db/embedded/cluster.ts";
import { type EmbeddedPostgres, startEmbedded } from "../../src/db/embedded/embedded.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { StartupError } from "../../src/lib/errors.ts";
import { tryLock } from "../../src/lib/file-lock.ts";
import { until } from "../support/until.ts";

const log = pino({ level: "silent" });
const clock = createSystemClock();
const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;
const SLOW_MS = 30_000;
const LINGERING_MS = 300;

let top: string;
/** Filled by the first test, used by most others. */
let shared: string;
const children: ChildProcess[] = [];
const postmasters = new Set<number>();

beforeAll(() => {
  top = mkdtempSync("/tmp/opspilot-embedded-");
  chmodSync(top, 0o755);
  shared = join(top, "shared");
});

afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  for (const pid of postmasters) if (isAlive(pid)) process.kill(pid, "SIGQUIT");
  await until(() => ![...postmasters].some(isAlive), { what: "no postmaster is left" });
  rmSync(top, { recursive: true, force: true });
  program.remove();
});

async function start(dataDir: string, role: "serve" | "command" = "serve"): Promise<EmbeddedPostgres> {
  const embedded = await startEmbedded({ dataDir, role, log, clock });
  postmasters.add(embedded.postmasterPid() ?? 0);
  return embedded;
}

async function query(embedded: EmbeddedPostgres, text: string): Promise<Record<string, unknown>[]> {
  const database = openDatabase({ target: embedded.target, log });
  try {
    return await database.sql.unsafe(text);
  } finally {
    await database.close();
  }
}

function isAlive(pid: number): boolean {
  if (pid === 0 || !existsSync(`/proc/${pid}/stat`)) return false;
  return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

async function failureOf(starting: Promise<EmbeddedPostgres>): Promise<StartupError> {
  const error = await starting.then(
    (embedded) => embedded.stop(),
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(StartupError);
  return error as StartupError;
}

/** Starts the database, says how that went, and stops when its input ends. */
const SERVER = `
  const { startEmbedded } = await import("${join(import.meta.dir, "../../src/db/embedded/embedded.ts")}");
  const { createSystemClock } = await import("${join(import.meta.dir, "../../src/lib/clock.ts")}");
  const { openDatabase } = await import("${join(import.meta.dir, "../../src/db/client.ts")}");
  const { default: pino } = await import("${import.meta.resolve("pino").replace("file://", "")}");
  const log = pino({ level: "silent" });
  const [dataDir, role] = process.argv.slice(-2);
  try {
    const embedded = await startEmbedded({ dataDir, role, log, clock: createSystemClock() });
    const database = openDatabase({ target: embedded.target, log });
    const [row] = await database.sql\`select current_user as name\`;
    await database.close();
    console.log(JSON.stringify({ pid: embedded.postmasterPid(), name: row.name, host: embedded.target.host }));
    for await (const line of process.stdin);
    await embedded.stop();
  } catch (error) {
    console.log(JSON.stringify({ message: error.message, exitCode: error.exitCode }));
  }`;

interface Said {
  pid?: number;
  name?: string;
  host?: string;
  message?: string;
  exitCode?: number;
}

/**
 * The same as an executable: another user may be able to enter neither the checkout nor the folder that bun lies in. Made
 * when this file is loaded, since the limit on hooks is too short for the first packing of PostgreSQL.
 */
const program = await (async () => {
  const folder = mkdtempSync("/tmp/opspilot-embedded-program-");
  chmodSync(folder, 0o755);
  const entry = join(folder, "server.ts");
  writeFileSync(entry, SERVER);
  const platform = process.arch === "arm64" ? "linux-arm64" : "linux-x64";
  const pack = await cachedPack(join(import.meta.dir, "../.."), platform);
  const outfile = join(folder, "server");
  await Bun.build({
    entrypoints: [entry],
    target: "bun",
    throw: true,
    compile: {
      outfile,
      assets: [pack],
      executablePath: process.execPath,
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
  });
  chmodSync(outfile, 0o755);
  return { outfile, remove: () => rmSync(folder, { recursive: true, force: true }) };
})();

/** In a process of its own; as an ordinary user where the tests run as root. */
function server(dataDir: string, role: "serve" | "command" = "serve", asOrdinaryUser = false) {
  const child = spawn(program.outfile, [dataDir, role], {
    ...(asOrdinaryUser && isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
    cwd: "/",
    env: { PATH: "/usr/bin:/bin", PGHOST: "nowhere", PGUSER: "nobody", PGDATABASE: "none", PGPASSWORD: "wrong" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  children.push(child);
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  const said = until(() => output.includes("\n") && (JSON.parse(output) as Said), { ms: SLOW_MS, what: "its answer" });
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  const started = said.then((answer) => {
    postmasters.add(answer.pid ?? 0);
    return answer;
  });
  return {
    pid: child.pid ?? 0,
    started,
    stop: async () => {
      child.stdin.end();
      await ended;
    },
    kill: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

describe("a data directory", () => {
  test(
    "that is new is filled, and answers as the application role",
    async () => {
      const embedded = await start(shared);
      const [row] = await query(
        embedded,
        `select current_user::text as name, rolsuper, current_setting('fsync') as fsync,
       current_setting('synchronous_commit') as commit, current_setting('listen_addresses') as addresses,
       pg_encoding_to_char(encoding) as encoding, datcollate
       from pg_roles, pg_database where rolname = current_user and datname = current_database()`,
      );
      expect(row).toEqual({
        name: "opspilot",
        rolsuper: false,
        fsync: "on",
        commit: "on",
        addresses: "",
        encoding: "UTF8",
        datcollate: "C",
      });
      await query(embedded, "create table kept (n int); insert into kept values (1)");
      await embedded.stop();
      await embedded.stop();
    },
    SLOW_MS,
  );

  test("keeps what was written", async () => {
    const embedded = await start(shared);
    expect(await query(embedded, "select n from kept")).toEqual([{ n: 1 }]);
    const pid = embedded.postmasterPid() ?? 0;
    expect(statSync(`/proc/${pid}`).uid).not.toBe(0);
    await embedded.stop();
    expect(isAlive(pid)).toBe(false);
  });

  test("has its secrets and its database closed to others", async () => {
    const modes = ["data", "postgres.password", "postgres.log"].map(
      (name) => statSync(join(shared, name)).mode & 0o777,
    );
    expect(modes).toEqual([0o700, 0o600, 0o600]);
    expect(statSync(join(shared, "run")).mode & 0o777).toBe(0o700);
    expect(readFileSync(join(shared, "data/pg_hba.conf"), "utf8")).toBe("local all all scram-sha-256\n");
  });

  test(
    "is used by an ordinary user, whatever the PG* variables say, with a path too long for a socket",
    async () => {
      const owned = join(top, "ordinary".padEnd(120, "-"));
      mkdirSync(owned, { mode: 0o777 });
      chmodSync(owned, 0o777);
      const running = server(owned, "serve", true);
      const { name, host = "" } = await running.started;
      expect(name).toBe("opspilot");
      expect(host).toMatch(/^\/tmp\/opspilot-[0-9a-f]{16}$/);
      expect(statSync(host).mode & 0o777).toBe(0o700);
      await running.stop();
      expect(existsSync(host)).toBe(false);
    },
    SLOW_MS,
  );

  test("of another major version is refused and left alone", async () => {
    const foreign = join(top, "foreign");
    mkdirSync(join(foreign, "data"), { recursive: true });
    writeFileSync(join(foreign, "data/PG_VERSION"), "15\n");
    const error = await failureOf(start(foreign));
    expect(error.exitCode).toBe(78);
    expect(error.message).toContain("PostgreSQL 15");
    expect(readFileSync(join(foreign, "data/PG_VERSION"), "utf8")).toBe("15\n");
  });

  test("that cannot be written to is refused in one line", async () => {
    const closed = join(top, "closed");
    mkdirSync(closed, { mode: 0o555 });
    const { message, exitCode } = await server(closed, "serve", true).started;
    expect(exitCode).toBe(73);
    expect(message).toBe(`the data directory ${closed} cannot be used: permission denied`);
  });

  test("that PostgreSQL's user cannot get to is refused with the place that stops it", () => {
    const parent = join(top, "private");
    mkdirSync(join(parent, "inner"), { recursive: true });
    chmodSync(parent, 0o700);
    const choose = () => chooseChildUser(join(parent, "inner"), 0, log);
    if (isRoot) expect(choose).toThrow(`may not enter ${parent} (mode 700)`);
    else expect(choose()).toMatchObject({ uid: process.getuid?.() });
  });
});

describe("the postmaster", () => {
  test(
    "comes back when it was killed, and the database is held again",
    async () => {
      const embedded = await start(shared);
      const first = embedded.postmasterPid() ?? 0;
      process.kill(first, "SIGKILL");
      const second = await until(() => embedded.postmasterPid() !== first && embedded.postmasterPid(), { ms: 15_000 });
      postmasters.add(second);
      expect(await query(embedded, "select n from kept")).toEqual([{ n: 1 }]);
      await until(
        async () => (await query(embedded, "select 1 from pg_locks where locktype = 'advisory'")).length === 1,
      );
      await embedded.stop();
      expect(isAlive(second)).toBe(false);
    },
    SLOW_MS,
  );

  test(
    "of a killed server is taken over, and stopped in the end",
    async () => {
      const killed = server(shared);
      const { pid = 0 } = await killed.started;
      await killed.kill();
      expect(isAlive(pid)).toBe(true);
      const embedded = await start(shared);
      expect(embedded.postmasterPid()).toBe(pid);
      await embedded.stop();
      expect(isAlive(pid)).toBe(false);
    },
    SLOW_MS,
  );

  test(
    "that was taken over comes back too",
    async () => {
      const killed = server(shared);
      const { pid = 0 } = await killed.started;
      await killed.kill();
      const embedded = await start(shared);
      process.kill(pid, "SIGKILL");
      const second = await until(() => embedded.postmasterPid() !== pid && embedded.postmasterPid(), { ms: 15_000 });
      postmasters.add(second);
      expect(await query(embedded, "select n from kept")).toEqual([{ n: 1 }]);
      await embedded.stop();
    },
    SLOW_MS,
  );

  test(
    "starts at once after it was killed together with its server",
    async () => {
      const killed = server(shared);
      const { pid = 0 } = await killed.started;
      process.kill(pid, "SIGSTOP");
      await killed.kill();
      process.kill(pid, "SIGKILL");
      await until(() => !isAlive(pid));
      const embedded = await start(shared);
      expect(await query(embedded, "select n from kept")).toEqual([{ n: 1 }]);
      await embedded.stop();
    },
    SLOW_MS,
  );

  test("starts although a dead one's process id belongs to someone else now", async () => {
    writeFileSync(
      join(shared, "data/postmaster.pid"),
      `${process.pid}\n${join(shared, "data")}\n1\n5432\n\n\n1 1\nready\n`,
    );
    const embedded = await start(shared);
    expect(await query(embedded, "select n from kept")).toEqual([{ n: 1 }]);
    await embedded.stop();
  });
});

describe("beside each other", () => {
  test("a second server is refused by name and harms nothing", async () => {
    const embedded = await start(shared);
    const { message, exitCode } = await server(shared).started;
    expect(exitCode).toBe(78);
    expect(message).toContain(`by process ${process.pid}`);
    expect(await query(embedded, "select n from kept")).toEqual([{ n: 1 }]);
    await embedded.stop();
  });

  test(
    "a second server is refused even without the lock file",
    async () => {
      const embedded = await start(shared);
      const pid = embedded.postmasterPid() ?? 0;
      rmSync(join(shared, "serve.lock"));
      const { message, exitCode } = await server(shared).started;
      expect(exitCode).toBe(78);
      expect(message).toBe(`the database is served already, by process ${process.pid}`);
      expect(isAlive(pid)).toBe(true);
      await embedded.stop();
    },
    SLOW_MS,
  );

  test("the lock of a server that was killed is waited for, as long as something holds it a moment longer", async () => {
    const lock = tryLock(join(shared, "serve.lock"));
    lock?.describe("999999999 1\n");
    const starting = start(shared);
    // What it was starting when it was killed goes on.
    setTimeout(() => lock?.release(), LINGERING_MS);
    const embedded = await starting;
    expect(await query(embedded, "select n from kept")).toEqual([{ n: 1 }]);
    await embedded.stop();
  });

  test("a command uses the server's database and leaves it running", async () => {
    const embedded = await start(shared);
    const pid = embedded.postmasterPid() ?? 0;
    const command = server(shared, "command");
    expect(await command.started).toMatchObject({ pid });
    await command.stop();
    expect(isAlive(pid)).toBe(true);
    await embedded.stop();
  });

  test("a command alone stops what it started", async () => {
    const command = await start(shared, "command");
    const pid = command.postmasterPid() ?? 0;
    expect(await query(command, "select n from kept")).toEqual([{ n: 1 }]);
    await command.stop();
    expect(isAlive(pid)).toBe(false);
  });

  test("the command that started it waits for the other one", async () => {
    const first = await start(shared, "command");
    const second = server(shared, "command");
    const { pid = 0 } = await second.started;
    expect(pid).toBe(first.postmasterPid() ?? 0);
    const stopping = first.stop();
    expect(await query(first, "select n from kept")).toEqual([{ n: 1 }]);
    await second.stop();
    await stopping;
    expect(isAlive(pid)).toBe(false);
  });

  test("a server takes over what a command started", async () => {
    const command = await start(shared, "command");
    const serving = server(shared);
    const { pid = 0 } = await serving.started;
    expect(pid).toBe(command.postmasterPid() ?? 0);
    await command.stop();
    expect(isAlive(pid)).toBe(true);
    await serving.stop();
    expect(isAlive(pid)).toBe(false);
  });

  test(
    "several that start at once on a new directory get one database",
    async () => {
      const fresh = join(top, "fresh");
      const all = [server(fresh, "command"), server(fresh), server(fresh, "command")];
      const answers = await Promise.all(all.map((one) => one.started));
      expect(answers.map((answer) => answer.name)).toEqual(["opspilot", "opspilot", "opspilot"]);
      expect(new Set(answers.map((answer) => answer.pid)).size).toBe(1);
      await Promise.all(all.map((one) => one.stop()));
      expect(isAlive(answers[0]?.pid ?? 0)).toBe(false);
    },
    SLOW_MS,
  );
});
