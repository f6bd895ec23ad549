import { hostname } from "node:os";
import type { Clock } from "../lib/clock.ts";
import { CloseCode } from "../protocol/frames.ts";
import { frameText, heartbeatText } from "./frames.ts";
import { decodeServerFrame } from "./server-frame.ts";
import type { OpenSocket, SocketEnd } from "./socket.ts";
import { askForTest, takeAnswer, testFrame } from "./test-alert.ts";

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
      const name = { hostname: hostname(), version: deps.version };
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
  const id = askForTest(inboxDir);
  while (!stop.aborted && clock.monotonicMs() - startMs < ANSWER_LIMIT_MS) {
    const answer = takeAnswer(inboxDir, id);
    if (answer?.ok) return { outcome: "acknowledged", tookMs: clock.monotonicMs() - startMs };
    if (answer) return { outcome: "refused", detail: answer.detail };
    await clock.sleep(POLL_MS, stop);
  }
  const detail = `the agent has not reached the server within ${ANSWER_LIMIT_MS / 1000} s; the alert is in its spool`;
  return { outcome: "unavailable", detail };
}
