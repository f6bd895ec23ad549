import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { AgentService } from "../fleet/model.ts";
import type { ActorOf } from "../lib/addresses.ts";
import { notFound } from "./problems.ts";
import {
  AnyObject,
  answers,
  describing,
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

const AGENT = {
  id: Uuid,
  hostname: nullable(Type.String()),
  status: oneOf(["online", "offline"]),
  last_seen_at: nullable(Instant),
  meta: nullable(AnyObject),
  created_at: Instant,
  connected_at: nullable(Instant),
};
const Agent = resource("Agent", AGENT);
const AgentWithToken = resource("AgentWithToken", {
  ...AGENT,
  token: Type.String({ description: "the agent's secret, shown this once" }),
});
const NewAgent = input({
  hostname: Type.Optional(Type.String({ minLength: 1, maxLength: 255, description: "1 to 255 characters" })),
});

export interface AgentRoutesDeps {
  agents: AgentService;
  actorOf: ActorOf;
}

/** The hosts' agents: who there is, and their tokens. */
export function agentRoutes({ agents, actorOf }: AgentRoutesDeps) {
  const describe = describing("agents");
  return new Elysia({ name: "agents", prefix: "/v1/agents", normalize: false })
    .get(
      "/",
      async ({ query, request, set }) => {
        const { agents: page, nextCursor } = await agents.list({ limit: limitOf(query), cursor: query.cursor });
        return pageOf(page, nextCursor, { request, set });
      },
      describe("All agents, newest first", { query: pageQuery(Uuid, {}) }, answers(200, Type.Array(Agent))),
    )
    .post(
      "/",
      async ({ body, request, server, set }) => {
        const { agent, token } = await agents.create(body, actorOf(request, server));
        set.status = 201;
        return { ...onWire(agent), token };
      },
      describe("A new agent and its token", { body: NewAgent }, answers(201, AgentWithToken)),
    )
    .get(
      "/:id",
      async ({ params }) => {
        const agent = await agents.get(params.id);
        if (!agent) throw notFound("agent");
        return onWire(agent);
      },
      describe("One agent", { params: idParams(Uuid) }, answers(200, Agent, 404)),
    )
    .delete(
      "/:id",
      async ({ params, request, server, set }) => {
        const isRemoved = await agents.remove(params.id, actorOf(request, server));
        if (!isRemoved) throw notFound("agent");
        set.status = 204;
      },
      describe(
        "Removes an agent: its token is revoked; its incidents stay",
        { params: idParams(Uuid) },
        answers(204, Type.Void(), 404),
      ),
    )
    .post(
      "/:id/rotate-token",
      async ({ params, request, server }) => {
        const rotated = await agents.rotateToken(params.id, actorOf(request, server));
        if (!rotated) throw notFound("agent");
        return { ...onWire(rotated.agent), token: rotated.token };
      },
      describe(
        "A new token in place of the old one, which is revoked",
        { params: idParams(Uuid) },
        answers(200, AgentWithToken, 404),
      ),
    );
}
