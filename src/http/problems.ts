import { STATUS_CODES } from "node:http";
import { type Static, Type } from "@sinclair/typebox";
import { OpsPilotError } from "../lib/errors.ts";
import { describeJsonFault, scanJson } from "../protocol/json.ts";
import { isCleanText } from "../protocol/text.ts";

/** RFC 9457 problem details, the one form of every refusal. */
export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: Type.String({ description: "a stable word for programs, such as agent_offline" }),
    errors: Type.Optional(
      Type.Array(Type.Object({ field: Type.String(), message: Type.String() }), {
        description: "what is wrong, by field",
      }),
    ),
  },
  { title: "Problem" },
);
export type Problem = Static<typeof Problem>;

/** What is wrong with one part of the request. */
export type FieldError = NonNullable<Problem["errors"]>[number];

/** An answer that is not what was asked for: thrown by routes, written by the one error handler. */
export class HttpProblem extends OpsPilotError {
  constructor(
    readonly status: number,
    reason: string,
    detail: string,
    readonly more: { fields?: readonly FieldError[]; headers?: Record<string, string> } = {},
  ) {
    super(reason, detail);
  }
}

/** 404 for a thing that the path names. */
export function notFound(
  what: "agent" | "incident" | "command" | "silence" | "token" | "enrolment" | "integration" | "job",
): HttpProblem {
  return new HttpProblem(404, `${what}_not_found`, `there is no such ${what}`);
}

/** What the path names; throws the 404 where it was not found. */
export function existing<T>(what: Parameters<typeof notFound>[0], found: T): Exclude<T, undefined | false> {
  if (found === undefined || found === false) throw notFound(what);
  return found as Exclude<T, undefined | false>;
}

/** 422 for a request whose parts are well-formed, but not what they must be. */
export function invalid(fields: readonly FieldError[]): HttpProblem {
  const detail = fields.map(({ field, message }) => `${field}: ${message}`).join("; ");
  return new HttpProblem(422, "invalid_request", detail, { fields });
}

/** 400 for a body that cannot be read. */
export function badJson(): HttpProblem {
  const fields = [{ field: "body", message: "expected JSON" }];
  return new HttpProblem(400, "bad_json", "the body is not JSON", { fields });
}

/** 503 while the database cannot be reached: the same request may work a little later. */
export function databaseAway(): HttpProblem {
  return new HttpProblem(
    503,
    "database_unavailable",
    "the database cannot be reached, or takes nothing just now; try again",
    {
      headers: { "retry-after": "5" },
    },
  );
}

/** What nobody expected. It says nothing: the log does. */
export function internalError(): HttpProblem {
  return new HttpProblem(500, "internal_error", "something went wrong on the server; its log says what");
}

/** The problem as it goes over the wire. */
export function problemResponse({ status, reason, message, more: { fields = [], headers } }: HttpProblem): Response {
  const problem: Problem = {
    type: "about:blank",
    title: STATUS_CODES[status] ?? "Error",
    status,
    detail: message,
    code: reason,
    ...(fields.length > 0 ? { errors: [...fields] } : {}),
  };
  const all = { "content-type": "application/problem+json", ...SAFE_HEADERS, ...headers };
  return new Response(JSON.stringify(problem), { status, headers: all });
}

/** On every answer: nothing is guessed from its content, nothing of it is kept by a cache. */
export const SAFE_HEADERS = { "x-content-type-options": "nosniff", "cache-control": "no-store" } as const;

/** Requests are a few fields; the largest, a command's parameters, are far below. */
const BODY_BYTES_MAX = 64 * 1024;

/** Bodies are JSON and say so: a form of a web page cannot. Without a body nothing needs to be said. */
export function checkBody({ method, headers }: Request): HttpProblem | undefined {
  if (method === "GET" || method === "HEAD") return undefined;
  const sizeBytes = Number(headers.get("content-length") ?? 0);
  if (sizeBytes === 0 && !headers.has("transfer-encoding") && !headers.has("content-type")) return undefined;
  if (sizeBytes > BODY_BYTES_MAX) return tooLarge(BODY_BYTES_MAX);
  if (isJsonBody(headers)) return undefined;
  return new HttpProblem(415, "unsupported_media_type", "bodies must be application/json");
}

/** Whether the body is said to be JSON. */
export function isJsonBody(headers: Headers): boolean {
  return headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() === "application/json";
}

/** 413, with how much a body of the route may have. */
export function tooLarge(bytesMax: number): HttpProblem {
  return new HttpProblem(413, "too_large", `a body has ${bytesMax} bytes at most`);
}

/**
 * A body as JSON; none counts as an empty object, so that its missing fields can be named. (Elysia's own parser takes what is
 * no JSON for no body where the body is optional.)
 */
export async function parseJson({ request }: { request: Request }): Promise<unknown> {
  const text = await request.text();
  if (text === "") return {};
  if (text.length > BODY_BYTES_MAX) throw tooLarge(BODY_BYTES_MAX);
  const value = jsonIn(text);
  const fault = scanJson(text);
  if (fault !== undefined) throw invalid([{ field: "body", message: describeJsonFault(fault).toLowerCase() }]);
  // As it comes, JSON has no such character: only an escape can make one.
  if (text.includes("\\u")) refuseUnstorable(value);
  return value;
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) throw badJson();
    throw error;
  }
}

/** Refuses text that PostgreSQL takes nowhere, wherever in a query or a body it is. */
export function refuseUnstorable(value: unknown): void {
  const fields = unstorableIn(value, "");
  if (fields.length > 0) throw invalid(fields.map((field) => ({ field: field || "body", message: UNSTORABLE })));
}

const UNSTORABLE = "holds a NUL character, or half of one";

/** Nesting is bounded before. */
function unstorableIn(value: unknown, path: string): string[] {
  if (typeof value === "string") return isCleanText(value) ? [] : [path];
  if (typeof value !== "object" || value === null) return [];
  const fields = Object.entries(value).map(([key, inner]) => unstorableIn(inner, path === "" ? key : `${path}.${key}`));
  return fields.flat().slice(0, 1);
}

/** What looks like a WebSocket's beginning, and is none: Elysia would say so in plain text. */
export function refuseHalfUpgrade({ headers }: Request): void {
  const isUpgrade = headers.get("upgrade")?.toLowerCase() === "websocket";
  if (!isUpgrade || WEBSOCKET_KEY.test(headers.get("sec-websocket-key") ?? "")) return;
  throw new HttpProblem(400, "bad_upgrade", "the headers of a WebSocket's beginning are missing or malformed");
}

/** RFC 6455: 16 bytes in base64. */
const WEBSOCKET_KEY = /^[A-Za-z0-9+/]{22}==$/;
