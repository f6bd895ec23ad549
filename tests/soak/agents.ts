import { readFileSync } from "node:fs";
import { join } from "node:path";

/** One host's agent: its folder holds its spool, and what it knows. */
export interface SoakHost {
  readonly name: string;
  readonly token: string;
  readonly id: string;
  readonly dir: string;
}

/** What a process of agents does. */
export interface AgentsPlan {
  readonly socketUrl: string;
  readonly hosts: readonly SoakHost[];
  /** Once this file is there, nothing new fails on these hosts; what was kept is still sent. */
  readonly quietPath: string;
  /** Of each host: how many things fail there in turn, and how often something does. */
  readonly sources: number;
  readonly everyMs: number;
}

/** What agents know of the alerts that they kept, by their ids. */
export interface Known {
  readonly kept: ReadonlySet<string>;
  readonly acknowledged: ReadonlySet<string>;
  /** With the reason. */
  readonly refused: readonly string[];
}

/** What a host's agents have known so far, all that were killed included. */
export function knownBy({ dir }: SoakHost): Known {
  return {
    kept: new Set(linesOf(join(dir, "kept"))),
    acknowledged: new Set(linesOf(join(dir, "acknowledged"))),
    refused: linesOf(join(dir, "refused")),
  };
}

/** A line without its end was being written when its process was killed: it says nothing. */
function linesOf(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n").slice(0, -1);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

const PROGRAM = join(import.meta.dir, "agents-process.ts");

/** Agents in a process of their own, which is started again when it was killed. */
export class AgentsProcess {
  #child: Bun.Subprocess | undefined;

  constructor(readonly plan: AgentsPlan) {
    this.start();
  }

  start(): void {
    this.#child = Bun.spawn([process.execPath, PROGRAM, JSON.stringify(this.plan)], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "inherit",
    });
  }

  /** As a power failure ends it. */
  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
  }
}
