import { type RunFlags, readRunConfig } from "../config/run.ts";
import { createFetch } from "../lib/bounded-fetch.ts";
import { createSystemClock, endsWithin } from "../lib/clock.ts";
import { openOutputs } from "./job/outputs.ts";
import { createPinger } from "./job/pings.ts";
import { endBySignal, ignoredSignals, isAtJobAlready, onSignals, statusOfSignal } from "./job/signals.ts";
import { createTail } from "./job/tail.ts";
import { VERSION } from "./version.ts";

/** What the server is told of a job's output. */
const LOG = { linesMax: 100, bytesMax: 64 * 1024 };
/** So long the log is waited for until the end is told without its rest: whoever reads the job's output may be slow. */
const LOG_WAIT_MS = 2_000;

/**
 * Runs a job and tells the server how it went; ends as the job ended. The job runs at once and alone counts: whatever goes wrong with
 * the telling is a line on standard error.
 */
export async function runJob(command: readonly string[], flags: RunFlags): Promise<number> {
  const config = readRunConfig(flags);
  const clock = createSystemClock();
  const tail = createTail(LOG);
  const outputs = openOutputs({ tail, clock, warn });
  const ended = new AbortController();
  const ignored = ignoredSignals();
  const startedMs = clock.monotonicMs();

  const job = Bun.spawn(withShell(command, ignored), {
    env: config.env,
    stdio: ["inherit", ...outputs.files],
  });
  // Once the job is over, whoever sends a signal means us.
  const signals = onSignals(ignored, (sent) => {
    if (job.exitCode !== null || job.signalCode !== null) ended.abort();
    else if (!isAtJobAlready(sent)) job.kill(sent);
  });
  outputs.start();
  if (config.complaint !== null) warn(`nothing is told of this run: ${config.complaint}`);
  const pinger =
    config.ping === null
      ? null
      : createPinger({ ...senderOf(config), url: config.ping, clock, warn, signal: ended.signal });
  pinger?.start();

  await job.exited;
  const durationMs = clock.monotonicMs() - startedMs;
  const signal = job.signalCode as NodeJS.Signals | null;
  const exitCode = signal === null ? (job.exitCode ?? 0) : statusOfSignal(signal);
  const drained = outputs.drained();
  await endsWithin(clock, LOG_WAIT_MS, drained);
  await Promise.all([drained, pinger?.end({ exitCode, durationMs, log: tail.text() })]);
  signals.stop();
  if (signal !== null) await endBySignal(signal);
  return exitCode;
}

/**
 * By way of the shell, which becomes the job: it says what is wrong with a command as people know it (127, 126), runs a script that
 * names no interpreter, and keeps ignored the signals that are.
 */
function withShell(command: readonly string[], ignored: readonly string[]): string[] {
  const trap = ignored.length === 0 ? "" : `trap '' ${ignored.map((name) => name.replace("SIG", "")).join(" ")}; `;
  return ["/bin/sh", "-c", `${trap}exec "$@"`, "sh", ...command];
}

function senderOf({ ca, proxyOf }: ReturnType<typeof readRunConfig>) {
  const send = createFetch(proxyOf);
  const tls = ca === null ? {} : { tls: { ca } };
  return {
    send: (url: string, init: BunFetchRequestInit) => send(url, { ...init, ...tls }),
    userAgent: `opspilot/${VERSION}`,
  };
}

function warn(text: string): void {
  process.stderr.write(`opspilot run: ${text}\n`);
}
