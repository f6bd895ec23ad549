import type { TSchema } from "@sinclair/typebox";
import type { ValueError } from "@sinclair/typebox/errors";
import { ValidationError } from "elysia";
import { isDatabaseAway } from "../db/away.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import {
  badJson,
  databaseAway,
  type FieldError,
  HttpProblem,
  internalError,
  invalid,
  problemResponse,
} from "./problems.ts";

/** What Elysia hands to an error handler, as far as it is used here. */
interface FailedRequest {
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

/** More are not told: one mistake can be found in each element of a list. */
const FIELDS_MAX = 20;

/** What is wrong with a request that failed its schema, by field; a body that is no object at all is the field `body`. */
function explain(error: ValidationError): FieldError[] {
  return faultsOf(valueErrors(error), error.type);
}

/** The same of errors that TypeBox found; `whole` names what is wrong as a whole. */
export function faultsOf(errors: Iterable<ValueError>, whole: string): FieldError[] {
  const found = new Map<string, FieldError>();
  for (const { path, message, schema } of errors) {
    const field = path.slice(1).replaceAll("/", ".") || whole;
    if (!found.has(field)) found.set(field, { field, message: expectation(schema) ?? message });
    if (found.size === FIELDS_MAX) break;
  }
  return found.size > 0 ? [...found.values()] : [{ field: whole, message: "is not what is expected" }];
}

function valueErrors(error: ValidationError): Iterable<ValueError> {
  const { validator } = error;
  return "Errors" in validator ? validator.Errors(error.value) : [];
}

/** In words, where TypeBox's own say too little. */
function expectation(schema: TSchema): string | undefined {
  if (schema.description) return `expected ${schema.description}`;
  if (!Array.isArray(schema.anyOf)) return undefined;
  const words = schema.anyOf.map((one: TSchema) => one.const);
  return words.every((word: unknown) => typeof word === "string") ? `expected one of ${words.join(", ")}` : undefined;
}

/** A registered route, as far as it is looked at here. */
export interface Route {
  readonly method: string;
  readonly path: string;
}

/** What to answer where no route matched: the path may be known by other methods (405), as a WebSocket (426), or not at all. */
export function createMissedRoutes(routes: () => readonly Route[]) {
  return (method: string, path: string): HttpProblem => {
    const methods = routes()
      .filter((route) => patternOf(route.path).test(path))
      .map((route) => route.method);
    if (methods.length === 0) return new HttpProblem(404, "not_found", "there is nothing here");
    if (method === "GET" && methods.includes("WS")) {
      const headers = { upgrade: "websocket", connection: "Upgrade" };
      return new HttpProblem(426, "upgrade_required", "this is a WebSocket", { headers });
    }
    const allow = [...new Set(methods.map((one) => (one === "WS" ? "GET" : one)))].join(", ");
    return new HttpProblem(405, "method_not_allowed", `allowed here: ${allow}`, { headers: { allow } });
  };
}

/** The pattern's parameters as one segment each, a star as all that follows, the last slash as optional. */
function patternOf(path: string): RegExp {
  const segments = path.split("/").map((part) => {
    if (part === "*") return ".*";
    return part.startsWith(":") ? "[^/]+" : RegExp.escape(part);
  });
  return new RegExp(`^${segments.join("/").replace(/\/$/, "")}/?$`);
}
