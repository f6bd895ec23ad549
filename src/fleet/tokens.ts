import { createBatcher } from "../lib/batcher.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import { sha256Hex } from "../lib/hash.ts";
import type { Log } from "../lib/log.ts";
import type { EnrolmentStore } from "./enrolment-store.ts";
import { enrolBearers } from "./enrolments.ts";
import type { Authentication, EnrolmentTurn, TokenService } from "./model.ts";
import type { FleetStore } from "./store.ts";

/** How long an answer is believed: a revoked token is refused everywhere after this, even where no notice arrives. */
const CACHE_MS = 30_000;
/** Most answers that are remembered; beyond it the oldest go. */
const CACHE_ENTRIES = 20_000;
/** Most agents that self-enrolment makes: beyond it somebody is filling the database. */
const SELF_ENROLLED_MAX = 10_000;
const SELF_ENROLLED_PER_SECOND = 10;
/** Most that wait for their turn, 14 s of them: hosts of one image start together. Beyond it these are strangers. */
const NEWCOMERS_MAX = 140;
const TURN_MS = 100;

const OVERLOADED = { ok: false, reason: "overloaded", message: "the token cannot be checked now, try again" } as const;
const TOO_MANY = { ok: false, reason: "rate_limited", message: "too many new agents at once, try again" } as const;

const NO_ENROLMENT: Authentication = {
  ok: false,
  reason: "unauthorized",
  message: "the enrolment token is unknown, revoked, over or used up",
};

/** A token to be checked, with the enrolment token that comes along; "" for none. */
interface Asked {
  readonly token: string;
  readonly enrolment: string;
}

/** One that waits to enrol itself; sockets of one token wait together. */
interface Newcomer extends EnrolmentTurn {
  readonly token: string;
  settle(answer: Authentication): void;
}

export interface TokenDeps {
  store: FleetStore;
  enrolments: EnrolmentStore;
  enrollment: "open" | "closed";
  clock: Clock;
  log: Log;
}

/** Token checks: remembered for 30 s, else looked up, many at a time. */
export function createTokenService(deps: TokenDeps): TokenService & { forget(agentId: string): void } {
  const { clock, log } = deps;
  const cache = new Map<string, { agentId: string; untilMs: number }>();
  const allowance = createAllowance(clock);
  /** By the token's hash, in the order in which they came. */
  const newcomers = new Map<string, Newcomer>();
  const lookUp = createBatcher(checkAll, { max: 500 });

  async function checkAll(all: readonly Asked[]): Promise<(Authentication | EnrolmentTurn)[]> {
    const hashes = all.map(({ token }) => sha256Hex(token));
    const known = await deps.store.findTokens(hashes);
    const isStranger = (hash: string) => !known.agents.has(hash) && !known.revoked.has(hash);
    const brought = all
      .map(({ enrolment }, at) => ({ tokenHash: hashes[at] as string, enrolment }))
      .filter(({ tokenHash, enrolment }) => enrolment !== "" && isStranger(tokenHash));
    const made = await enrolBearers(deps.enrolments, brought);
    for (const [hash, agentId] of made) known.agents.set(hash, agentId);
    const bearers = new Set(brought.map(({ tokenHash }) => tokenHash));
    const strangers = [...new Set(hashes.filter((hash) => isStranger(hash) && !bearers.has(hash)))];
    const isOpen = deps.enrollment === "open";
    const enrolling = isOpen && newcomers.size === 0 ? allowance.take(strangers.length) : 0;
    const enrolled = await enrol(strangers.slice(0, enrolling));
    const delayed = new Set(isOpen ? strangers.slice(enrolling) : []);
    return hashes.map((hash, at) => {
      const agentId = known.agents.get(hash) ?? enrolled.get(hash);
      const { token } = all[at] as Asked;
      if (agentId !== undefined) return remember(token, agentId, known.leaving.get(hash));
      if (delayed.has(hash)) return waitInTurn(hash, token);
      if (bearers.has(hash)) return NO_ENROLMENT;
      return { ok: false, reason: "unauthorized", message: refusal(known.revoked.has(hash)) };
    });
  }

  function waitInTurn(hash: string, token: string): Authentication | EnrolmentTurn {
    const known = newcomers.get(hash);
    if (known) return known;
    if (newcomers.size >= NEWCOMERS_MAX) return TOO_MANY;
    const { promise: turn, resolve: settle } = Promise.withResolvers<Authentication>();
    const newcomer = { token, turn, settle };
    newcomers.set(hash, newcomer);
    if (newcomers.size === 1)
      takeInTurn().catch((error) => log.error({ error }, "new agents could not be taken in turn"));
    return newcomer;
  }

  async function takeInTurn(): Promise<void> {
    while (newcomers.size > 0) {
      await clock.sleep(TURN_MS);
      const taken = [...newcomers].slice(0, allowance.take(newcomers.size));
      if (taken.length === 0) continue;
      const answers = await takeAll(taken);
      for (const [hash, newcomer] of taken) {
        newcomers.delete(hash);
        newcomer.settle(answers(hash, newcomer.token));
      }
    }
  }

  /** Who was made known meanwhile, or enrolled with another node, is known. */
  async function takeAll(
    taken: readonly [string, Newcomer][],
  ): Promise<(hash: string, token: string) => Authentication> {
    try {
      const enrolled = await enrol(taken.map(([hash]) => hash));
      return (hash, token) => {
        const agentId = enrolled.get(hash);
        if (agentId !== undefined) return remember(token, agentId);
        return { ok: false, reason: "unauthorized", message: refusal(false) };
      };
    } catch (error) {
      log.warn({ error: errorMessage(error) }, "new agents could not be taken");
      return () => OVERLOADED;
    }
  }

  async function enrol(hashes: string[]): Promise<Map<string, string>> {
    if (hashes.length === 0) return new Map();
    const fresh = hashes.map((tokenHash) => ({ id: crypto.randomUUID(), tokenHash }));
    const enrolled = await deps.store.enrol(fresh, SELF_ENROLLED_MAX);
    for (const id of enrolled.values()) log.info({ agent: id }, "an agent enrolled itself");
    const raced = hashes.filter((hash) => !enrolled.has(hash));
    if (raced.length === 0) return enrolled;
    const known = await deps.store.findTokens(raced);
    return new Map([...enrolled, ...known.agents]);
  }

  function refusal(isRevoked: boolean): string {
    if (isRevoked) return "this token was revoked";
    if (deps.enrollment === "open") return `no more than ${SELF_ENROLLED_MAX} agents enrol themselves`;
    return "unknown token, and enrolment is closed: create the agent first";
  }

  function remember(token: string, agentId: string, leftMs = CACHE_MS): Authentication {
    const [oldest] = cache.keys();
    if (oldest !== undefined && cache.size >= CACHE_ENTRIES) cache.delete(oldest);
    cache.delete(token);
    cache.set(token, { agentId, untilMs: clock.monotonicMs() + Math.min(CACHE_MS, leftMs) });
    return { ok: true, agentId };
  }

  return {
    cached(token) {
      const entry = cache.get(token);
      return entry && entry.untilMs > clock.monotonicMs() ? entry.agentId : undefined;
    },
    async authenticate(token, enrolment = "") {
      try {
        return await lookUp({ token, enrolment });
      } catch (error) {
        log.warn({ error: errorMessage(error) }, "a token could not be checked");
        return OVERLOADED;
      }
    },
    forget(agentId) {
      for (const [token, entry] of cache) if (entry.agentId === agentId) cache.delete(token);
    },
  };
}

/** A token bucket: so many a second, and no more than a second's worth at once. */
function createAllowance(clock: Clock) {
  let left = SELF_ENROLLED_PER_SECOND;
  let atMs = clock.monotonicMs();
  return {
    take(wanted: number): number {
      const nowMs = clock.monotonicMs();
      left = Math.min(SELF_ENROLLED_PER_SECOND, left + ((nowMs - atMs) / 1000) * SELF_ENROLLED_PER_SECOND);
      atMs = nowMs;
      const taken = Math.min(wanted, Math.floor(left));
      left -= taken;
      return taken;
    },
  };
}
