/**
 * Commands on their way to a host: pending → sent → done | failed | rejected | expired.
 *
 * A command is a row before anything else. The node that holds the agent's socket takes it from pending to sent, commits
 * that, and only then writes it to the socket: it is never written twice, and one that was lost between the two expires.
 * Where another node holds the socket, a NOTIFY wakes that one; it also looks every second for what it may have missed.
 * A result ends the command; without one it expires ttl_s + 30 s after it was sent. A result after that is kept, marked
 * late.
 */
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { type Running, repeat } from "../lib/repeat.ts";
import { commandTarget } from "../protocol/commands.ts";
import type { Command, CommandDelivery, CommandService, ExecOutcome, ExecRequest } from "./model.ts";
import type { CommandStore } from "./store.ts";
import { checkCommand } from "./validate.ts";
import { createWaiters } from "./waiters.ts";

/** How long an agent may take to begin: it refuses a command that is older. */
const TTL_SECONDS = 60;
/** For the result to come back after the time to live. */
const RESULT_GRACE_SECONDS = 30;
/** How long the node that holds the agent has to take a command; then its caller is told that the agent is not there. */
const PENDING_SECONDS = 5;
const SWEEP_INTERVAL_MS = 1_000;

/** The channel on which nodes wake each other about commands; ids only. */
export const COMMANDS_CHANNEL = "opspilot_commands";

export interface CommandDeps {
  store: CommandStore;
  delivery: CommandDelivery;
  /** Whether the agent exists, and whether some node holds a live socket of it. */
  whereabouts: (agentId: string) => Promise<"unknown" | "offline" | "online">;
  /** The agents that this node holds. */
  heldAgents: () => string[];
  notify: (payload: string) => Promise<void>;
  clock: Clock;
  log: Log;
}

/** The service, and what the composition root does with it. */
export interface Commands extends CommandService {
  /** A command changed, here or on another node: wakes who waits for it, and sends what is pending for an agent held here. */
  onNotice(payload: string): void;
  start(): void;
  stop(): Promise<void>;
}

/** Makes the command service of this node. */
export function createCommandService(deps: CommandDeps): Commands {
  const { store, delivery, log } = deps;
  const waiters = createWaiters(deps.clock, store.get);
  const running: Running[] = [];

  async function exec(request: ExecRequest, signal?: AbortSignal): Promise<ExecOutcome> {
    const check = checkCommand(request.command, request.params);
    if (!check.ok) return check;
    const asked = request.id === undefined ? undefined : await store.get(request.id);
    if (asked) return dispatch(asked, request.waitS, signal);
    const whereabouts = await deps.whereabouts(request.agentId);
    if (whereabouts === "unknown") return { ok: false, reason: "agent_not_found", message: "there is no such agent" };
    if (whereabouts === "offline") return { ok: false, reason: "agent_offline", message: "the agent is not connected" };
    const command = (await create(request, check.params)) ?? (await askedMeanwhile(request));
    if (!command)
      return { ok: false, reason: "command_open", message: "the same command is still open for this agent" };
    return dispatch(command, request.waitS, signal);
  }

  const askedMeanwhile = async ({ id }: ExecRequest) => (id === undefined ? undefined : store.get(id));

  function create(request: ExecRequest, params: Record<string, unknown>): Promise<Command | undefined> {
    const { agentId, command, actor } = request;
    const row = {
      id: request.id ?? crypto.randomUUID(),
      agentId,
      command,
      params,
      actor,
      target: commandTarget(params),
    };
    return store.create({ ...row, incidentId: request.incidentId ?? null, ttlS: TTL_SECONDS }, PENDING_SECONDS);
  }

  async function dispatch(command: Command, waitS: number, signal?: AbortSignal): Promise<ExecOutcome> {
    if (delivery.holds(command.agent_id)) await send(command.id, command.agent_id);
    else await deps.notify(JSON.stringify({ pending: command.agent_id }));
    const sent = await waiters.until(command.id, (now) => now.status !== "pending", PENDING_SECONDS + 2, signal);
    if (sent === undefined || sent.status === "pending" || sent.sent_at === null) {
      return { ok: false, reason: "agent_offline", message: "the agent left before the command could be sent" };
    }
    if (waitS === 0) return { ok: true, command: sent };
    const finished = await waiters.until(command.id, (now) => now.status !== "sent", waitS, signal);
    return { ok: true, command: finished ?? sent };
  }

  async function send(id: string, agentId: string): Promise<void> {
    const command = await store.markSent(id, RESULT_GRACE_SECONDS);
    if (!command) return;
    const frame = {
      type: "command",
      id,
      command: command.command,
      params: command.params,
      ttl_s: command.ttl_s,
    } as const;
    const isWritten = delivery.deliver(agentId, frame);
    if (!isWritten) await store.markFailed(id, "the agent's connection closed before the command was written");
    await deps.notify(JSON.stringify({ changed: id }));
  }

  async function sendPending(agentIds: readonly string[]): Promise<void> {
    if (agentIds.length === 0) return;
    for (const { id, agentId } of await store.findPending(agentIds)) {
      if (delivery.holds(agentId)) await send(id, agentId);
    }
  }

  async function sweep(): Promise<void> {
    await sendPending(deps.heldAgents());
    for (const id of await store.expire()) await deps.notify(JSON.stringify({ changed: id }));
  }

  const failed = (error: unknown) => log.warn({ error: errorMessage(error) }, "commands could not be looked after");

  return {
    exec,
    get: store.get,
    async list({ agentId, limit, cursor }) {
      const commands = await store.list(agentId, limit + 1, cursor);
      const page = commands.slice(0, limit);
      const last = page.at(-1);
      return commands.length > limit && last ? { commands: page, nextCursor: last.id } : { commands: page };
    },
    onNotice(payload) {
      const notice = JSON.parse(payload) as { pending?: string; changed?: string };
      if (notice.changed !== undefined) waiters.wake(notice.changed);
      if (notice.pending !== undefined && delivery.holds(notice.pending)) sendPending([notice.pending]).catch(failed);
    },
    start: () => void running.push(repeat(deps.clock, SWEEP_INTERVAL_MS, sweep, failed)),
    async stop() {
      await Promise.all(running.splice(0).map((task) => task.stop()));
    },
  };
}
