import { DeliveryError } from "../lib/errors.ts";

/** An outlet that does not answer within this is taken to be away. */
export const CALL_LIMIT_MS = 15_000;

/**
 * The call's outcome; a DeliveryError `unknown` as soon as the signal aborts or the time is up, whether or not the call
 * heeds its own signal: a leader that lost its lead, or an outlet that hangs, must not hold the loop.
 */
export async function bounded<T>(
  call: (limit: AbortSignal) => Promise<T>,
  signal: AbortSignal,
  late: (error: unknown) => void,
): Promise<T> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(CALL_LIMIT_MS)]);
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(new DeliveryError("unknown", "no answer in time"));
  if (limit.aborted) abort();
  limit.addEventListener("abort", abort, { once: true });
  const calling = call(limit);
  calling.catch((error) => {
    if (limit.aborted) late(error);
  });
  try {
    return await Promise.race([calling, aborted.promise]);
  } finally {
    limit.removeEventListener("abort", abort);
  }
}
