import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { UUID } from "../lib/uuid.ts";
import { parseJsonObject } from "../protocol/json.ts";
import { alertFrame } from "./frames.ts";
import type { SpoolFrame } from "./spool-record.ts";

/** The frame of a test alert: harmless, and says what it is. */
export function testFrame(atMs: number, id: string = crypto.randomUUID()): SpoolFrame {
  const frame = alertFrame({
    type: "host",
    source: "test",
    message: `Test alert from ${hostname()}: this host's agent can reach the server`,
    severity: "info",
    state: "firing",
    atMs,
  });
  return { ...frame, id };
}

/** What became of a test alert. */
export interface TestAnswer {
  readonly ok: boolean;
  readonly detail: string;
}

const REQUEST = new RegExp(`^(${UUID})\\.test$`);
const REQUESTS_MAX = 10;

/**
 * How another process asks the agent that runs here for a test alert, since a connection of its own would throw out the
 * agent's: a file ID.test in this directory, which is answered by ID.done. Nothing is read from the file that asks.
 */
export interface Inbox {
  /** The ids that were asked for since the last look. */
  take(): string[];
  answer(id: string, answer: TestAnswer): void;
}

/** The agent's side. Makes the directory when it is not there, and forgets what an earlier agent was asked. */
export function openInbox(dir: string): Inbox {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const asked = new Set<string>();
  return {
    take() {
      const ids = readdirSync(dir).flatMap((name) => REQUEST.exec(name)?.[1] ?? []);
      for (const id of ids) rmSync(join(dir, `${id}.test`), { force: true });
      const taken = ids.slice(0, REQUESTS_MAX);
      for (const id of taken) asked.add(id);
      return taken;
    },
    answer(id, answer) {
      if (asked.delete(id)) writeFileSync(join(dir, `${id}.done`), `${JSON.stringify(answer)}\n`, { mode: 0o600 });
    },
  };
}

/** The other side: asks for a test alert, and gives its id. Throws what the system says when the directory is not this user's. */
export function askForTest(dir: string): string {
  const id = crypto.randomUUID();
  writeFileSync(join(dir, `${id}.test`), "", { mode: 0o600 });
  return id;
}

/** The answer to what was asked for, once it is there; it is removed. */
export function takeAnswer(dir: string, id: string): TestAnswer | undefined {
  if (!readdirSync(dir).includes(`${id}.done`)) return undefined;
  const path = join(dir, `${id}.done`);
  const value = parseJsonObject(readFileSync(path, "utf8"));
  // Not written to its end yet.
  if (typeof value === "string") return undefined;
  rmSync(path, { force: true });
  return { ok: value.ok === true, detail: String(value.detail ?? "") };
}
