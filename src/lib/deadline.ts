import { OpsPilotError } from "./errors.ts";

/** A wait that was given up. */
export class DeadlineError extends OpsPilotError<"deadline"> {
  constructor(what: string, limitMs: number) {
    super("deadline", `${what} did not finish within ${limitMs} ms`);
  }
}

/**
 * The promise's outcome, or a DeadlineError after `limitMs`. The work itself goes on: whoever calls must be able to bear
 * that, or end it. A rejection that comes after the deadline is handed to `late`, never dropped.
 */
export async function withDeadline<T>(
  work: Promise<T>,
  limitMs: number,
  what: string,
  late: (error: unknown) => void,
): Promise<T> {
  let expired = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      expired = true;
      reject(new DeadlineError(what, limitMs));
    }, limitMs);
  });
  work.catch((error) => {
    if (expired) late(error);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
