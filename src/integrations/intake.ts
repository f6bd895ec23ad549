import type { IngestOutcome, IngestService } from "../ingest/model.ts";
import { type Clock, DeadlineError, withDeadline } from "../lib/clock.ts";
import { OpsPilotError } from "../lib/errors.ts";
import { hashUuid } from "../lib/hash.ts";
import { remember } from "../lib/remember.ts";
import type { AlertIntake, BroughtAlert, Sender } from "./model.ts";

/** Senders wait some 10 to 30 s for an answer; what is not durable by then is sent again. */
const DURABLE_MS = 8_000;
/** A host that is new, or has another name, is known by that after so long. */
const HOSTS_HOLD_MS = 5_000;

/** All of it is to be sent again, after `retryAfterS`: nothing of it is answered for. */
export class IntakeBusy extends OpsPilotError {
  constructor(
    message: string,
    readonly retryAfterS: number,
  ) {
    super("overloaded", message);
  }
}

export interface IntakeDeps {
  ingest: Pick<IngestService, "accept" | "isFull" | "isStalled">;
  /** The agents of hosts, by name in small letters. */
  hosts: () => Promise<ReadonlyMap<string, string>>;
  /** Of incidents by these names: whose the open one is, and which one ended last. */
  named: (
    fingerprints: readonly string[],
  ) => Promise<ReadonlyMap<string, { openAt: string | null; ended: number | null }>>;
  fingerprintOf: (senderId: string, key: string) => string;
  clock: Clock;
}

/**
 * Makes the intake of integrations' alerts: the same ingest as the agents', so durable before it is answered, and once. An alert goes to
 * the host that it names where an agent is there; what has its sender's own name goes where that is open already, so that an end
 * finds its beginning, whatever hosts came or went between.
 */
export function createAlertIntake({ ingest, hosts, named: findNamed, fingerprintOf, clock }: IntakeDeps): AlertIntake {
  const knownHosts = remember(clock, HOSTS_HOLD_MS, hosts);

  async function place(sender: Sender, alerts: readonly BroughtAlert[]) {
    const named = alerts.map(({ key }) => (key === undefined ? null : fingerprintOf(sender.id, key)));
    const [agents, known] = await Promise.all([
      alerts.some((one) => one.hosts.length > 0) ? knownHosts() : new Map<string, string>(),
      findNamed(named.filter((one) => one !== null)),
    ]);
    return alerts.map((one, at) => {
      const { openAt = null, ended = null } = known.get(named[at] ?? "") ?? {};
      return { agentId: openAt ?? hostOf(one.hosts, agents) ?? sender.id, isOpen: openAt !== null, ended };
    });
  }

  return {
    async take(sender, alerts) {
      if (ingest.isStalled() || ingest.isFull()) throw new IntakeBusy("too much waits to be stored; send it again", 5);
      const places = await place(sender, alerts);
      const outcomes = alerts.map((brought, at) => {
        return offer(ingest, sender, { ...brought, messageId: idOf(brought, places[at]?.ended ?? null) }, places[at]);
      });
      const all = await inTime(Promise.all(outcomes));
      return all.map((one) => (one.ok ? one : { ok: false, code: one.reason, message: one.message }));
    },
  };
}

async function inTime<T>(stored: Promise<T>): Promise<T> {
  try {
    return await withDeadline(stored, DURABLE_MS, "storing alerts", (late) => late);
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error;
    throw new IntakeBusy("it is not stored yet; send it again", 10);
  }
}

/** What fires again after an end is news, though its sender's words are the same; what is sent again is the same. */
function idOf({ messageId, key, alert }: BroughtAlert, ended: number | null): string | null {
  if (messageId === null || key === undefined || ended === null || alert.state === "resolved") return messageId;
  return hashUuid(`${messageId}\0${ended}`);
}

/** What still fires is news of now, when it began is known already. */
function offer(
  ingest: IntakeDeps["ingest"],
  sender: Sender,
  { alert, messageId, key, ageMs, sizeBytes }: BroughtAlert,
  { agentId, isOpen }: { agentId: string; isOpen: boolean } = { agentId: sender.id, isOpen: false },
): Promise<IngestOutcome> {
  const { promise, resolve } = Promise.withResolvers<IngestOutcome>();
  ingest.accept({
    kind: "alert",
    origin: "integration",
    agentId,
    senderId: sender.id,
    messageId,
    ...(key === undefined ? {} : { key }),
    alert,
    ageMs: isOpen && alert.state !== "resolved" ? 0 : ageMs,
    sizeBytes,
    settled: resolve,
  });
  return promise;
}

function hostOf(names: readonly string[], agents: ReadonlyMap<string, string>): string | undefined {
  for (const name of names) {
    const agent = agents.get(name.toLowerCase());
    if (agent !== undefined) return agent;
  }
  return undefined;
}
