import type { Clock } from "./clock.ts";
import { sha256Hex } from "./hash.ts";

/** How many wrong credentials are answered with a plain "no" before "not so fast". */
export const FAILURE_LIMITS = {
  windowMs: 60_000,
  /** Of one address with one credential: a program that does not give up. */
  perCredential: 10,
  /** Of one address with any: somebody who guesses. */
  perAddress: 100,
  /** Bounds the memory: the oldest are forgotten first. */
  entriesMax: 20_000,
};
export type FailureLimits = typeof FAILURE_LIMITS;

/**
 * Counts failures only: a right credential is never held back, whoever shares its address. Guessing is hopeless by the
 * token's length; this keeps it, and programs that repeat themselves, cheap and visible. `limited` hears of an address once a window,
 * when it, or before that one credential of it, goes beyond what is allowed.
 */
export function createFailureCounter(clock: Clock, limits: FailureLimits, limited: (address: string) => void = ignore) {
  const windows = new Map<string, { count: number; endsMs: number }>();

  function count(key: string, max: number, exceeded: () => void): number {
    const nowMs = clock.monotonicMs();
    let window = windows.get(key);
    if (!window || window.endsMs <= nowMs) window = { count: 0, endsMs: nowMs + limits.windowMs };
    window.count++;
    windows.delete(key);
    windows.set(key, window);
    const [oldest] = windows.keys();
    if (oldest !== undefined && windows.size > limits.entriesMax) windows.delete(oldest);
    if (window.count === max + 1) exceeded();
    return window.count > max ? Math.ceil((window.endsMs - nowMs) / 1000) : 0;
  }

  const credentialKey = (network: string, credential: string) => `${network} ${sha256Hex(credential)}`;

  return {
    /** For how many seconds this address should not try this credential again, 0 when it may. Notes nothing. */
    heldFor(address: string, credential: string): number {
      const window = windows.get(credentialKey(networkOf(address), credential));
      const leftMs = (window?.endsMs ?? 0) - clock.monotonicMs();
      return window && leftMs > 0 && window.count >= limits.perCredential ? Math.ceil(leftMs / 1000) : 0;
    },
    /** Notes one failure. Returns for how many seconds its sender should wait, 0 when it is within the limits. */
    note(address: string, credential: string): number {
      const network = networkOf(address);
      const byAddress = count(network, limits.perAddress, () => limited(address));
      const exceeded = byAddress > 0 ? ignore : () => limited(address);
      return Math.max(byAddress, count(credentialKey(network, credential), limits.perCredential, exceeded));
    },
  };
}

function ignore(): void {}

/** An IPv6 host has a whole /64 to itself. */
function networkOf(address: string): string {
  return address.includes(":") ? address.split(":").slice(0, 4).join(":") : address;
}

/** Counts failures, for whoever checks credentials. */
export type FailureCounter = ReturnType<typeof createFailureCounter>;
