import type { CollectorReport, ResultPayload } from "../protocol/frames.ts";
import type { DockerApi } from "./docker-api.ts";
import type { RunProcess } from "./run-process.ts";

/** What running a command came to; the executor adds whose it was and when. */
export type Outcome = Omit<ResultPayload, "command_id" | "finished_at">;

/** What the agent has to say of itself. */
export interface AgentAbout {
  readonly version: string;
  /** What its collectors see now. */
  readonly collectors: () => Record<string, CollectorReport>;
}

/** What commands are run with. */
export interface CommandTools {
  readonly run: RunProcess;
  readonly docker: DockerApi;
  readonly about: AgentAbout;
  /** The file that asks for an update. */
  readonly updateRequest: string;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Aborts when the agent ends and what only reads is not worth waiting for. */
  readonly signal: AbortSignal;
}

/** Done, with this to show. */
export function done(output: string): Outcome {
  return { status: "done", exit_code: 0, output };
}

/** Tried, and it did not succeed. */
export function failed(error: string, more: Partial<Outcome> = {}): Outcome {
  return { ...more, status: "failed", error };
}

/** Not tried. */
export function rejected(error: string): Outcome {
  return { status: "rejected", error };
}
