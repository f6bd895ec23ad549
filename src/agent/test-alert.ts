import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Clock } from "../lib/clock.ts";
import { UUID } from "../lib/uuid.ts";
import { CloseCode } from "../protocol/frames.ts";
import { parseJsonObject } from "../protocol/json.ts";
import { createInstance } from "./facts.ts";
import { alertFrame, decodeServerFrame, frameText, heartbeatText } from "./frames.ts";
import type { OpenSocket, SocketEnd } from "./socket.ts";
import type { SpoolFrame } from "./spool-segments.ts";

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
interface TestAnswer {
  readonly ok: boolean;
  readonly detail: string;
}

const REQUEST = new RegExp(`^(${UUID})\\.test$`);
const REQUESTS_MAX = 10;

/**
 * How another process asks the agent that runs here for a test alert, since a connection of its own would throw out
 * the agent's: a file ID.test in this directory, which is answered by ID.done. Nothing is read from the file that asks.
 * This is the agent's side: the directory is made when it is not there, and what an earlier agent was asked is forgotten.
 */
export function openInbox(dir: string) {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const asked = new Set<string>();
  return {
    /** The ids that were asked for since the last look. */
    take(): string[] {
      const ids = readdirSync(dir).flatMap((name) => REQUEST.exec(name)?.[1] ?? []);
      for (const id of ids) rmSync(join(dir, `${id}.test`), { force: true });
      const taken = ids.slice(0, REQUESTS_MAX);
      for (const id of taken) asked.add(id);
      return taken;
    },
    answer(id: string, answer: TestAnswer): void {
      if (asked.delete(id)) writeFileSync(join(dir, `${id}.done`), `${JSON.stringify(answer)}\n`, { mode: 0o600 });
    },
  };
}

export type Inbox = ReturnType<typeof openInbox>;

/** The answer to what was asked for, once it is there; it is removed. */
function takeAnswer(dir: string, id: string): TestAnswer | undefined {
  if (!readdirSync(dir).includes(`${id}.done`)) return undefined;
  const path = join(dir, `${id}.done`);
  const value = parseJsonObject(readFileSync(path, "utf8"));
  // Not written to its end yet.
  if (typeof value === "string") return undefined;
  rmSync(path, { force: true });
  return { ok: value.ok === true, detail: String(value.detail ?? "") };
}

/** A server that is busy answers within this; one that does not is not there for an operator who waits. */
const ANSWER_LIMIT_MS = 20_000;
const POLL_MS = 100;

/** What became of one test alert. `refused`: the server does not want it; `unavailable`: it did not answer. */
export type OnceOutcome =
  | { readonly outcome: "acknowledged"; readonly tookMs: number }
  | { readonly outcome: "refused" | "unauthorized" | "unavailable"; readonly detail: string };

/** Sends one test alert over a connection of its own, and waits for its acknowledgement. Never rejects. */
export function sendOnce(
  deps: { openSocket: OpenSocket; version: string; clock: Clock },
  stop: AbortSignal,
): Promise<OnceOutcome> {
  const { clock } = deps;
  const frame = testFrame(clock.now());
  const over = new AbortController();
  return new Promise((resolve) => {
    let sentMs = clock.monotonicMs();
    let last = "no answer";
    const finish = (outcome: OnceOutcome) => {
      if (over.signal.aborted) return;
      over.abort();
      stop.removeEventListener("abort", interrupted);
      socket.close(1000, "goodbye");
      resolve(outcome);
    };
    const interrupted = () => finish({ outcome: "unavailable", detail: "interrupted" });

    function opened(): void {
      const name = { hostname: hostname(), version: deps.version, instance: createInstance() };
      socket.send(heartbeatText("heartbeat-1", name, clock.now()));
      sentMs = clock.monotonicMs();
      socket.send(frameText(frame, clock.now()));
    }

    function received(text: string): void {
      const answer = decodeServerFrame(text);
      if (answer?.type === "ack" && answer.id === frame.id) {
        finish({ outcome: "acknowledged", tookMs: clock.monotonicMs() - sentMs });
      } else if (answer?.type === "error") {
        const { code, message } = answer;
        last = `${code}: ${message}`;
        if (code === "unauthorized") finish({ outcome: "unauthorized", detail: message });
        else if (code === "overloaded" || code === "rate_limited") finish({ outcome: "unavailable", detail: last });
        else if (answer.id === frame.id || answer.id === undefined) finish({ outcome: "refused", detail: last });
      }
    }

    function ended({ code, reason }: SocketEnd): void {
      const isRefusal = code === CloseCode.unauthorized || code === CloseCode.deleted;
      finish({ outcome: isRefusal ? "unauthorized" : "unavailable", detail: reason || `closed with ${code}` });
    }

    const socket = deps.openSocket({ opened, received, heard: () => undefined, ended });
    stop.addEventListener("abort", interrupted, { once: true });
    void clock.sleep(ANSWER_LIMIT_MS, over.signal).then(() => {
      finish({ outcome: "unavailable", detail: `${last} within ${ANSWER_LIMIT_MS / 1000} s` });
    });
  });
}

/** Has the agent that runs here send it. Throws what the system says when the agent's directory is another user's. */
export async function sendByAgent(inboxDir: string, clock: Clock, stop: AbortSignal): Promise<OnceOutcome> {
  const startMs = clock.monotonicMs();
  const id = crypto.randomUUID();
  writeFileSync(join(inboxDir, `${id}.test`), "", { mode: 0o600 });
  while (!stop.aborted && clock.monotonicMs() - startMs < ANSWER_LIMIT_MS) {
    const answer = takeAnswer(inboxDir, id);
    if (answer?.ok) return { outcome: "acknowledged", tookMs: clock.monotonicMs() - startMs };
    if (answer) return { outcome: "refused", detail: answer.detail };
    await clock.sleep(POLL_MS, stop);
  }
  const detail = `the agent has not reached the server within ${ANSWER_LIMIT_MS / 1000} s; the alert is in its spool`;
  return { outcome: "unavailable", detail };
}
