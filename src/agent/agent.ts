import type { AgentConfig } from "../config/agent.ts";
import { createCleanups } from "../lib/cleanups.ts";
import { type Clock, withDeadline } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { repeat } from "../lib/loops.ts";
import { isUuid } from "../lib/uuid.ts";
import type { ServerFrame } from "../protocol/frames.ts";
import { createClockSkew } from "./clock-skew.ts";
import { reportOf } from "./collector-report.ts";
import type { AgentAbout } from "./command-model.ts";
import { createDelivery, createOutbox, type Delivery, type Outbox } from "./delivery.ts";
import type { Executor } from "./executor.ts";
import { createHostFacts } from "./facts.ts";
import { commandOfResult } from "./frames.ts";
import type { Collector } from "./model.ts";
import { credentialsOf } from "./own-token.ts";
import { keepConnected } from "./server-connection.ts";
import { createSocketOpener } from "./socket.ts";
import { openSpool, type Spool } from "./spool.ts";
import { cannotUse, claimStateDir, createConnectionStatus, statePaths } from "./state-dir.ts";
import { type Inbox, openInbox, testFrame } from "./test-alert.ts";
import { trialFailed } from "./update/on-trial.ts";
import type { Trial } from "./update/trial.ts";

/** A collector that does not end in this time is left behind. */
const COLLECTOR_STOP_MS = 3_000;
/** At the end so much time is given to what is still to be sent; the rest is sent by the next process. */
const DRAIN_MS = 1_500;
const DRAIN_POLL_MS = 50;
const RETRY_WRITING_MS = 30_000;
const INBOX_POLL_MS = 1_000;

interface AgentDeps {
  readonly config: AgentConfig;
  readonly version: string;
  /** This executable is on trial: it has to reach the server soon. */
  readonly trial?: Trial | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Made once the agent's directory is held. */
  readonly createCollectors: () => readonly Collector[];
  /** `collectors` says what they see, once there are some. */
  readonly createExecutor: (collectors: AgentAbout["collectors"]) => Executor;
}

/** An agent that runs. */
interface RunningAgent {
  stop(): Promise<void>;
  /** Resolves where it may not go on: it is on trial, and the server was not reached. */
  readonly failed: Promise<Error>;
}

/**
 * The agent: collectors → spool → connection → server, and commands on the way back. Throws a StartupError when its directory
 * cannot be had; whatever happens later, it goes on. `stop` ends it within a few seconds: what happened is on disk, and the
 * server is told goodbye. Safe to call twice.
 */
export async function startAgent(deps: AgentDeps): Promise<RunningAgent> {
  const { log, trial, clock } = deps;
  const cleanups = createCleanups(log);
  const welcomed = new AbortController();
  try {
    await assemble(deps, welcomed, cleanups.add);
  } catch (error) {
    await cleanups.run();
    throw error;
  }
  return { stop: cleanups.run, failed: trialFailed(trial, welcomed.signal, clock) };
}

type OnStop = (what: string, task: () => Promise<void>) => void;

/** What is stopped first is what was started last: collectors, commands, the rest of the spool, the connection. */
async function assemble(deps: AgentDeps, welcomed: AbortController, onStop: OnStop): Promise<void> {
  const { config, clock, log } = deps;
  let collectors: readonly Collector[] = [];
  const report = () => reportOf(collectors);
  const { spool, inbox, executor } = openState(deps, report, onStop);
  const delivery = createDelivery({ spool, clock, log, settled: createSettling(executor, inbox, log) });
  const outbox = createOutbox({ spool, delivery, clock, log });
  for (const result of await executor.unfinished()) await outbox.result(result);
  collectors = deps.createCollectors();
  const extra = () => ({
    spool: describeSpool(spool, delivery.refusedCount()),
    allow: executor.allow,
    collectors: report(),
    ...Object.assign({}, ...collectors.map((collector) => collector.facts?.())),
  });
  const skew = createClockSkew({ server: config.server, clock, log });
  const status = createConnectionStatus(statePaths(config.stateDir).connection, clock, log, deps.trial?.id);
  if (status.wasWelcomed()) welcomed.abort();
  const connection = keepConnected({
    openSocket: createSocketOpener({ ...config, ...credentialsOf(config), version: deps.version, clock }),
    serverUrl: config.server.url,
    status,
    delivery,
    readFacts: createHostFacts({ version: deps.version, log, extra }),
    command: createCommanding(executor, outbox, deps),
    welcomed(signal) {
      welcomed.abort();
      void skew.check(signal);
    },
    clock,
    log,
  });
  onStop("the connection", connection.stop);
  onStop("sending the rest", () => drain(spool, delivery, clock));
  onStop("collectors and commands", async () => {
    await Promise.all([executor.stop(), ...collectors.map((collector) => stopCollector(collector, log))]);
  });
  for (const collector of collectors) collector.start(outbox.report);
  startChores({ spool, inbox, outbox }, deps, onStop);
}

/** What lies in the agent's directory. */
function openState(
  { config, clock, log, createExecutor }: AgentDeps,
  report: AgentAbout["collectors"],
  onStop: OnStop,
) {
  const paths = statePaths(config.stateDir);
  const claim = claimStateDir(config.stateDir);
  onStop("the agent's directory", async () => claim.release());
  const spool = usable(paths.spool, () => openSpool({ dir: paths.spool, bytesMax: config.spoolBytesMax, clock, log }));
  onStop("the spool", spool.close);
  const inbox = usable(paths.inbox, () => openInbox(paths.inbox));
  return { spool, inbox, executor: usable(paths.commands, () => createExecutor(report)) };
}

/** Tells whoever waits for it that the server has a frame, or will never take it. Never rejects. */
function createSettling(executor: Executor, inbox: Inbox, log: Log) {
  return async (frameId: string, refusal?: string) => {
    const commandId = commandOfResult(frameId);
    try {
      if (commandId !== undefined) await executor.settled(commandId);
      else inbox.answer(frameId, { ok: refusal === undefined, detail: refusal ?? "" });
    } catch (error) {
      log.error({ error, frame: frameId }, "a frame could not be settled");
    }
  };
}

function createCommanding(executor: Executor, outbox: Outbox, { clock, log }: AgentDeps) {
  return ({ id, command, params, ttl_s }: Extract<ServerFrame, { type: "command" }>) => {
    // There would be nobody to send the result to.
    if (!isUuid(id)) return log.warn({ command }, "a command without a proper id is ignored");
    executor
      .run({ id, command, params, ttl_s, receivedMs: clock.monotonicMs() })
      .then(outbox.result)
      .catch((error) => log.error({ error, command: id }, "a command could not be answered"));
  };
}

function startChores(
  { spool, inbox, outbox }: { spool: Spool; inbox: Inbox; outbox: Outbox },
  { clock, log }: AgentDeps,
  onStop: OnStop,
): void {
  const failed = (error: unknown) => log.error({ error: errorMessage(error) }, "the agent's directory cannot be used");
  const testing = async () => {
    for (const id of inbox.take()) await outbox.send(testFrame(clock.now(), id));
  };
  onStop("writing again", repeat(clock, RETRY_WRITING_MS, spool.retry, failed).stop);
  onStop("the inbox", repeat(clock, INBOX_POLL_MS, testing, failed).stop);
}

function usable<T>(dir: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    throw cannotUse(dir, error);
  }
}

/** What the spool has to say for itself, for people who look at this agent on the server. */
function describeSpool(spool: Spool, refused: number): Record<string, number> {
  const { droppedRepeats, droppedOthers, ...rest } = spool.status();
  return { ...rest, dropped_repeats: droppedRepeats, dropped_others: droppedOthers, refused };
}

async function stopCollector({ name, stop }: Collector, log: Log): Promise<void> {
  const late = (error: unknown) => log.warn({ error, collector: name }, "a collector ended late");
  await withDeadline(stop(), COLLECTOR_STOP_MS, `collector ${name}`, late).catch((error) => {
    log.warn({ error: errorMessage(error), collector: name }, "a collector did not end in order");
  });
}

async function drain(spool: Spool, delivery: Delivery, clock: Clock): Promise<void> {
  const endMs = clock.monotonicMs() + DRAIN_MS;
  const isWorthwhile = () => delivery.isOpen() && spool.status().waiting > 0;
  while (isWorthwhile() && clock.monotonicMs() < endMs) await clock.sleep(DRAIN_POLL_MS);
}
