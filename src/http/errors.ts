import { ValidationError } from "elysia";
import { isDatabaseAway } from "../db/away.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { explain } from "./explain.ts";
import { badJson, databaseAway, HttpProblem, internalError, invalid, problemResponse } from "./problems.ts";

/** What Elysia hands to an error handler, as far as it is used here. */
export interface FailedRequest {
  readonly code: unknown;
  readonly error: unknown;
  readonly request: Request;
  readonly path: string;
}

/**
 * Makes the one handler of everything that was thrown on the way to an answer. `missed` says what to answer where no route
 * matched.
 */
export function createErrorHandler(deps: { log: Log; missed: (method: string, path: string) => HttpProblem }) {
  function problemOf({ code, error, request, path }: FailedRequest): HttpProblem {
    if (error instanceof HttpProblem) return error;
    if (code === "NOT_FOUND") return deps.missed(request.method, path);
    if (code === "PARSE") return causeOf(error) ?? badJson();
    if (error instanceof ValidationError && error.type !== "response") return invalid(explain(error));
    if (isDatabaseAway(error)) {
      deps.log.warn({ error: errorMessage(error), method: request.method, path }, "a request found no database");
      return databaseAway();
    }
    const fields = error instanceof ValidationError ? { answer: explain(error) } : { error };
    deps.log.error({ ...fields, method: request.method, path }, "a request failed");
    return internalError();
  }

  return (failed: FailedRequest): Response => problemResponse(problemOf(failed));
}

/** What a parser of ours threw: Elysia wraps it. */
function causeOf(error: unknown): HttpProblem | undefined {
  return error instanceof Error && error.cause instanceof HttpProblem ? error.cause : undefined;
}
