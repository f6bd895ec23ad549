import { type Static, Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { COMMAND_STATUSES, type Command, type CommandService, type ExecFailure } from "../commands/model.ts";
import type { AgentService } from "../fleet/model.ts";
import type { ActorOf } from "../lib/addresses.ts";
import { unreachable } from "../lib/errors.ts";
import { existing, HttpProblem, invalid, notFound } from "./problems.ts";
import * as api from "./schemas.ts";

/** Longest wait for a command's result within the request, seconds: proxies cut requests off at 30. */
export const WAIT_S_MAX = 25;

const RESULT = {
  status: api.oneOf(COMMAND_STATUSES),
  exit_code: api.nullable(Type.Integer()),
  output: api.nullable(Type.String()),
  error: api.nullable(Type.String()),
  duration_ms: api.nullable(Type.Number()),
  finished_at: api.nullable(api.Instant),
  late: Type.Boolean(),
};
/** What was asked of a host, and what came of it. */
export type CommandView = Static<typeof CommandSchema>;
const CommandSchema = api.resource("Command", {
  id: api.Uuid,
  agent_id: api.Uuid,
  incident_id: api.nullable(api.IncidentId),
  command: Type.String(),
  params: api.AnyObject,
  actor: Type.String(),
  ttl_s: Type.Integer(),
  created_at: api.Instant,
  sent_at: api.nullable(api.Instant),
  expires_at: api.Instant,
  ...RESULT,
});
const Execution = api.resource("Execution", {
  status: Type.Literal("sent"),
  command_id: api.Uuid,
  result: Type.Optional(api.resource("CommandResult", RESULT)),
});
const ExecInput = api.input({
  agent_id: api.Uuid,
  command: Type.String({ minLength: 1, maxLength: 50 }),
  params: Type.Optional(api.AnyObject),
  wait_s: Type.Optional(
    Type.Number({ minimum: 0, maximum: WAIT_S_MAX, description: `a number of seconds, 0 to ${WAIT_S_MAX}` }),
  ),
});

/** What is asked of the hosts, and what came of it. */
export function commandRoutes(commands: CommandService, agents: AgentService, actorOf: ActorOf) {
  const { viewer, operator } = api.describing("commands");
  return new Elysia({ name: "commands", prefix: "/v1", normalize: false })
    .post(
      "/admin/exec",
      async ({ body, request, server }) => {
        const { agent_id: agentId, command, params = {}, wait_s: waitS = 0 } = body;
        const actor = actorOf(request, server);
        const outcome = await commands.exec({ agentId, command, params, actor, waitS }, request.signal);
        if (!outcome.ok) throw refusal(outcome);
        return execution(outcome.command);
      },
      operator(
        "Sends a command to an agent, and waits for its result up to wait_s seconds",
        { body: ExecInput },
        api.answers(200, Execution, 404, 409),
      ),
    )
    .get(
      "/commands/:id",
      async ({ params }) => api.onWire(existing("command", await commands.get(params.id))),
      viewer("One command and its result", { params: api.UUID_PARAMS }, api.answers(200, CommandSchema, 404)),
    )
    .get(
      "/agents/:id/commands",
      async ({ params, query, request, set }) => {
        existing("agent", await agents.get(params.id));
        const page = { agentId: params.id, limit: api.limitOf(query), cursor: query.cursor };
        const { commands: found, nextCursor } = await commands.list(page);
        return api.pageOf(found, nextCursor, { request, set });
      },
      viewer(
        "An agent's commands, newest first",
        { params: api.UUID_PARAMS, query: api.pageQuery(api.Uuid, {}) },
        api.answers(200, Type.Array(CommandSchema), 404),
      ),
    );
}

function execution(command: Command) {
  const sent = { status: "sent" as const, command_id: command.id };
  if (command.status === "pending" || command.status === "sent") return sent;
  const { status, exit_code, output, error, duration_ms, finished_at, late } = command;
  return { ...sent, result: api.onWire({ status, exit_code, output, error, duration_ms, finished_at, late }) };
}

/** Why nothing was sent, as an answer. */
export function refusal({ reason, message, field }: ExecFailure): HttpProblem {
  switch (reason) {
    case "agent_not_found":
      return notFound("agent");
    case "agent_offline":
    case "command_open":
    case "token_shared":
      return new HttpProblem(409, reason, message);
    case "unknown_command":
    case "invalid_params":
      return invalid([{ field: field ?? "command", message: message.replace(`${field}: `, "") }]);
    default:
      return unreachable(reason);
  }
}
