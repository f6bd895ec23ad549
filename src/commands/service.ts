/**
 * Commands on their way to a host: pending → sent → done | failed | rejected | expired.
 *
 * A command is a row before anything else. The node that holds the agent's socket takes it from pending to sent, commits
 * that, and only then writes it to the socket: it is never written twice, and one that was lost between the two expires. Where
 * that is the node that was asked, the row is sent from the beginning: one commit, and the frame goes out. Where another node
 * holds the socket, a NOTIFY wakes that one; while a command is pending every node looks again and again.
 * A result ends the command; without one it expires ttl_s + 30 s after it was sent. A result after that is kept, marked
 * late.
 */
import { Value } from "@sinclair/typebox/value";
import type { ResultRecorder } from "../ingest/model.ts";
import type { Clock } from "../lib/clock.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import { cutPage } from "../lib/page.ts";
import { COMMANDS } from "../protocol/command-schemas.ts";
import {
  COMMAND_NAMES,
  type CommandName,
  commandTarget,
  isCommandName,
  READ_ONLY_COMMANDS,
} from "../protocol/commands.ts";
import type { Command, CommandDelivery, CommandService, ExecFailure, ExecOutcome, ExecRequest } from "./model.ts";
import type { CommandStore } from "./store.ts";

/** How long an agent may take to begin: it refuses a command that is older. */
const TTL_SECONDS = 60;
/** For the result to come back after the time to live. */
const RESULT_GRACE_SECONDS = 30;
/** How long the node that holds the agent has to take a command; then its caller is told that the agent is not there. */
const PENDING_SECONDS = 5;
/** While a command is pending its agent may be on its way to another node. */
const PENDING_LOOK_MS = 500;
/** Notices may be missed; then commands are looked at after this. */
const LOOK_EVERY_MS = 30_000;
const LOOK_REST_MS = 50;
/** Who waits for a command reads its row again after this, when no notice came. */
const WAIT_POLL_MS = 2_000;

const TOKEN_SHARED =
  "several hosts use this agent's token, and the command might reach the wrong one: give each a token of its own first";

export interface CommandDeps {
  store: CommandStore;
  delivery: CommandDelivery;
  /** Whether the agent exists, and whether some node holds a live socket of it. */
  whereabouts: (agentId: string) => Promise<"unknown" | "offline" | "online">;
  /** Whether several hosts use the agent's token: whichever is there would take a command. */
  isShared: (agentId: string) => Promise<boolean>;
  /** This node, as the agents that it holds name it. */
  nodeId: string;
  loops: Loops;
  clock: Clock;
}

/** Makes the command service of this node. */
export function createCommandService({ store, delivery, whereabouts, isShared, nodeId, loops, clock }: CommandDeps) {
  const waiters = createWaiters(clock, store.get);
  let loop: Loop | undefined;

  async function exec(request: ExecRequest, signal?: AbortSignal): Promise<ExecOutcome> {
    const check = checkCommand(request.command, request.params);
    if (!check.ok) return check;
    const find = () => (request.id === undefined ? undefined : store.get(request.id));
    const [asked, mayMiss] = await Promise.all([find(), isRisky(check.command) && isShared(request.agentId)]);
    if (asked) return dispatch(asked, request.waitS, signal);
    const where = await whereabouts(request.agentId);
    if (where === "unknown") return { ok: false, reason: "agent_not_found", message: "there is no such agent" };
    if (where === "offline") return { ok: false, reason: "agent_offline", message: "the agent is not connected" };
    if (mayMiss) return { ok: false, reason: "token_shared", message: TOKEN_SHARED };
    const made = await create(request, check.params);
    if (made?.status === "sent") return followed(await write(made), request.waitS, signal);
    const command = made ?? (await find());
    if (!command)
      return { ok: false, reason: "command_open", message: "the same command is still open for this agent" };
    return dispatch(command, request.waitS, signal);
  }

  /** As sent where this node holds the socket, so that nothing is left to do before it is written to it. */
  function create(request: ExecRequest, params: Record<string, unknown>): Promise<Command | undefined> {
    const { id = crypto.randomUUID(), agentId, command, actor, incidentId = null } = request;
    const row = { id, agentId, command, params, actor, incidentId, target: commandTarget(params), ttlS: TTL_SECONDS };
    const changesNothing = !isRisky(command);
    return delivery.holds(agentId)
      ? store.create(row, { status: "sent", seconds: TTL_SECONDS + RESULT_GRACE_SECONDS, changesNothing })
      : store.create(row, { status: "pending", seconds: PENDING_SECONDS, changesNothing });
  }

  /** Writes a command that was made as sent to its socket; the command as it is then. */
  async function write(command: Command): Promise<Command> {
    const lost = await writeAll([command]);
    return (lost.length > 0 ? await store.get(command.id) : undefined) ?? command;
  }

  async function dispatch(command: Command, waitS: number, signal?: AbortSignal): Promise<ExecOutcome> {
    if (delivery.holds(command.agent_id)) await send([command.id]);
    else if (command.status === "pending") {
      await store.tell([]);
      loop?.wake();
    }
    const sent = await waiters.until(command.id, (now) => now.status !== "pending", PENDING_SECONDS + 2, signal);
    if (sent === undefined || sent.status === "pending" || sent.sent_at === null) {
      return { ok: false, reason: "agent_offline", message: "the agent left before the command could be sent" };
    }
    return followed(sent, waitS, signal);
  }

  /** With its result, where one is waited for and comes in time. */
  async function followed(sent: Command, waitS: number, signal?: AbortSignal): Promise<ExecOutcome> {
    if (waitS === 0) return { ok: true, command: sent };
    const finished = await waiters.until(sent.id, (now) => now.status !== "sent", waitS, signal);
    return { ok: true, command: finished ?? sent };
  }

  async function send(ids: readonly string[]): Promise<void> {
    const commands = await store.markSent(ids, RESULT_GRACE_SECONDS);
    await writeAll(commands);
    if (commands.length > 0) await store.tell(idsOf(commands));
  }

  /** Writes commands that are marked as sent, and ends those, which it returns, whose sockets are gone. */
  async function writeAll(commands: readonly Command[]): Promise<Command[]> {
    const lost = commands.filter((command) => !delivery.deliver(command.agent_id, frameOf(command)));
    if (lost.length > 0)
      await store.markFailed(idsOf(lost), "the agent's connection closed before the command was written");
    return lost;
  }

  /** Sends what is pending for agents of this node, and ends what is over; the milliseconds until there is more to do. */
  async function look(): Promise<number | undefined> {
    const { expiresMs, isPending } = await store.due();
    if (isPending) {
      const held = (await store.findPending(nodeId)).filter(({ agentId }) => delivery.holds(agentId));
      if (held.length > 0) await send(held.map(({ id }) => id));
    }
    if (expiresMs !== null && expiresMs <= 0) await store.expire();
    return isPending ? PENDING_LOOK_MS : (expiresMs ?? undefined);
  }

  return {
    exec,
    get: store.get,
    async list({ agentId, limit, cursor }) {
      const { rows: commands, ...next } = cutPage(await store.list(agentId, limit + 1, cursor), limit);
      return { commands, ...next };
    },
    /** A notice of COMMANDS_CHANNEL; an empty one looks for what is to be sent, also when notices may have been missed. */
    onNotice(payload: string) {
      if (payload === "") loop?.wake();
      else for (const id of payload.split(",")) waiters.wake(id);
    },
    start() {
      const failed = "commands could not be looked after";
      loop ??= loops.start({ name: "commands", turn: look, everyMs: LOOK_EVERY_MS, restMs: LOOK_REST_MS, failed });
    },
    stop: async () => loop?.stop(),
  } satisfies CommandService & Record<string, unknown>;
}

export type Commands = ReturnType<typeof createCommandService>;

const isRisky = (command: string) => !(READ_ONLY_COMMANDS as readonly string[]).includes(command);

const idsOf = (commands: readonly Command[]) => commands.map(({ id }) => id);

function frameOf({ id, command, params, ttl_s }: Command) {
  return { type: "command", id, command, params, ttl_s } as const;
}

/** Agents' results to rows. A repeat has no effect, and is acknowledged like the first. */
export function createResultRecorder(store: Pick<CommandStore, "recordResults">): ResultRecorder {
  return {
    async record(tx, results) {
      const effects = await store.recordResults(tx, results);
      return effects.map((effect) =>
        effect === "unknown"
          ? { ok: false, reason: "bad_payload", message: "command_id: this agent was sent no such command" }
          : { ok: true },
      );
    },
  };
}

/** Whether a command is of the vocabulary and its parameters are as that says; names the field that is not. */
function checkCommand(
  command: string,
  params: Record<string, unknown>,
): { ok: true; command: CommandName; params: Record<string, unknown> } | ExecFailure {
  if (!isCommandName(command)) {
    const message = `command: expected one of ${COMMAND_NAMES.join(", ")}`;
    return { ok: false, reason: "unknown_command", message, field: "command" };
  }
  const schema = COMMANDS[command];
  if (Value.Check(schema, params)) return { ok: true, command, params };
  const first = Value.Errors(schema, params).First();
  const field = `params${(first?.path ?? "").replaceAll("/", ".")}`;
  return { ok: false, reason: "invalid_params", message: `${field}: ${first?.message ?? "invalid"}`, field };
}

/** Waiting for a command's row to reach a state: woken by notices, and by a slow poll that does not depend on them. */
function createWaiters(clock: Clock, read: (id: string) => Promise<Command | undefined>) {
  const waiting = new Set<{ id: string; alarm: AbortController }>();

  return {
    /** The row once it `holds`, or as it is after `limitS` seconds, or when the signal aborts. */
    async until(
      id: string,
      holds: (command: Command) => boolean,
      limitS: number,
      signal?: AbortSignal,
    ): Promise<Command | undefined> {
      const endMs = clock.monotonicMs() + limitS * 1000;
      for (;;) {
        // Before the row is read: a notice that comes meanwhile is not lost.
        const waiter = { id, alarm: new AbortController() };
        waiting.add(waiter);
        try {
          const command = await read(id);
          const leftMs = endMs - clock.monotonicMs();
          if (!command || holds(command) || leftMs <= 0 || signal?.aborted) return command;
          const signals = [waiter.alarm.signal, ...(signal ? [signal] : [])];
          await clock.sleep(Math.min(leftMs, WAIT_POLL_MS), AbortSignal.any(signals));
        } finally {
          waiting.delete(waiter);
        }
      }
    },
    wake(id: string): void {
      for (const waiter of waiting) if (waiter.id === id) waiter.alarm.abort();
    },
  };
}
