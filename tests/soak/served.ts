import { readFileSync } from "node:fs";
import { join } from "node:path";
import postgres, { type Sql } from "postgres";
import { emptyFolder, isAlive, killAndWait, postmasterPid, removeFolder } from "../support/e2e.ts";
import { freePort, type RunningExecutable, startExecutable } from "../support/executable.ts";
import { until } from "../support/until.ts";

const READY_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 60_000;

/** The executable with its own PostgreSQL in a folder of its own, started again as often as it ends: what systemd does. */
export class ServedExecutable {
  readonly folder: string;
  readonly port: string;
  readonly #env: Readonly<Record<string, string>>;
  #running: RunningExecutable | undefined;
  #supervising: Promise<void> | undefined;
  #isStopping = false;
  starts = 0;

  private constructor(folder: string, port: string, env: Readonly<Record<string, string>>) {
    this.folder = folder;
    this.port = port;
    this.#env = env;
  }

  static async start(env: Readonly<Record<string, string>>): Promise<ServedExecutable> {
    const served = new ServedExecutable(await emptyFolder(), String(await freePort()), env);
    served.#supervising = served.#supervise();
    await served.ready();
    return served;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Undefined while it does not run. */
  pid(): number | undefined {
    const pid = this.#running?.pid;
    return pid !== undefined && isAlive(pid) ? pid : undefined;
  }

  postmasterPid(): number | undefined {
    return postmasterPid(this.folder);
  }

  /** What the one that runs now has printed so far. */
  lines(): readonly string[] {
    return this.#running?.lines ?? [];
  }

  async ready(): Promise<void> {
    const isReady = async () =>
      (await fetch(`${this.url}/readyz`, { keepalive: false }).catch(() => null))?.status === 200;
    await until(isReady, { ms: READY_LIMIT_MS, what: `${this.url}/readyz` }).catch((error) => {
      throw new Error(`${error.message}\n${this.lines().slice(-30).join("\n")}`);
    });
  }

  /** Whether there was one to be killed. */
  async kill(what: "server" | "database"): Promise<boolean> {
    const pid = what === "server" ? this.pid() : this.postmasterPid();
    if (pid === undefined) return false;
    await killAndWait(pid);
    return true;
  }

  /** Asks its PostgreSQL, as its own role. */
  async look<T>(ask: (sql: Sql) => Promise<T>): Promise<T> {
    const password = readFileSync(join(this.folder, "data/postgres.password"), "utf8").trim();
    const sql = postgres({
      path: join(this.folder, "data/run/.s.PGSQL.5432"),
      user: "opspilot",
      database: "opspilot",
      password,
      max: 1,
    });
    try {
      return await ask(sql);
    } finally {
      await sql.end({ timeout: 5 });
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.pid() !== undefined) await this.#running?.stop("SIGTERM", STOP_LIMIT_MS);
    await this.#supervising;
    await removeFolder(this.folder);
  }

  async #supervise(): Promise<void> {
    while (!this.#isStopping) {
      this.#running = await startExecutable({ dir: this.folder, env: { PORT: this.port, ...this.#env } });
      this.starts++;
      await this.#running.exited;
    }
  }
}
