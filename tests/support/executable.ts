import { constants } from "node:fs";
import { chmod, chown, copyFile, link, mkdir, rename, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { until } from "./until.ts";

const TOP = join(import.meta.dir, "../..");
const BUILT = join(TOP, "dist/opspilot");
/** Beside the executable: the digest of what it was built from. */
const STAMP = join(TOP, "dist/opspilot.sources");
const SOURCES = ["src/**/*", "drizzle/**/*", ".patches/*", "package.json", "bun.lock", "tsconfig.json"];

let building: Promise<string> | undefined;

/** The path of an executable built from the sources as they are: built at most once a run, and only when they changed. */
export function buildExecutable(): Promise<string> {
  building ??= build();
  return building;
}

async function build(): Promise<string> {
  const digest = await digestSources();
  const isCurrent = (await Bun.file(BUILT).exists()) && (await readIfThere(STAMP)) === digest;
  if (isCurrent) return BUILT;
  const child = Bun.spawn([process.execPath, "run", "build"], {
    cwd: TOP,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (status !== 0) throw new Error(`bun run build ended with ${status}:\n${output}${errors}`);
  await Bun.write(STAMP, digest);
  return BUILT;
}

async function digestSources(): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256").update(Bun.version);
  const files = SOURCES.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: TOP, dot: true })]).sort();
  for (const file of files) hasher.update(file).update(await Bun.file(join(TOP, file)).bytes());
  return hasher.digest("hex");
}

async function readIfThere(path: string): Promise<string | undefined> {
  const file = Bun.file(path);
  return (await file.exists()) ? file.text() : undefined;
}

export interface ExecutableOptions {
  /** An empty folder, or one where it ran before: the executable is copied there, and its data lies in `data/` in it. */
  readonly dir: string;
  /** Another build than that of these sources. */
  readonly build?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The command and its options; none means what the executable does by default. */
  readonly args?: readonly string[];
  /** Another user to run as; `dir` then becomes theirs. */
  readonly uid?: number;
  readonly gid?: number;
  /** In a session of its own, as a shell starts a job: `process.kill(-pid, "SIGINT")` is then what Ctrl-C does. */
  readonly detached?: boolean;
}

export interface RunningExecutable {
  readonly url: string;
  readonly pid: number;
  /** What it has printed so far, on both outputs, line by line. */
  readonly lines: readonly string[];
  /** Its exit status (128 and the signal's number when one ended it), once it is over and all its output is in `lines`. */
  readonly exited: Promise<number>;
  /** Waits until /readyz says 200, and tells how many milliseconds after the start that was. */
  waitReady(limitMs?: number): Promise<number>;
  /** Sends the signal (SIGTERM by default) and waits for the end; past the limit it is killed, and this fails. */
  stop(signal?: NodeJS.Signals, limitMs?: number): Promise<number>;
}

/** Starts the executable alone: in `dir`, with no environment but its own, on a port of 127.0.0.1 that was free. */
export async function startExecutable(options: ExecutableOptions): Promise<RunningExecutable> {
  const executable = await place(options);
  const port = options.env?.PORT ?? String(await freePort());
  const startedMs = performance.now();
  const child = Bun.spawn([executable, ...(options.args ?? [])], {
    cwd: options.dir,
    env: {
      PATH: "/usr/bin:/bin",
      HOME: options.dir,
      OPSPILOT_DATA_DIR: join(options.dir, "data"),
      ...options.env,
      PORT: port,
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached: options.detached ?? false,
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.gid ?? options.uid }),
  });
  const lines: string[] = [];
  const drained = Promise.all([child.stdout, child.stderr].map((stream) => collect(stream, lines)));
  const exited = Promise.all([child.exited, drained]).then(([status]) => status);
  /** A test makes its own certificate. */
  const tls = { rejectUnauthorized: false };
  const url = `${options.env?.TLS_CERT ? "https" : "http"}://127.0.0.1:${port}`;

  async function isReady(): Promise<boolean> {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`it ended with ${await exited} before it was ready:\n${lines.join("\n")}`);
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(1_000), keepalive: false, tls }).catch(
      () => null,
    );
    return answer?.status === 200;
  }

  return {
    url,
    pid: child.pid,
    lines,
    exited,
    async waitReady(limitMs = 15_000) {
      await until(isReady, { ms: limitMs, what: `${url}/readyz` }).catch((error) => {
        throw new Error(`${error.message}\n${lines.join("\n")}`);
      });
      return performance.now() - startedMs;
    },
    async stop(signal = "SIGTERM", limitMs = 30_000) {
      child.kill(signal);
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        child.kill("SIGKILL");
      }, limitMs);
      const status = await exited;
      clearTimeout(timer);
      if (isLate) throw new Error(`${signal} did not end it within ${limitMs} ms:\n${lines.join("\n")}`);
      return status;
    },
  };
}

/** Puts the executable into its folder, and hands that folder to the user it will run as. */
async function place({ dir, build, uid, gid }: ExecutableOptions): Promise<string> {
  const executable = join(dir, "opspilot");
  await mkdir(dir, { recursive: true });
  // Started as root, PostgreSQL runs as another user, who must get in.
  await chmod(dir, 0o755);
  if (!(await Bun.file(executable).exists())) {
    const built = build ?? (await buildExecutable());
    // One file in many folders is read from the disk, and kept in memory, once.
    await link(built, executable).catch(async () => link(await copyNear(built), executable));
    await chmod(executable, 0o755);
  }
  if (uid !== undefined) await chown(dir, uid, gid ?? uid);
  return executable;
}

/** A copy on the file system of temporary files, made once for all: no link leads from one file system to another. */
async function copyNear(built: string): Promise<string> {
  const { size, mtimeMs } = await stat(built);
  const near = join(tmpdir(), `opspilot-${size}-${mtimeMs}`);
  if (await Bun.file(near).exists()) return near;
  const unfinished = `${near}.${process.pid}`;
  await copyFile(built, unfinished, constants.COPYFILE_FICLONE);
  await rename(unfinished, near);
  return near;
}

async function collect(stream: ReadableStream<Uint8Array>, lines: string[]): Promise<void> {
  for await (const line of createInterface({ input: Readable.fromWeb(stream as never) })) lines.push(line);
}

/** A port of 127.0.0.1 that nothing listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<number>();
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    const port = typeof address === "object" && address ? address.port : 0;
    server.close(() => resolve(port));
  });
  return promise;
}
