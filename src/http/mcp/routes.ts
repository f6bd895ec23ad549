import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { Access } from "../../config.ts";
import { isDatabaseAway } from "../../db/away.ts";
import type { ActorOf, PeerLookup } from "../../lib/addresses.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { isEnough, type Role } from "../../protocol/roles.ts";
import { needsCredential } from "../credentials.ts";
import { databaseAway, HttpProblem, internalError } from "../problems.ts";
import * as api from "../schemas.ts";
import type { Caller, Tool } from "./tool.ts";
import { createTools, type ToolsDeps } from "./tools.ts";

const PATH = "/mcp";
/** Above the longest wait for a host (25 s, and a few until it is asked), below what a connection may be idle. */
const ANSWER_LIMIT_MS = 45_000;
/** Several messages at once, as the protocol had it until 2025-06-18: each may be a call. */
const BATCH_MAX = 10;
/** The last version with batches; it is meant, too, where none is named. */
const BATCH_VERSION = "2025-03-26";
/** More than any answer should have: a model reads all of it. */
const RESULT_CHARS_MAX = 250_000;

const Message = Type.Object({}, { additionalProperties: true, description: "a message of JSON-RPC 2.0" });
const Messages = Type.Union([Message, Type.Array(Message, { minItems: 1, maxItems: BATCH_MAX })], {
  description: `a message of JSON-RPC 2.0, or, of protocol ${BATCH_VERSION}, ${BATCH_MAX} of them at most`,
});

/** Who came in, as the authorization knows it. */
interface Authorization {
  roleOf(request: Request): Role | undefined;
  demand(request: Request, server: PeerLookup | null, needed: Role, route: string): void;
  readonly actorOf: ActorOf;
}

interface McpRouteDeps extends ToolsDeps, Authorization {
  config: { access: Access };
  log: Log;
}

/**
 * What models' programs use, by the Model Context Protocol: tools over the services behind the REST API, each for the role that the same
 * needs there. A credential must come in the request itself; a browser's session does not count, since any page can make it come along.
 */
export function mcpRoutes(deps: McpRouteDeps) {
  const { config, version, log, roleOf } = deps;
  const tools = createTools(deps);
  const { viewer } = api.describing("mcp");
  const options = viewer(
    "The Model Context Protocol (streamable HTTP, stateless): tools for models' programs, as the token's role allows",
    { body: Messages },
    // biome-ignore lint/suspicious/noExplicitAny: the protocol's library makes the answer
    api.answers(200, Type.Unsafe<any>(api.AnyObject), 504),
  );

  return new Elysia({ name: "mcp", normalize: false }).post(
    PATH,
    async ({ body, request, server }) => {
      if (config.access.mode === "token" && !request.headers.has("authorization"))
        throw needsCredential("a token is needed; a browser's session does not count here");
      checkBatch(body, request.headers);
      const signal = AbortSignal.any([request.signal, AbortSignal.timeout(ANSWER_LIMIT_MS)]);
      const role = roleOf(request);
      const seen = tools.filter((one) => role !== undefined && isEnough(role, one.role));
      const failed = (error: Error) => log.debug({ error: errorMessage(error) }, "a message of MCP could not be taken");
      const call = (name: string, given: unknown) => answerTo(request, server, { name, given, signal });
      const { answerMcp } = await import("./protocol.ts");
      const answer = await answerMcp(request, body, { version, tools: seen, call, failed, signal });
      if (answer === undefined) throw new HttpProblem(504, "no_answer", "there was no answer in time");
      return answer;
    },
    { ...options, detail: { ...options.detail, security: [{ token: ["viewer"] }] } },
  );

  /** Undefined where there is no such tool. */
  async function answerTo(
    request: Request,
    server: PeerLookup | null,
    { name, given, signal }: { name: string; given: unknown; signal: AbortSignal },
  ): Promise<CallToolResult | undefined> {
    const tool = tools.find((one) => one.name === name);
    if (tool === undefined) return undefined;
    try {
      deps.demand(request, server, tool.role, `POST ${PATH} ${name}`);
      const caller: Caller = { actor: deps.actorOf(request, server), role: roleOf(request) ?? "viewer", signal };
      return resultOf(await tool.call(given, caller));
    } catch (error) {
      return refusalOf(problemOf(error, tool));
    }
  }

  function problemOf(error: unknown, { name }: Tool): HttpProblem {
    if (error instanceof HttpProblem) return error;
    if (isDatabaseAway(error)) {
      log.warn({ error: errorMessage(error), tool: name }, "a tool found no database");
      return databaseAway();
    }
    log.error({ error, tool: name }, "a tool failed");
    return internalError();
  }
}

/** Later versions of the protocol have no batches. */
function checkBatch(body: unknown, headers: Headers): void {
  if (!Array.isArray(body) || (headers.get("mcp-protocol-version") ?? BATCH_VERSION) === BATCH_VERSION) return;
  throw new HttpProblem(400, "no_batches", "this version of the protocol sends one message at a time");
}

/** As structure and as text, for clients that know only one of them. */
function resultOf(found: object): CallToolResult {
  const text = JSON.stringify(found);
  if (text.length > RESULT_CHARS_MAX)
    return refusalOf(new HttpProblem(413, "too_large", "the result is too large: ask for fewer, or by a filter"));
  return { content: [{ type: "text", text }], structuredContent: found as Record<string, unknown> };
}

/** In words, so that a model can do better. */
function refusalOf({ reason, message }: HttpProblem): CallToolResult {
  return { content: [{ type: "text", text: `${reason}: ${message}` }], isError: true };
}
