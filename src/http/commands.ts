import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { COMMAND_STATUSES, type Command, type CommandService, type ExecFailure } from "../commands/model.ts";
import type { AgentService } from "../fleet/model.ts";
import type { ActorOf } from "../lib/addresses.ts";
import { unreachable } from "../lib/errors.ts";
import { HttpProblem, invalid, notFound } from "./problems.ts";
import {
  AnyObject,
  answers,
  describing,
  IncidentId,
  Instant,
  idParams,
  input,
  limitOf,
  nullable,
  oneOf,
  onWire,
  pageOf,
  pageQuery,
  resource,
  Uuid,
} from "./schemas.ts";

/** Longest wait for a command's result within the request, seconds: proxies cut requests off at 30. */
const WAIT_S_MAX = 25;

const RESULT = {
  status: oneOf(COMMAND_STATUSES),
  exit_code: nullable(Type.Integer()),
  output: nullable(Type.String()),
  error: nullable(Type.String()),
  duration_ms: nullable(Type.Number()),
  finished_at: nullable(Instant),
  late: Type.Boolean(),
};
const CommandSchema = resource("Command", {
  id: Uuid,
  agent_id: Uuid,
  incident_id: nullable(IncidentId),
  command: Type.String(),
  params: AnyObject,
  actor: Type.String(),
  ttl_s: Type.Integer(),
  created_at: Instant,
  sent_at: nullable(Instant),
  expires_at: Instant,
  ...RESULT,
});
const Execution = resource("Execution", {
  status: Type.Literal("sent"),
  command_id: Uuid,
  result: Type.Optional(resource("CommandResult", RESULT)),
});
const ExecInput = input({
  agent_id: Uuid,
  command: Type.String({ minLength: 1, maxLength: 50 }),
  params: Type.Optional(AnyObject),
  wait_s: Type.Optional(
    Type.Number({ minimum: 0, maximum: WAIT_S_MAX, description: `a number of seconds, 0 to ${WAIT_S_MAX}` }),
  ),
});

export interface CommandRoutesDeps {
  commands: CommandService;
  agents: AgentService;
  actorOf: ActorOf;
}

/** What is asked of the hosts, and what came of it. */
export function commandRoutes({ commands, agents, actorOf }: CommandRoutesDeps) {
  const describe = describing("commands");
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
      describe(
        "Sends a command to an agent, and waits for its result up to wait_s seconds",
        { body: ExecInput },
        answers(200, Execution, 404, 409),
      ),
    )
    .get(
      "/commands/:id",
      async ({ params }) => {
        const command = await commands.get(params.id);
        if (!command) throw notFound("command");
        return onWire(command);
      },
      describe("One command and its result", { params: idParams(Uuid) }, answers(200, CommandSchema, 404)),
    )
    .get(
      "/agents/:id/commands",
      async ({ params, query, request, set }) => {
        if (!(await agents.get(params.id))) throw notFound("agent");
        const page = { agentId: params.id, limit: limitOf(query), cursor: query.cursor };
        const { commands: found, nextCursor } = await commands.list(page);
        return pageOf(found, nextCursor, { request, set });
      },
      describe(
        "An agent's commands, newest first",
        { params: idParams(Uuid), query: pageQuery(Uuid, {}) },
        answers(200, Type.Array(CommandSchema), 404),
      ),
    );
}

function execution(command: Command) {
  const sent = { status: "sent" as const, command_id: command.id };
  if (command.status === "pending" || command.status === "sent") return sent;
  const { status, exit_code, output, error, duration_ms, finished_at, late } = command;
  return { ...sent, result: onWire({ status, exit_code, output, error, duration_ms, finished_at, late }) };
}

function refusal({ reason, message, field }: ExecFailure): HttpProblem {
  switch (reason) {
    case "agent_not_found":
      return notFound("agent");
    case "agent_offline":
    case "command_open":
      return new HttpProblem(409, reason, message);
    case "unknown_command":
    case "invalid_params":
      return invalid([{ field: field ?? "command", message: message.replace(`${field}: `, "") }]);
    default:
      return unreachable(reason);
  }
}
