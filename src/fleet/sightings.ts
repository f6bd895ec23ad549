/**
 * Who uses an agent's token. A heartbeat says which process it is of (`instance`: an id of that run, and the kernel's of its boot),
 * or else only the host's name, which then counts as it was when the connection began: a host may be renamed. Who comes in place
 * of another is written; an agent that goes on, or is back as the same, costs no write. What happens by turns is judged in
 * twin-store.ts.
 */
import type { Clock } from "../lib/clock.ts";
import { fieldsOf } from "../lib/json.ts";
import type { Log } from "../lib/log.ts";
import type { Loop, Loops } from "../lib/loops.ts";
import type { HeartbeatPayload } from "../protocol/frames.ts";
import type { AgentSockets } from "./model.ts";
import type { Sighting, TwinStore } from "./twin-store.ts";

const WRITE_REST_MS = 250;
const WRITE_EVERY_MS = 60_000;
/** The connection's claim is not committed yet, or another node has just made its own. */
const AGAIN_MS = 200;
const ROWS_MAX = 1_000;
/** A longer id is none of ours. */
const ID_CHARS_MAX = 64;

interface SightingsDeps {
  store: Pick<TwinStore, "note">;
  sockets: Pick<AgentSockets, "connectionOf">;
  clock: Pick<Clock, "monotonicMs">;
  loops: Loops;
  /** Tokens are shared from now on. */
  shared: () => void;
  log: Log;
}

type Heard = Omit<Sighting, "agentId" | "ageMs"> & { heardAtMs: number };

/** Notes who is heard of on this node. */
export function createSightings({ store, sockets, clock, loops, shared, log }: SightingsDeps) {
  const last = new Map<string, Heard>();
  /** Agents of whom something new was heard that is not written. */
  const waiting = new Set<string>();
  let writing: Loop | undefined;

  function heard(agentId: string, heartbeat: HeartbeatPayload): void {
    const connectionId = sockets.connectionOf(agentId);
    const before = last.get(agentId);
    const known = before?.connectionId === connectionId ? before : undefined;
    const who = whoIs(heartbeat, known);
    if (connectionId === undefined || who === undefined) return;
    if (known?.instance === who.instance && known.hostname === who.hostname) return;
    last.set(agentId, { ...who, connectionId, heardAtMs: clock.monotonicMs() });
    waiting.add(agentId);
    writing?.wake();
  }

  async function write(): Promise<number | undefined> {
    const taken = [...waiting].slice(0, ROWS_MAX).flatMap((agentId) => {
      const one = last.get(agentId);
      if (one && one.connectionId === sockets.connectionOf(agentId)) return [{ agentId, one }];
      waiting.delete(agentId);
      return [];
    });
    if (taken.length === 0) return undefined;
    const nowMs = clock.monotonicMs();
    const result = await store.note(
      taken.map(({ agentId, one: { heardAtMs, ...who } }) => ({ agentId, ...who, ageMs: nowMs - heardAtMs })),
    );
    const noted = new Set(result.noted);
    for (const { agentId, one } of taken) if (noted.has(agentId) && last.get(agentId) === one) waiting.delete(agentId);
    if (result.shared > 0) {
      log.warn({ agents: result.shared }, "several hosts use one token");
      shared();
    }
    return waiting.size > 0 ? AGAIN_MS : undefined;
  }

  return {
    heard,
    /** The connection is closed. */
    forget(agentId: string, connectionId: string): void {
      if (last.get(agentId)?.connectionId === connectionId) last.delete(agentId);
    },
    start(): void {
      writing ??= loops.start({
        name: "hosts of tokens",
        everyMs: WRITE_EVERY_MS,
        restMs: WRITE_REST_MS,
        restsFirst: true,
        failed: "who uses which token could not be written, trying again",
        turn: write,
      });
    },
    stop: async () => writing?.stop(),
  };
}

/** Undefined where a heartbeat says neither which process it is of nor which host. */
function whoIs(
  { hostname, instance }: HeartbeatPayload,
  known: Heard | undefined,
): Pick<Sighting, "instance" | "boot" | "hostname"> | undefined {
  const { run, boot } = fieldsOf(instance);
  const name = hostname ?? known?.hostname ?? null;
  if (isId(run)) return { instance: `run:${run}`, boot: isId(boot) ? boot : null, hostname: name };
  if (name === null) return undefined;
  return { instance: known?.instance ?? `name:${name}`, boot: null, hostname: name };
}

function isId(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= ID_CHARS_MAX;
}
